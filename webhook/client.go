package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Limits of an attempt.
const (
	// connectTimeout covers resolving the name and connecting.
	connectTimeout = 5 * time.Second
	// attemptTimeout covers the whole attempt, including reading the answer.
	attemptTimeout = 10 * time.Second
	// maxResponseBody is how many bytes of the answer's body are read and kept.
	maxResponseBody = 16 << 10
	// maxResponseHeader is the limit in bytes for the answer's header.
	maxResponseHeader = 64 << 10
)

// deadlineKey is the context key of the deadline of an attempt. net/http dials
// with a context that has the request's values, but not its deadline.
type deadlineKey struct{}

// limitedConn is a connection whose deadline cannot be extended. Without it,
// crypto/tls allows itself five more seconds for closing.
type limitedConn struct {
	net.Conn
	limit time.Time
}

// limitConn returns conn with a fixed deadline.
func limitConn(conn net.Conn, limit time.Time) (net.Conn, error) {
	if err := conn.SetDeadline(limit); err != nil {
		conn.Close()
		return nil, err
	}
	return &limitedConn{Conn: conn, limit: limit}, nil
}

func (c *limitedConn) earlier(t time.Time) time.Time {
	if t.IsZero() || t.After(c.limit) {
		return c.limit
	}
	return t
}

func (c *limitedConn) SetDeadline(t time.Time) error     { return c.Conn.SetDeadline(c.earlier(t)) }
func (c *limitedConn) SetReadDeadline(t time.Time) error { return c.Conn.SetReadDeadline(c.earlier(t)) }
func (c *limitedConn) SetWriteDeadline(t time.Time) error {
	return c.Conn.SetWriteDeadline(c.earlier(t))
}

// errRefusedAddress is the error of a dial to an address that is neither public
// nor on the allow list.
var errRefusedAddress = errors.New("address is not allowed")

// Options configure NewClient.
type Options struct {
	// Version is Mergegate's version, for the User-Agent header.
	Version string
	// BaseURL is the public address of this server, for callback URLs. Without it no
	// callback tokens are sent.
	BaseURL string
	// Allow lists what may be reached besides the public internet.
	Allow AllowList
	// Resolver resolves host names; nil uses the system's.
	Resolver *net.Resolver
	// Modify changes each request after it was signed; nil disables it. Tracing adds a
	// header, and check-service sends deliveries that a service must refuse.
	Modify func(*http.Request)
}

// Client sends deliveries. It is safe for use by several goroutines.
type Client struct {
	userAgent string
	baseURL   string
	allow     AllowList
	resolver  *net.Resolver
	modify    func(*http.Request)
	http      *http.Client
	transport *http.Transport
	// attempt is attemptTimeout; tests shorten it.
	attempt time.Duration
}

// NewClient returns a client. It never uses a proxy, because it could not check
// which address the proxy connects to.
func NewClient(o Options) *Client {
	c := &Client{userAgent: "Mergegate/" + o.Version, baseURL: strings.TrimSuffix(o.BaseURL, "/"), allow: o.Allow, resolver: o.Resolver, modify: o.Modify, attempt: attemptTimeout}
	c.transport = &http.Transport{
		DialContext: c.dial,
		// Each attempt opens a connection, so that each address is checked and
		// no attempt fails on a stale connection.
		DisableKeepAlives: true,
		// The log keeps the body as received. It cannot grow by decompression.
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxResponseHeader,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		// An empty map disables HTTP/2.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	c.http = &http.Client{
		Transport:     c.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// dial connects to the host of a URL. It checks each resolved address when it
// connects to it, so a name cannot resolve to one address for the check and to
// another for the connection. The connection's deadline is the attempt's.
// Errors: errRefusedAddress, and those of net.Dialer.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, digits, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return nil, err
	}
	hostAllowed := c.allow.allowsHost(host, uint16(port))
	limit, ok := ctx.Value(deadlineKey{}).(time.Time)
	if !ok {
		return nil, errors.New("webhook: context has no deadline of an attempt")
	}
	dialer := net.Dialer{
		Timeout:  connectTimeout,
		Deadline: limit,
		Resolver: c.resolver,
		Control: func(network, address string, _ syscall.RawConn) error {
			resolved, err := netip.ParseAddrPort(address)
			if err != nil || (network != "tcp4" && network != "tcp6") {
				return errRefusedAddress
			}
			addr := resolved.Addr().WithZone("").Unmap()
			allowed := hostAllowed || c.allow.allowsHost(addr.String(), resolved.Port())
			if !c.allow.mayConnect(addr, allowed) {
				return errRefusedAddress
			}
			return nil
		},
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return limitConn(conn, limit)
}
