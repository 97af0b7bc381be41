package webhook

import (
	"context"
	"net"
	"net/url"
	"time"
)

// Connect opens and closes a connection to the host of a URL, as an attempt at a
// delivery would, and sends nothing. kind and detail are as in models.AttemptResult, ""
// for success.
func (c *Client) Connect(ctx context.Context, target string) (kind, detail string) {
	u, err := url.Parse(target)
	if err != nil || u.Hostname() == "" {
		return ErrorInvalidURL, DetailURL
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80"}[u.Scheme]
	}
	if port == "" {
		port = "443"
	}
	limit := time.Now().Add(connectTimeout)
	attempt, cancel := context.WithDeadline(context.WithValue(ctx, deadlineKey{}, limit), limit)
	defer cancel()
	conn, err := c.dial(attempt, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return classify(ctx, attempt, err)
	}
	_ = conn.Close()
	return "", ""
}
