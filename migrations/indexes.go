package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/pressly/goose/v3/lock"
)

// concurrently matches the statement that creates an index while others write.
var concurrently = regexp.MustCompile(`(?i)\bcreate\s+index\s+concurrently\s+if\s+not\s+exists\s+(\w+)`)

// indexLocker is the lock of migrations on PostgreSQL. When it is taken, it completes the
// indexes that an interrupted migration has left incomplete. PostgreSQL does not use these,
// and the repeated migration skips them because of IF NOT EXISTS.
type indexLocker struct {
	lock.SessionLocker
	// indexes are those that migrations create concurrently.
	indexes []string
}

func newIndexLocker(fsys fs.FS) (*indexLocker, error) {
	inner, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, err
	}
	l := &indexLocker{SessionLocker: inner}
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		for _, match := range concurrently.FindAllSubmatch(text, -1) {
			l.indexes = append(l.indexes, string(match[1]))
		}
	}
	return l, nil
}

// SessionLock implements lock.SessionLocker.
func (l *indexLocker) SessionLock(ctx context.Context, conn *sql.Conn) error {
	if err := l.SessionLocker.SessionLock(ctx, conn); err != nil {
		return err
	}
	if err := l.complete(ctx, conn); err != nil {
		return errors.Join(fmt.Errorf("complete the indexes of an interrupted migration: %w", err),
			l.SessionUnlock(context.WithoutCancel(ctx), conn))
	}
	return nil
}

// complete creates incomplete indexes again. If it is interrupted, an index whose name ends
// with _ccnew or _ccold is left, which the next call removes.
func (l *indexLocker) complete(ctx context.Context, conn *sql.Conn) error {
	rows, err := conn.QueryContext(ctx, `SELECT CASE WHEN c.relname = ANY($1) THEN 'REINDEX' ELSE 'DROP' END || ' INDEX CONCURRENTLY ' || quote_ident(c.relname)
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE NOT i.indisvalid AND n.nspname = current_schema() AND regexp_replace(c.relname, '_cc(new|old)[0-9]*$', '') = ANY($1)`, l.indexes)
	if err != nil {
		return err
	}
	defer rows.Close()
	// They wait for all transactions that have begun before, such as a backup, while others
	// go on.
	statements := []string{"SET lock_timeout = 0"}
	for rows.Next() {
		var statement string
		if err := rows.Scan(&statement); err != nil {
			return err
		}
		statements = append(statements, statement)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, statement := range append(statements, "RESET lock_timeout") {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
