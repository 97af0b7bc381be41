package models

import (
	"context"
	"database/sql"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/gorm"
)

// batch holds statements of a transaction of batchTransaction. PostgreSQL receives them at
// once, so together they take one round trip. On SQLite they run one after the other.
type batch struct {
	*Store
	statements []batchStatement
}

type batchStatement struct {
	text string
	args []any
	// columns has the destinations of each row, and row is called for it. Both are nil for a
	// statement without rows.
	columns columns
	row     func()
}

// batch returns an empty batch.
func (s *Store) batch() *batch { return &batch{Store: s} }

// exec adds a statement without rows.
func (b *batch) exec(text string, args ...any) {
	b.statements = append(b.statements, batchStatement{text: text, args: args})
}

// query adds a statement that selects columns. row is called after each row was scanned into
// their destinations.
func (b *batch) query(c columns, row func(), text string, args ...any) {
	b.statements = append(b.statements, batchStatement{text, args, c, row})
}

// run runs the statements in their order and forgets them.
func (b *batch) run(ctx context.Context) error {
	statements := b.statements
	b.statements = nil
	if len(statements) == 0 {
		return nil
	}
	if b.conn == nil {
		for _, s := range statements {
			if err := b.runAlone(ctx, s); err != nil {
				return err
			}
		}
		return nil
	}
	return b.conn.Raw(func(conn any) error { return b.send(ctx, conn.(*stdlib.Conn).Conn(), statements) })
}

// batchRows are the rows of database/sql and pgx.
type batchRows interface {
	Next() bool
	Scan(...any) error
	Err() error
}

// scan reads all rows of a statement.
func (s batchStatement) scan(rows batchRows) error {
	dests := s.columns.dests()
	for rows.Next() {
		if err := rows.Scan(dests...); err != nil {
			return err
		}
		s.columns.toUTC()
		s.row()
	}
	return rows.Err()
}

func (b *batch) runAlone(ctx context.Context, s batchStatement) error {
	if s.row == nil {
		return b.writer(ctx).Exec(s.text, s.args...).Error
	}
	rows, err := b.writer(ctx).Raw(s.text, s.args...).Rows()
	if err != nil {
		return err
	}
	defer rows.Close()
	return s.scan(rows)
}

// send runs statements on the connection of the transaction.
func (b *batch) send(ctx context.Context, conn *pgx.Conn, statements []batchStatement) (err error) {
	begin := time.Now()
	var list pgx.Batch
	queries := make([]*gorm.DB, len(statements))
	for i, s := range statements {
		queries[i] = b.writer(ctx).Raw(s.text, s.args...) // GORM numbers the parameters
		list.Queue(queries[i].Statement.SQL.String(), queries[i].Statement.Vars...)
	}
	results := conn.SendBatch(ctx, &list)
	defer func() {
		if closed := results.Close(); err == nil {
			err = closed
		}
	}()
	for i, s := range statements {
		if s.row == nil {
			_, err = results.Exec()
		} else {
			var rows pgx.Rows
			if rows, err = results.Query(); err == nil {
				err = s.scan(rows)
				rows.Close()
			}
		}
		query := queries[i]
		query.Logger.Trace(ctx, begin, func() (string, int64) {
			return query.Dialector.Explain(query.Statement.SQL.String(), query.Statement.Vars...), 0
		}, err)
		if err != nil {
			return err
		}
	}
	return nil
}

// batchTransaction is Transaction for functions that use batches.
func (s *Store) batchTransaction(ctx context.Context, fn func(tx *Store) error) error {
	if s.inTx || !s.postgres() {
		return s.Transaction(ctx, fn)
	}
	return s.db.WithContext(ctx).Connection(func(db *gorm.DB) error {
		conn := db.Statement.ConnPool.(*sql.Conn)
		db = db.Session(&gorm.Session{})
		return (&Store{shared: s.shared, db: db, read: db, root: s.root, conn: conn}).Transaction(ctx, fn)
	})
}
