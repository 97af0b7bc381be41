package models

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Limits of a service's custom headers. Lengths are in bytes.
const (
	MaxCustomHeaders           = 10
	MaxCustomHeaderNameLength  = 100
	MaxCustomHeaderValueLength = 2048
)

// CustomHeader is a header that a maintainer added to the deliveries of a service. Its
// value is sealed and never shown.
type CustomHeader struct {
	Name   string `json:"name"`
	Sealed string `json:"sealed"`
}

// CustomHeaderInput sets a custom header. An empty value keeps the stored one.
type CustomHeaderInput struct{ Name, Value string }

// HeaderValue is a custom header with its value, for sending.
type HeaderValue struct{ Name, Value string }

// reservedHeaders cannot be custom headers: Mergegate or the HTTP client sets them, or
// they concern only one connection.
var reservedHeaders = []string{
	"accept-encoding", "connection", "expect", "host", "idempotency-key", "keep-alive", "te", "trailer", "transfer-encoding",
	"upgrade", "user-agent",
}

// reservedHeaderPrefixes begin the names of reserved headers.
var reservedHeaderPrefixes = []string{"content-", "proxy-", "webhook-", "x-gitlab-", "x-mergegate-"}

// ReservedHeader reports whether a service cannot have a custom header of this name.
func ReservedHeader(name string) bool {
	name = strings.ToLower(name)
	return slices.Contains(reservedHeaders, name) || strings.Contains(name, "signature") ||
		slices.ContainsFunc(reservedHeaderPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// isHeaderName reports whether name is a token of HTTP.
func isHeaderName(name string) bool {
	if name == "" || len(name) > MaxCustomHeaderNameLength {
		return false
	}
	for _, c := range []byte(name) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return true
}

// isHeaderValue reports whether value is printable ASCII of a valid length.
func isHeaderValue(value string) bool {
	printable := func(c rune) bool { return ' ' <= c && c <= '~' }
	return len(value) <= MaxCustomHeaderValueLength && !strings.ContainsFunc(value, func(c rune) bool { return !printable(c) })
}

// checkCustomHeaders trims the headers and adds the errors of their names and values.
func checkCustomHeaders(f *fieldErrors, headers []CustomHeaderInput) {
	if len(headers) > MaxCustomHeaders {
		f.add("custom_headers", CodeTooMany, "max", strconv.Itoa(MaxCustomHeaders))
		return
	}
	seen := map[string]bool{}
	for i := range headers {
		h := &headers[i]
		h.Name, h.Value = strings.TrimSpace(h.Name), strings.TrimSpace(h.Value)
		key := strings.ToLower(h.Name)
		switch {
		case !isHeaderName(h.Name):
			f.add("custom_headers", CodeInvalid)
		case ReservedHeader(h.Name):
			f.add("custom_headers", CodeReserved, "name", h.Name)
		case seen[key]:
			f.add("custom_headers", CodeTaken, "name", h.Name)
		case !isHeaderValue(h.Value):
			f.add("custom_headers", CodeInvalidValue, "name", h.Name, "max", strconv.Itoa(MaxCustomHeaderValueLength))
		}
		seen[key] = true
	}
}

// checkStoredHeaders adds an error for each header without a value that cannot keep its
// stored one: none is stored, or the stored one was given for another URL.
func checkStoredHeaders(f *fieldErrors, before ExternalStatusCheck, newURL string, headers []CustomHeaderInput) {
	if f.has("custom_headers") {
		return
	}
	for _, h := range headers {
		switch {
		case h.Value != "":
		case before.customHeader(h.Name) == nil:
			f.add("custom_headers", CodeBlank, "name", h.Name)
		case !sameURL(before.ExternalURL, newURL):
			f.add("custom_headers", CodeGivenAgain, "name", h.Name)
		}
	}
}

// customHeader finds a header by name without regard to case, nil if there is none.
func (c ExternalStatusCheck) customHeader(name string) *CustomHeader {
	for i := range c.CustomHeaders {
		if strings.EqualFold(c.CustomHeaders[i].Name, name) {
			return &c.CustomHeaders[i]
		}
	}
	return nil
}

// CustomHeaderNames returns the names of the custom headers in their order.
func (c ExternalStatusCheck) CustomHeaderNames() []string {
	names := make([]string, 0, len(c.CustomHeaders))
	for _, h := range c.CustomHeaders {
		names = append(names, h.Name)
	}
	return names
}

// keptHeaders returns the input that keeps all custom headers.
func (c ExternalStatusCheck) keptHeaders() []CustomHeaderInput {
	var kept []CustomHeaderInput
	for _, h := range c.CustomHeaders {
		kept = append(kept, CustomHeaderInput{Name: h.Name})
	}
	return kept
}

// editedHeaders returns the headers after an edit, for the version: a header with a new
// value differs from the stored one.
func editedHeaders(before ExternalStatusCheck, headers []CustomHeaderInput) []CustomHeader {
	var edited []CustomHeader
	for _, h := range headers {
		after := CustomHeader{Name: h.Name}
		if stored := before.customHeader(h.Name); stored != nil && h.Value == "" {
			after.Sealed = stored.Sealed
		}
		edited = append(edited, after)
	}
	return edited
}

// sameServer reports whether two URLs have the same scheme, host and port.
func sameServer(a, b string) bool {
	sentA, okA := URLAsSent(a)
	sentB, okB := URLAsSent(b)
	parsedA, errA := url.Parse(sentA)
	parsedB, errB := url.Parse(sentB)
	return okA && okB && errA == nil && errB == nil && parsedA.Scheme == parsedB.Scheme && parsedA.Host == parsedB.Host
}
