package models

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"net"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
)

// sessionSettings are set on every PostgreSQL session unless the connection string sets
// them. Most keep a suspended or disconnected instance from blocking others: the server
// ends a session that idles in a transaction or whose client is gone, and waits for
// locks end.
var sessionSettings = []struct{ name, value string }{
	{"idle_in_transaction_session_timeout", "10s"},
	{"lock_timeout", "15s"},
	{"tcp_keepalives_idle", "15s"},
	{"tcp_keepalives_interval", "5s"},
	{"tcp_keepalives_count", "3"},
	{"tcp_user_timeout", "30s"},
	// Compiling a query takes longer than any query here.
	{"jit", "off"},
}

// Time limits of the client for a server that does not answer.
const (
	postgresConnectTimeout = 10 * time.Second
	postgresUserTimeout    = 30 * time.Second
)

var postgresDialer = net.Dialer{
	KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
	Control: func(network, _ string, conn syscall.RawConn) error {
		if runtime.GOOS != "linux" || !strings.HasPrefix(network, "tcp") {
			return nil
		}
		const tcpUserTimeout = 18 // TCP_USER_TIMEOUT, which package syscall lacks
		var failure error
		err := conn.Control(func(fd uintptr) {
			failure = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout,
				int(postgresUserTimeout.Milliseconds()))
		})
		return errors.Join(err, failure)
	},
}

// postgresConfig parses a connection string and adds the settings of every connection:
// UTC, dialer and connect time-out.
func postgresConfig(dsn string) (*pgx.ConnConfig, error) {
	conf, err := pgx.ParseConfig(dsn)
	if err != nil {
		// The parser's error may contain the password.
		return nil, errors.New("models: the PostgreSQL connection string cannot be read; it looks like postgres://user:password@host:5432/name")
	}
	conf.RuntimeParams["timezone"] = "UTC"
	conf.DialFunc = postgresDialer.DialContext
	const pgxDefault = 2 * time.Minute
	if conf.ConnectTimeout == 0 || conf.ConnectTimeout == pgxDefault {
		conf.ConnectTimeout = postgresConnectTimeout
	}
	return conf, nil
}

// applySessionSettings sets sessionSettings with SET statements: connection poolers
// refuse unknown start-up parameters.
func applySessionSettings(ctx context.Context, c *pgx.Conn) error {
	given := c.Config().RuntimeParams
	var set strings.Builder
	for _, setting := range sessionSettings {
		if _, ok := given[setting.name]; !ok && !strings.Contains(given["options"], setting.name) {
			set.WriteString("SET " + setting.name + " = '" + setting.value + "';")
		}
	}
	if set.Len() == 0 {
		return nil
	}
	return c.PgConn().Exec(ctx, set.String()).Close()
}

// OpenPostgres opens a pool of PostgreSQL sessions that use UTC and have time limits
// for locks and idle transactions.
func OpenPostgres(dsn string) (*sql.DB, error) { return openPostgres(dsn, "") }

// OpenPostgresReader is OpenPostgres with sessions that refuse writes.
func OpenPostgresReader(dsn string) (*sql.DB, error) {
	return openPostgres(dsn, "SET default_transaction_read_only = on")
}

// openPostgres opens a pool of which each session first runs a statement; "" for none.
func openPostgres(dsn, first string) (*sql.DB, error) {
	conf, err := postgresConfig(dsn)
	if err != nil {
		return nil, err
	}
	return stdlib.OpenDB(*conf, stdlib.OptionShouldPing(shouldPing), stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		c.TypeMap().
			RegisterType(&pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC}})
		if err := applySessionSettings(ctx, c); err != nil || first == "" {
			return err
		}
		return c.PgConn().Exec(ctx, first).Close()
	})), nil
}

// shouldPing reports whether a pooled connection is pinged before it is used: after a
// second of idling, and at once if the server has closed it or sent something. The ping
// fails on a connection that was cut, and database/sql takes another one before any
// statement is sent.
func shouldPing(_ context.Context, p stdlib.ShouldPingParams) bool {
	return p.IdleDuration > time.Second || !isQuiet(p.Conn.PgConn().Conn())
}

// isQuiet reports whether a connection is open and has nothing to read. It asks the
// operating system, without a round trip.
func isQuiet(conn net.Conn) bool {
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn()
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Control(func(fd uintptr) {
		var next [1]byte
		_, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR)
	})
	return err == nil && quiet
}

// connectPostgres opens one session outside the pool.
func connectPostgres(ctx context.Context, dsn string) (*pgx.Conn, error) {
	conf, err := postgresConfig(dsn)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, conf)
	if err != nil {
		return nil, err
	}
	if err := applySessionSettings(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

// plannedReads sends statements that PostgreSQL plans for their values. After five
// executions of a prepared statement it may choose one plan for all values, which reads a
// whole list for a search that finds nothing.
type plannedReads struct{ *sql.DB }

// QueryContext implements gorm.ConnPool.
func (p plannedReads) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return p.DB.QueryContext(ctx, query, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
}

// QueryRowContext implements gorm.ConnPool.
func (p plannedReads) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return p.DB.QueryRowContext(ctx, query, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
}
