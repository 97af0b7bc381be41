package models

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
	"modernc.org/sqlite"
)

// openSQLite opens one write connection and a pool of read connections. SQLite allows
// one writer at a time; with a single connection, writers queue in Go instead of
// failing with SQLITE_BUSY. synchronous=FULL keeps committed deliveries through a power
// failure.
func openSQLite(path string) (writer, reader *sql.DB, err error) {
	dsn := SQLiteDSN(path)
	if writer, err = openPreparing(dsn + "&_txlock=immediate"); err != nil {
		return nil, nil, fmt.Errorf("models: open %s: %w", path, err)
	}
	writer.SetMaxOpenConns(1)
	if err := writer.Ping(); err != nil {
		writer.Close()
		return nil, nil, fmt.Errorf("models: open %s: %w", path, err)
	}
	if reader, err = OpenSQLiteReader(path); err != nil {
		writer.Close()
		return nil, nil, err
	}
	return writer, reader, nil
}

// OpenSQLiteReader opens a pool of connections that only read. It may be used beside the
// process that writes. It creates the file if it is missing.
func OpenSQLiteReader(path string) (*sql.DB, error) {
	reader, err := openPreparing(SQLiteDSN(path) + "&_pragma=query_only(1)")
	if err != nil {
		return nil, fmt.Errorf("models: open %s: %w", path, err)
	}
	reader.SetMaxOpenConns(8)
	reader.SetMaxIdleConns(8)
	return reader, nil
}

// SQLiteDSN returns the connection string of a database file. Migrations use the same
// settings.
func SQLiteDSN(path string) string {
	escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	return "file:" + escaped + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)" +
		"&_pragma=synchronous(FULL)&_time_format=sqlite"
}

func isDeadlock(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40P01" || pg.Code == "40001")
}

// isUnavailable reports whether err means that the database is down, unreachable or did
// not grant a lock in time, so the same request may succeed later.
func isUnavailable(err error) bool {
	var (
		pg      *pgconn.PgError
		connect *pgconn.ConnectError
		network *net.OpError
		lite    *sqlite.Error
	)
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &pg):
		switch pg.Code {
		case "57P01", "57P02", "57P03", "57P05", // shutdown, crash, start-up, idle session
			"55P03", "25P03", // lock or idle transaction took too long
			"25006": // read-only: a standby
			return true
		}
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53") // connection, resources
	case errors.As(err, &lite):
		const busy, locked, ioError, full, cantOpen = 5, 6, 10, 13, 14
		switch lite.Code() & 0xff {
		case busy, locked, ioError, full, cantOpen:
			return true
		}
		return false
	}
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}

// isUniqueViolation reports whether err is a violation of a unique index. PostgreSQL
// reports the name of the index, table_index_key; SQLite reports its columns, of which
// lastColumn is the last.
func isUniqueViolation(err error, table, index, lastColumn string) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505" && pg.ConstraintName == table+"_"+index+"_key"
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		const uniqueViolation, primaryKeyViolation = 2067, 1555
		if lite.Code() != uniqueViolation && lite.Code() != primaryKeyViolation {
			return false
		}
		// The text is "constraint failed: UNIQUE constraint failed: t.a, t.b (2067)".
		text, _, _ := strings.Cut(lite.Error(), " (")
		return strings.HasSuffix(text, table+"."+lastColumn)
	}
	return false
}

// isForeignKeyViolation reports whether err is a foreign key violation: the referenced
// row does not exist.
func isForeignKeyViolation(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23503"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code() == 787
}

// orNotFound replaces GORM's ErrRecordNotFound by a KindNotFound error about what. It
// returns other errors, and nil, as they are.
func orNotFound(err error, what string) error {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return notFound(what)
	}
	return err
}
