package webhook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mergegate/mergegate/models"
)

// masked stands in the log for what must not be read there.
const masked = "[masked]"

// maskedRequestHeaders are proofs of who sends: credentials of the URL, and
// signatures, with which a weak secret could be guessed at leisure.
var maskedRequestHeaders = []string{"Authorization", headerGitLabSignature, headerWebhookSignature}

// keptResponseHeaders are the lines of an answer that the log keeps. Others
// may hold anything, cookies for instance.
var keptResponseHeaders = []string{"Content-Length", "Content-Type", "Date", "Location", "Retry-After", "Server", "Via", "X-Request-Id"}

// maxKeptHeader is how many bytes of a header line the log keeps.
const maxKeptHeader = 512

// maxInformational is how many 1xx answers may come before the final one.
const maxInformational = 20

// Send makes one attempt at a delivery and tells how it ended; at is when it
// begins, as the signature says it. It returns after ten seconds at the
// latest, and earlier with ctx; the connection is closed by then. Any 2xx is
// success as soon as the answer's header is there, whatever becomes of its
// body.
func (c *Client) Send(ctx context.Context, claimed models.ClaimedDelivery, at time.Time) models.AttemptResult {
	result := models.AttemptResult{StartedAt: at}
	begin := time.Now()
	limit := begin.Add(c.attempt)
	attempt, cancel := context.WithDeadline(context.WithValue(ctx, deadlineKey{}, limit), limit)
	defer cancel()

	var unexpected informationalStatus
	response, header, err := c.post(unexpected.watch(attempt), claimed, at)
	result.RequestHeader = requestHeader(header)
	if err != nil {
		result.Duration = time.Since(begin)
		result.HTTPStatus = int(unexpected.Load())
		result.Error, result.ErrorDetail = explain(ctx, attempt, err)
		if result.HTTPStatus != 0 {
			result.Error, result.ErrorDetail = ErrorInvalidAnswer, DetailInformational
		}
		return result
	}
	defer response.Body.Close()
	if response.StatusCode < 100 {
		// net/http takes any three digits for a status.
		result.Duration = time.Since(begin)
		result.Error, result.ErrorDetail = ErrorInvalidAnswer, DetailStatus
		return result
	}
	result.HTTPStatus = response.StatusCode
	result.ResponseHeader = responseHeader(response.Header)
	if response.StatusCode == http.StatusSwitchingProtocols {
		// What follows is no body: the bare connection, open as long as the
		// other side likes.
		result.Duration = time.Since(begin)
		result.Error, result.ErrorDetail = ErrorInvalidAnswer, DetailInformational
		return result
	}
	result.ResponseBody, result.ResponseTruncated = readBody(response.Body)
	result.Duration = time.Since(begin)
	switch {
	case isRedirect(response):
		result.Error, result.ErrorDetail = ErrorRedirect, redirectDetail(response.Header.Get("Location"))
	case response.StatusCode >= 300 && response.StatusCode < 400:
		result.ErrorDetail = DetailNotSuccess
	}
	if response.StatusCode == http.StatusTooManyRequests || response.StatusCode == http.StatusServiceUnavailable {
		result.RetryAfter = retryAfter(response.Header.Get("Retry-After"), at)
	}
	return result
}

// post sends the request and gives the header it was sent with, nil if there
// could be no request.
func (c *Client) post(ctx context.Context, claimed models.ClaimedDelivery, at time.Time) (*http.Response, http.Header, error) {
	d := claimed.Delivery
	address, ok := models.URLAsSent(d.URL)
	if !ok {
		return nil, nil, errInvalidURL
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(d.Payload))
	if err != nil {
		return nil, nil, errInvalidURL
	}
	h := request.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", c.userAgent)
	h.Set("X-Gitlab-Event", "Merge Request Hook")
	h.Set("X-Gitlab-Event-UUID", d.EventUUID)
	h.Set("Idempotency-Key", d.UUID)
	if user := request.URL.User; user != nil {
		password, _ := user.Password()
		request.SetBasicAuth(user.Username(), password)
	}
	sign(h, claimed.Secret, d.UUID, at, d.Payload)
	// The one request must be the only one: without this, net/http may send a
	// request with an Idempotency-Key a second time by itself.
	request.GetBody = nil
	response, err := c.http.Do(request)
	return response, h, err
}

// isRedirect reports whether an answer sends the client to another address.
// The other statuses from 300 to 399, such as 304, do not.
func isRedirect(response *http.Response) bool {
	switch response.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return response.StatusCode >= 300 && response.StatusCode < 400 && response.Header.Get("Location") != ""
}

// informationalStatus is a 1xx status that ended an attempt, 0 when none did.
type informationalStatus struct{ atomic.Int64 }

// watch makes requests with the context fail at a 1xx answer other than 100,
// 102 and 103, and at more than maxInformational of these. The error of such
// a request may be about the connection, so the status is kept.
func (s *informationalStatus) watch(ctx context.Context) context.Context {
	n := 0
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(status int, _ textproto.MIMEHeader) error {
			n++
			switch status {
			case http.StatusContinue, http.StatusProcessing, http.StatusEarlyHints:
				if n <= maxInformational {
					return nil
				}
			}
			s.Store(int64(status))
			return errInformational
		},
	})
}

// readBody reads as much of an answer as the log keeps. A body that breaks off
// or takes too long counts as cut short.
func readBody(body io.Reader) (kept []byte, truncated bool) {
	kept, err := io.ReadAll(io.LimitReader(body, maxResponseBody+1))
	if len(kept) > maxResponseBody {
		return kept[:maxResponseBody], true
	}
	return kept, err != nil
}

// requestHeader is what the log keeps of a request's header.
func requestHeader(header http.Header) models.Header {
	if header == nil {
		return nil
	}
	kept := models.Header(header.Clone())
	for _, name := range maskedRequestHeaders {
		if _, set := kept[name]; set {
			kept[name] = []string{masked}
		}
	}
	return kept
}

// responseHeader is what the log keeps of an answer's header.
func responseHeader(header http.Header) models.Header {
	kept := models.Header{}
	for _, name := range keptResponseHeaders {
		value := strings.ToValidUTF8(header.Get(name), "\uFFFD")
		if value == "" {
			continue
		}
		if name == "Location" {
			value = bareURL(value)
		}
		if len(value) > maxKeptHeader {
			value = strings.ToValidUTF8(value[:maxKeptHeader], "") + "…"
		}
		kept[name] = []string{value}
	}
	return kept
}

// retryAfter reads Retry-After, in seconds or as a date, and holds it to
// models.MaxRetryAfter. What cannot be read asks for nothing.
func retryAfter(value string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		wait = time.Duration(min(seconds, uint64(models.MaxRetryAfter/time.Second))) * time.Second
	} else if errors.Is(err, strconv.ErrRange) {
		wait = models.MaxRetryAfter
	} else if date, err := http.ParseTime(value); err == nil {
		wait = date.Sub(now)
	}
	return max(0, min(wait, models.MaxRetryAfter))
}

// bareURL is a URL without what may be secret in it: user info, query and
// fragment.
func bareURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return masked
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	return u.String()
}
