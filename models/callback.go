package models

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// CallbackTokenPrefix begins every callback token.
const CallbackTokenPrefix = "mgcb-"

// CallbackLifetime is how long a callback token is valid after it was sent, unless the
// service's time-out is longer.
const CallbackLifetime = 24 * time.Hour

// CallbackHeader and CallbackURLHeader are the headers of a delivery that name the token
// and where to use it.
const (
	CallbackHeader    = "X-Mergegate-Callback-Token"
	CallbackURLHeader = "X-Mergegate-Callback-URL"
)

// Callback is what a callback token allows: to answer one check of one merge request for
// one commit.
type Callback struct {
	ProjectID       int64
	MergeRequestIID int64
	ServiceID       int64
	SHA             string
	ExpiresAt       time.Time
}

// encode returns the text that a token seals.
func (c Callback) encode() string {
	ids := []string{strconv.FormatInt(c.ProjectID, 36), strconv.FormatInt(c.MergeRequestIID, 36), strconv.FormatInt(c.ServiceID, 36)}
	return strings.Join(append(ids, c.SHA, strconv.FormatInt(c.ExpiresAt.Unix(), 36)), "/")
}

// decodeCallback reads the text of encode.
func decodeCallback(text string) (c Callback, ok bool) {
	parts := strings.Split(text, "/")
	if len(parts) != 5 {
		return c, false
	}
	var numbers [4]int64
	for i, part := range []string{parts[0], parts[1], parts[2], parts[4]} {
		n, err := strconv.ParseInt(part, 36, 64)
		if err != nil {
			return c, false
		}
		numbers[i] = n
	}
	return Callback{
		ProjectID: numbers[0], MergeRequestIID: numbers[1], ServiceID: numbers[2], SHA: parts[3], ExpiresAt: time.Unix(numbers[3], 0).UTC(),
	}, true
}

// CallbackPath returns the path of the API to which a service sends its answer with a
// callback token.
func CallbackPath(projectID, iid, serviceID int64) string {
	return "/api/v4/projects/" + strconv.FormatInt(projectID, 10) + "/merge_requests/" + strconv.FormatInt(iid, 10) +
		"/status_checks/" + strconv.FormatInt(serviceID, 10) + "/callback"
}

// MayCarryToken reports whether a callback token may be sent to a URL: with HTTPS, or to
// this machine.
func MayCarryToken(target string) bool {
	sent, ok := URLAsSent(target)
	u, err := url.Parse(sent)
	if !ok || err != nil {
		return false
	}
	if u.Scheme == "https" || u.Hostname() == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.Unmap().IsLoopback()
}

// ResponseVia is how a response came.
type ResponseVia string

// The ways of a response: with the access token of a user, or with the callback token of
// a delivery.
const (
	ViaToken    ResponseVia = "token"
	ViaCallback ResponseVia = "callback"
)
