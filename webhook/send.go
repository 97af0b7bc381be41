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

// keptResponseHeaders are the headers of an answer that the log keeps. Others
// may hold secrets such as cookies.
var keptResponseHeaders = []string{
	"Content-Length", "Content-Type", "Date", "Location", "Retry-After", "Server", "Via", "X-Request-Id",
}

// maxKeptHeader is how many bytes of a header value the log keeps.
const maxKeptHeader = 512

// maxInformational is how many 1xx answers may precede the final answer.
const maxInformational = 20

// Send makes one attempt at a delivery and returns its result. at is the time
// for the signature and for AttemptResult.StartedAt. Send returns within ten
// seconds, or earlier when ctx ends, and has closed the connection by then. A
// 2xx status is a success, even if reading the body fails.
func (c *Client) Send(ctx context.Context, claimed models.ClaimedDelivery, at time.Time) models.AttemptResult {
	result := models.AttemptResult{StartedAt: at}
	begin := time.Now()
	limit := begin.Add(c.attempt)
	attempt, cancel := context.WithDeadline(context.WithValue(ctx, deadlineKey{}, limit), limit)
	defer cancel()

	var unexpected informationalStatus
	var watch stopwatch
	// One trace with all hooks: net/http calls those of several by reflection.
	trace := watch.hooks()
	trace.Got1xxResponse = unexpected.hook()
	response, header, err := c.post(httptrace.WithClientTrace(attempt, trace), claimed, at)
	secrets := secretsOf(claimed)
	result.RequestHeader = secrets.requestHeader(header)
	result.Timing = watch.timing()
	if err != nil {
		result.Duration = time.Since(begin)
		result.HTTPStatus = int(unexpected.Load())
		result.Error, result.ErrorDetail = classify(ctx, attempt, err)
		if result.HTTPStatus != 0 {
			result.Error, result.ErrorDetail = ErrorInvalidAnswer, DetailInformational
		}
		return result
	}
	defer response.Body.Close()
	if response.StatusCode < 100 {
		// net/http accepts any three digits as status.
		result.Duration = time.Since(begin)
		result.Error, result.ErrorDetail = ErrorInvalidAnswer, DetailStatus
		return result
	}
	result.HTTPStatus = response.StatusCode
	result.ResponseHeader = secrets.maskHeader(responseHeader(response.Header))
	if response.StatusCode == http.StatusSwitchingProtocols {
		// The body would be the raw connection, which the server may keep open.
		result.Duration = time.Since(begin)
		result.Error, result.ErrorDetail = ErrorInvalidAnswer, DetailInformational
		return result
	}
	result.ResponseBody, result.ResponseTruncated = readBody(response.Body)
	result.ResponseBody = secrets.maskBody(result.ResponseBody)
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

// post sends the request. It returns the answer and the request's header, which
// is nil if the URL is invalid.
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
	c.setHeader(h, request.URL.User, claimed, at)
	// net/http may send a request with an Idempotency-Key again. Without GetBody
	// it cannot, so an attempt is one request.
	request.GetBody = nil
	if c.modify != nil {
		c.modify(request)
	}
	response, err := c.http.Do(request)
	return response, h, err
}

// setHeader sets the header of a delivery, apart from what net/http adds.
func (c *Client) setHeader(h http.Header, user *url.Userinfo, claimed models.ClaimedDelivery, at time.Time) {
	d := claimed.Delivery
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", c.userAgent)
	h.Set("X-Gitlab-Event", "Merge Request Hook")
	h.Set("X-Gitlab-Event-UUID", d.EventUUID)
	h.Set("Idempotency-Key", d.UUID)
	if user != nil {
		password, _ := user.Password()
		basic := http.Request{Header: h}
		basic.SetBasicAuth(user.Username(), password)
	}
	for _, custom := range claimed.Headers {
		h.Set(custom.Name, custom.Value)
	}
	if claimed.CallbackToken != "" && c.baseURL != "" {
		h.Set(models.CallbackURLHeader, c.baseURL+models.CallbackPath(d.ProjectID, d.MergeRequestIID, d.ExternalStatusCheckID))
		h.Set(models.CallbackHeader, claimed.CallbackToken)
	}
	sign(h, claimed.Secret, d.UUID, at, d.Payload)
}

// Preview returns the header that Send would send at the same time, with the signatures.
// Credentials of the URL and values of custom headers are masked.
func (c *Client) Preview(claimed models.ClaimedDelivery, at time.Time) http.Header {
	h := http.Header{}
	var user *url.Userinfo
	if u, err := url.Parse(claimed.Delivery.URL); err == nil {
		user = u.User
	}
	c.setHeader(h, user, claimed, at)
	for _, name := range append([]string{"Authorization"}, secretsOf(claimed).names[len(maskedRequestHeaders):]...) {
		if h.Get(name) != "" {
			h.Set(name, masked)
		}
	}
	return h
}

// isRedirect reports whether an answer redirects to another address. Some 3xx
// statuses, such as 304, do not.
func isRedirect(response *http.Response) bool {
	switch response.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return response.StatusCode >= 300 && response.StatusCode < 400 && response.Header.Get("Location") != ""
}

// informationalStatus is the 1xx status that ended an attempt, or 0.
type informationalStatus struct{ atomic.Int64 }

// hook returns a hook by which the request fails at a 1xx answer other than 100, 102
// and 103, and at more than maxInformational of these. It keeps the status, because the
// error of the request may concern the connection instead.
func (s *informationalStatus) hook() func(status int, header textproto.MIMEHeader) error {
	n := 0
	return func(status int, _ textproto.MIMEHeader) error {
		n++
		switch status {
		case http.StatusContinue, http.StatusProcessing, http.StatusEarlyHints:
			if n <= maxInformational {
				return nil
			}
		}
		s.Store(int64(status))
		return errInformational
	}
}

// readBody reads at most maxResponseBody bytes. truncated reports whether the
// body is longer or could not be read to its end.
func readBody(body io.Reader) (kept []byte, truncated bool) {
	kept, err := io.ReadAll(io.LimitReader(body, maxResponseBody+1))
	if len(kept) > maxResponseBody {
		return kept[:maxResponseBody], true
	}
	return kept, err != nil
}

// responseHeader returns the headers of an answer that the log keeps.
func responseHeader(header http.Header) models.Header {
	kept := models.Header{}
	for _, name := range keptResponseHeaders {
		value := strings.ToValidUTF8(header.Get(name), "\uFFFD")
		if value == "" {
			continue
		}
		if name == "Location" {
			value = redactURL(value)
		}
		if len(value) > maxKeptHeader {
			value = strings.ToValidUTF8(value[:maxKeptHeader], "") + "…"
		}
		kept[name] = []string{value}
	}
	return kept
}

// retryAfter parses a Retry-After header, in seconds or as a date. The result is
// at most models.MaxRetryAfter, and 0 for an invalid value.
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

// redactURL returns a URL without the parts that may be secret: user info, query
// and fragment. It returns "[masked]" if the URL is invalid.
func redactURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return masked
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	return u.String()
}
