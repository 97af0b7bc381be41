package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/mergegate/mergegate/models"
)

// Kinds of failure of an attempt, beside models.ErrorInterrupted: what
// models.AttemptResult.Error holds.
const (
	// ErrorRefusedAddress: the host leads to an address that is not allowed.
	ErrorRefusedAddress = "refused_address"
	// ErrorDNS: the host name could not be resolved.
	ErrorDNS = "dns"
	// ErrorConnectionRefused: nobody listens there.
	ErrorConnectionRefused = "connection_refused"
	// ErrorTimeout: no answer within ten seconds, or no connection within five.
	ErrorTimeout = "timeout"
	// ErrorTLS: no trustworthy TLS connection came about.
	ErrorTLS = "tls"
	// ErrorRedirect: the answer was 3xx, which is never followed.
	ErrorRedirect = "redirect"
	// ErrorInvalidURL: the URL cannot be requested.
	ErrorInvalidURL = "invalid_url"
	// ErrorInvalidAnswer: a status that ends no request (1xx), or that HTTP
	// does not have.
	ErrorInvalidAnswer = "invalid_answer"
	// ErrorOther: a broken connection, or an answer that is not HTTP.
	ErrorOther = "other"
)

var (
	errInvalidURL    = errors.New("URL cannot be requested")
	errInformational = errors.New("unexpected informational answer")
)

// Sentences about a failure: models.AttemptResult.ErrorDetail is one of them, or
// technical and in words of its own.
const (
	DetailURL         = "The URL cannot be requested."
	DetailStopped     = "The server stopped during the attempt."
	DetailAddress     = "The host leads to an address that this server must not reach."
	DetailNoHost      = "The host name does not exist."
	DetailDNS         = "The host name could not be resolved."
	DetailRefused     = "The connection was refused."
	DetailPlainHTTP   = "TLS: the answer was plain HTTP."
	DetailTimeout     = "No answer in time."
	DetailReset       = "The connection was reset."
	DetailUnreachable = "The host cannot be reached."
	DetailClosed      = "The connection was closed without an answer."
	// DetailInformational is about 101 and other 1xx answers.
	DetailInformational = "The answer was informational, and no final answer followed."
	// DetailStatus is about an answer such as "HTTP/1.1 000".
	DetailStatus = "The status of the answer is not one of HTTP."
	// DetailNotSuccess is about 304 and others that are neither.
	DetailNotSuccess = "The answer was neither a success nor a redirect. Only 200 to 299 is a success."
	DetailRedirect   = "The answer was a redirect, which is not followed."
	// DetailRedirectTo holds the address.
	DetailRedirectTo = "The answer was a redirect to %s, which is not followed."
)

// maxDetail is the longest detail, in bytes.
const maxDetail = 300

// explain sorts the error of a request into a kind and words it in a short
// sentence. The sentence has neither the URL nor resolved addresses in it: the
// URL may hold secrets, and addresses of names inside the operator's network
// are not for everybody. parent is the context that the attempt was given,
// attempt the one with its time limit.
func explain(parent, attempt context.Context, err error) (kind, detail string) {
	var (
		dns     *net.DNSError
		timeout net.Error
	)
	switch {
	case errors.Is(err, errInvalidURL):
		return ErrorInvalidURL, DetailURL
	case parent.Err() != nil:
		return models.ErrorInterrupted, DetailStopped
	case errors.Is(err, errRefusedAddress):
		return ErrorRefusedAddress, DetailAddress
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return ErrorDNS, DetailNoHost
		}
		return ErrorDNS, DetailDNS
	case errors.Is(err, syscall.ECONNREFUSED):
		return ErrorConnectionRefused, DetailRefused
	case errors.Is(err, http.ErrSchemeMismatch):
		return ErrorTLS, DetailPlainHTTP
	case isTLS(err):
		return ErrorTLS, brief("TLS: %s", strings.TrimPrefix(cause(err), "tls: "))
	case isOver(attempt), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return ErrorTimeout, DetailTimeout
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return ErrorOther, DetailReset
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return ErrorOther, DetailUnreachable
	}
	if strings.HasSuffix(cause(err), "EOF") {
		return ErrorOther, DetailClosed
	}
	return ErrorOther, brief("No HTTP answer: %s", cause(err))
}

// isOver reports whether a context has ended, or will at once: the deadline of
// a connection may be a moment earlier.
func isOver(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// isTLS reports whether the error is TLS's or about a certificate.
func isTLS(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		invalid     x509.CertificateInvalidError
		hostname    x509.HostnameError
		authority   x509.UnknownAuthorityError
	)
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.As(err, &invalid) || errors.As(err, &hostname) || errors.As(err, &authority) ||
		strings.HasPrefix(cause(err), "tls: ") || strings.HasPrefix(cause(err), "remote error: tls: ")
}

// cause is the text of what went wrong, without the URL and addresses that
// the outer errors put before it.
func cause(err error) string {
	var (
		request   *url.Error
		operation *net.OpError
	)
	if errors.As(err, &request) {
		err = request.Err
	}
	if errors.As(err, &operation) {
		if operation.Op == "remote error" {
			return "remote error: " + operation.Err.Error()
		}
		err = operation.Err
	}
	return err.Error()
}

// brief makes a detail of bounded length and valid UTF-8 on one line.
func brief(format, text string) string {
	detail := strings.Join(strings.Fields(strings.ToValidUTF8(fmt.Sprintf(format, text), "\uFFFD")), " ")
	if len(detail) > maxDetail {
		detail = strings.ToValidUTF8(detail[:maxDetail], "") + "…"
	}
	return detail
}

// redirectDetail says where an answer wanted to send the delivery.
func redirectDetail(location string) string {
	if location == "" {
		return DetailRedirect
	}
	return brief(DetailRedirectTo, bareURL(location))
}
