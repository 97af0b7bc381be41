package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// Limits of an attempt.
const (
	// connectTimeout covers resolving the name and connecting.
	connectTimeout = 5 * time.Second
	// attemptTimeout covers all of an attempt, reading the answer included.
	attemptTimeout = 10 * time.Second
	// maxResponseBody is how much of the answer's body is read and kept.
	maxResponseBody = 16 << 10
	// maxResponseHeader bounds the answer's header lines.
	maxResponseHeader = 64 << 10
)

// deadlineKey is the context key of the instant at which an attempt ends.
// net/http dials in a context without the request's deadline, but with its
// values.
type deadlineKey struct{}

// limitedConn is a connection with a deadline that nothing can extend: TLS
// gives itself five seconds more to say goodbye.
type limitedConn struct {
	net.Conn
	limit time.Time
}

// limitConn gives conn a fixed deadline.
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

// errRefusedAddress is what a dial ends with that would leave the public
// internet without the operator's leave.
var errRefusedAddress = errors.New("address is not allowed")

// Options say how deliveries are sent.
type Options struct {
	// Version of Mergegate, for the User-Agent.
	Version string
	// Allow is what may be reached beyond the public internet.
	Allow AllowList
	// Resolver answers for host names; nil is the machine's own.
	Resolver *net.Resolver
}

// Client sends deliveries. It is safe for use by several goroutines.
type Client struct {
	userAgent string
	allow     AllowList
	resolver  *net.Resolver
	http      *http.Client
	transport *http.Transport
	// attempt is attemptTimeout, but for tests.
	attempt time.Duration
}

// NewClient makes a client. It uses no proxy: through one, it could not see
// which address is reached.
func NewClient(o Options) *Client {
	c := &Client{userAgent: "Mergegate/" + o.Version, allow: o.Allow, resolver: o.Resolver, attempt: attemptTimeout}
	c.transport = &http.Transport{
		DialContext: c.dial,
		// Each attempt has a connection of its own, so that each is checked
		// and none fails because an idle one went stale.
		DisableKeepAlives: true,
		// The log keeps the bytes as they came, and nothing unpacks to more.
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxResponseHeader,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		// An empty map keeps to HTTP/1.1.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	c.http = &http.Client{
		Transport:     c.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// dial connects to the host of a URL. The addresses that the name resolves to
// are judged one by one as they are connected to, so that a name cannot
// resolve to one address for a check and to another for the connection. The
// connection ends with the attempt, whatever it is used for.
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
		return nil, errors.New("webhook: dial without the deadline of an attempt")
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
			if !c.allow.reachable(addr, allowed) {
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
