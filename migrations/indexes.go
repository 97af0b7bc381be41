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

// indexLocker is the lock of migrations on PostgreSQL. Who has it first completes indexes
// that an interrupted migration has left behind: PostgreSQL keeps them, does not use them,
// and IF NOT EXISTS skips them.
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

// complete creates incomplete indexes again. Those with another ending are what an
// interruption of this leaves.
func (l *indexLocker) complete(ctx context.Context, conn *sql.Conn) error {
	rows, err := conn.QueryContext(ctx, `SELECT format('%I', c.relname), c.relname = ANY($1) FROM pg_index i
		JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE NOT i.indisvalid AND n.nspname = current_schema() AND regexp_replace(c.relname, '_cc(new|old)[0-9]*$', '') = ANY($1)`, l.indexes)
	if err != nil {
		return err
	}
	defer rows.Close()
	var statements []string
	for rows.Next() {
		var name string
		var whole bool
		if err := rows.Scan(&name, &whole); err != nil {
			return err
		}
		statement := "DROP INDEX CONCURRENTLY "
		if whole {
			statement = "REINDEX INDEX CONCURRENTLY "
		}
		statements = append(statements, statement+name)
	}
	if err := rows.Err(); err != nil || len(statements) == 0 {
		return err
	}
	// They wait for all transactions that have begun before, such as a backup, while others
	// go on.
	statements = append(append([]string{"SET lock_timeout = 0"}, statements...), "RESET lock_timeout")
	for _, statement := range statements {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
