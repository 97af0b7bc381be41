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

// Values of models.AttemptResult.Error, besides models.ErrorInterrupted and
// models.ErrorSecret.
const (
	// ErrorRefusedAddress: the host resolves to an address that is not allowed.
	ErrorRefusedAddress = "refused_address"
	// ErrorDNS: the host name could not be resolved.
	ErrorDNS = "dns"
	// ErrorConnectionRefused: no server listens on the port.
	ErrorConnectionRefused = "connection_refused"
	// ErrorTimeout: no answer within ten seconds, or no connection within five.
	ErrorTimeout = "timeout"
	// ErrorTLS: the TLS handshake failed or the certificate is not trusted.
	ErrorTLS = "tls"
	// ErrorRedirect: the answer was a redirect, which is never followed.
	ErrorRedirect = "redirect"
	// ErrorInvalidURL: the URL cannot be requested.
	ErrorInvalidURL = "invalid_url"
	// ErrorInvalidAnswer: the status is informational (1xx) or not valid in
	// HTTP.
	ErrorInvalidAnswer = "invalid_answer"
	// ErrorOther: the connection broke, or the answer was not HTTP.
	ErrorOther = "other"
)

var (
	errInvalidURL    = errors.New("URL cannot be requested")
	errInformational = errors.New("unexpected informational answer")
)

// Values of models.AttemptResult.ErrorDetail. For other errors it is the
// technical text of the error.
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
	// DetailInformational is for 101 and other 1xx answers.
	DetailInformational = "The answer was informational, and no final answer followed."
	// DetailStatus is for an answer such as "HTTP/1.1 000".
	DetailStatus = "The status of the answer is not one of HTTP."
	// DetailNotSuccess is for 3xx statuses that do not redirect, such as 304.
	DetailNotSuccess = "The answer was neither a success nor a redirect. Only 200 to 299 is a success."
	DetailRedirect   = "The answer was a redirect, which is not followed."
	// DetailRedirectTo is a format for the address.
	DetailRedirectTo = "The answer was a redirect to %s, which is not followed."
)

// maxDetail is the greatest length of a detail, in bytes.
const maxDetail = 300

// classify returns the kind of a request's error and a short sentence about it.
// The sentence contains neither the URL, which may hold secrets, nor resolved
// addresses, which may be internal. parent is the context given to Send,
// attempt the one with the time limit.
func classify(parent, attempt context.Context, err error) (kind, detail string) {
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
	case isExpired(attempt), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
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

// isExpired reports whether a context has ended or its deadline has passed. The
// deadline of a connection can end a request slightly before the context ends.
func isExpired(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// isTLS reports whether the error comes from TLS or concerns a certificate.
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

// cause returns the text of the innermost error, without the URL and addresses
// that the outer errors add.
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

// brief returns a detail of at most maxDetail bytes in valid UTF-8 on one line.
func brief(format, text string) string {
	detail := strings.Join(strings.Fields(strings.ToValidUTF8(fmt.Sprintf(format, text), "\uFFFD")), " ")
	if len(detail) > maxDetail {
		detail = strings.ToValidUTF8(detail[:maxDetail], "") + "…"
	}
	return detail
}

// redirectDetail returns the detail for a redirect; location may be empty.
func redirectDetail(location string) string {
	if location == "" {
		return DetailRedirect
	}
	return brief(DetailRedirectTo, redactURL(location))
}
