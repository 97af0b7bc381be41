package models

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"regexp"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"modernc.org/sqlite"
)

// keptStatements is how many statements each connection to SQLite keeps prepared. The
// frequent ones are fewer; a statement takes some 10 KB.
const keptStatements = 64

// openPreparing opens a pool of connections to SQLite that keep their last statements
// prepared, as pgx does for PostgreSQL. Preparing takes about half of the time of a short
// statement.
func openPreparing(dsn string) (*sql.DB, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(preparingConnector{connector}), nil
}

type preparingConnector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c preparingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	kept, err := simplelru.NewLRU[string, driver.Stmt](keptStatements, nil)
	if err != nil {
		return nil, err // keptStatements is wrong
	}
	return &preparingConn{sqliteConn: conn.(sqliteConn), kept: kept}, nil
}

// sqliteConn is what a connection of the SQLite driver implements, and database/sql uses.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// preparingConn is a connection that keeps its last statements prepared. kept does not
// contain those in use. database/sql does not use a connection concurrently.
type preparingConn struct {
	sqliteConn
	kept *simplelru.LRU[string, driver.Stmt]
}

// keepable matches the statements that can be kept. A PRAGMA may take effect while it is
// prepared.
var keepable = regexp.MustCompile(`^\s*(?i:SELECT|INSERT|UPDATE|DELETE|WITH)\b`)

// take returns a prepared statement. release ends its use; failed says whether the
// statement returned an error.
func (c *preparingConn) take(ctx context.Context, query string) (statement driver.Stmt, release func(failed bool), err error) {
	statement, ok := c.kept.Peek(query)
	if ok {
		c.kept.Remove(query)
	} else if statement, err = c.PrepareContext(ctx, query); err != nil {
		return nil, nil, err
	}
	return statement, func(failed bool) {
		if _, again := c.kept.Peek(query); failed || again {
			_ = statement.Close()
			return
		}
		if c.kept.Len() == keptStatements {
			_, oldest, _ := c.kept.RemoveOldest()
			_ = oldest.Close()
		}
		c.kept.Add(query, statement)
	}, nil
}

// ExecContext implements driver.ExecerContext.
func (c *preparingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if !keepable.MatchString(query) {
		return c.sqliteConn.ExecContext(ctx, query, args)
	}
	statement, release, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	result, err := statement.(driver.StmtExecContext).ExecContext(ctx, args)
	release(err != nil)
	return result, err
}

// QueryContext implements driver.QueryerContext.
func (c *preparingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if !keepable.MatchString(query) {
		return c.sqliteConn.QueryContext(ctx, query, args)
	}
	statement, release, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := statement.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		release(true)
		return nil, err
	}
	return &preparedRows{rows.(sqliteRows), release}, nil
}

// Close implements driver.Conn.
func (c *preparingConn) Close() error {
	for _, statement := range c.kept.Values() {
		_ = statement.Close()
	}
	return c.sqliteConn.Close()
}

// sqliteRows is what rows of the SQLite driver implement.
type sqliteRows interface {
	driver.Rows
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeLength
	driver.RowsColumnTypeNullable
	driver.RowsColumnTypePrecisionScale
	driver.RowsColumnTypeScanType
}

// preparedRows are the rows of a statement that is kept after them.
type preparedRows struct {
	sqliteRows
	release func(failed bool)
}

// Close implements driver.Rows.
func (r *preparedRows) Close() error {
	err := r.sqliteRows.Close()
	r.release(err != nil)
	return err
}
