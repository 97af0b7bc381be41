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

// openSQLite opens one connection that writes and a pool that reads. One
// writer beats several: SQLite would make them wait for each other anyway, and
// a transaction that begins immediately never has to be thrown away.
// synchronous=FULL: a delivery that was promised survives a power cut.
func openSQLite(path string) (writer, reader *sql.DB, err error) {
	dsn := SQLiteDSN(path)
	if writer, err = sql.Open("sqlite", dsn+"&_txlock=immediate"); err != nil {
		return nil, nil, fmt.Errorf("models: open %s: %w", path, err)
	}
	writer.SetMaxOpenConns(1)
	if err := writer.Ping(); err != nil {
		writer.Close()
		return nil, nil, fmt.Errorf("models: open %s: %w", path, err)
	}
	if reader, err = sql.Open("sqlite", dsn+"&_pragma=query_only(1)"); err != nil {
		writer.Close()
		return nil, nil, fmt.Errorf("models: open %s: %w", path, err)
	}
	reader.SetMaxOpenConns(8)
	reader.SetMaxIdleConns(8)
	return writer, reader, nil
}

// SQLiteDSN is the connection string for a database file; migrations open the
// file with the same settings.
func SQLiteDSN(path string) string {
	escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	return "file:" + escaped + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)" +
		"&_pragma=synchronous(FULL)&_time_format=sqlite"
}

func isDeadlock(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40P01" || pg.Code == "40001")
}

// isUnavailable reports whether err says that the database is away, cannot be
// reached, or did not get a lock in time: the same request may succeed later.
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

// isUniqueViolation reports whether err is a violation of the unique index over
// columns that end in the given one. PostgreSQL names the index
// (table_column_key), SQLite the columns.
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
		// "constraint failed: UNIQUE constraint failed: t.a, t.b (2067)"
		text, _, _ := strings.Cut(lite.Error(), " (")
		return strings.HasSuffix(text, table+"."+lastColumn)
	}
	return false
}

// isForeignKeyViolation reports whether err is a violation of a foreign key: the row
// that was referred to has gone.
func isForeignKeyViolation(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23503"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code() == 787
}

// orNotFound turns GORM's "record not found" into the domain's error.
func orNotFound(err error, what string) error {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return notFound(what)
	}
	return err
}
