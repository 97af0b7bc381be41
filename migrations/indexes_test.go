package migrations_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/mergegate/mergegate/migrations"
	"github.com/mergegate/mergegate/models/modelstest"
)

// A backup is a long transaction, for whose end the creation of an index waits. A migration
// that is interrupted meanwhile leaves an incomplete index, which the next one completes. It
// also waits for longer than other statements wait for locks.
func TestUp_LongTransaction_IndexesAreComplete(t *testing.T) {
	database := modelstest.EmptyPostgres(t)
	watcher := database.SQL(t)
	database.DSN += "&lock_timeout=50ms"
	db := database.SQL(t)
	if err := migrations.UpTo(t.Context(), db, migrations.Postgres, 16); err != nil {
		t.Fatal(err)
	}
	backup, err := watcher.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = backup.Rollback() }()
	var n int
	if err := backup.QueryRow("SELECT count(*) FROM projects").Scan(&n); err != nil {
		t.Fatal(err)
	}
	up := func(ctx context.Context) <-chan error {
		done := make(chan error, 1)
		go func() { done <- migrations.Up(ctx, db, migrations.Postgres) }()
		waitUntilIndexWaits(t, watcher, done)
		return done
	}
	// The second time, the completion of the first index is interrupted.
	for left := 1; left <= 2; left++ {
		interrupted, interrupt := context.WithCancel(t.Context())
		done := up(interrupted)
		interrupt()
		if err := <-done; err == nil {
			t.Fatal("the migration was not interrupted")
		}
		until(t, func() bool { return indexSessions(t, watcher, "") == 0 }) // the server notices it later
		if n := incomplete(t, watcher); n != left {
			t.Fatalf("%d indexes are incomplete, want %d", n, left)
		}
	}
	done := up(t.Context())
	if err := backup.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := incomplete(t, watcher); n > 0 {
		t.Errorf("%d indexes are incomplete", n)
	}
	if err := migrations.Check(t.Context(), db, migrations.Postgres); err != nil {
		t.Error(err)
	}
}

// Other statements do not wait for long, because requests would wait behind them.
func TestUp_LongTransaction_OtherChangesFail(t *testing.T) {
	database := modelstest.EmptyPostgres(t)
	database.DSN += "&lock_timeout=50ms"
	db := database.SQL(t)
	if err := migrations.UpTo(t.Context(), db, migrations.Postgres, 18); err != nil {
		t.Fatal(err)
	}
	backup, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = backup.Rollback() }()
	if _, err := backup.Exec("LOCK TABLE service_queues IN ACCESS SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	assertRefused(t, migrations.Up(t.Context(), db, migrations.Postgres), "start again when it has ended")
	if err := backup.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := migrations.Up(t.Context(), db, migrations.Postgres); err != nil {
		t.Error(err)
	}
}

// waitUntilIndexWaits waits until the creation of an index has waited for longer than the
// lock time-out.
func waitUntilIndexWaits(t *testing.T, watcher *sql.DB, done <-chan error) {
	t.Helper()
	until(t, func() bool {
		select {
		case err := <-done:
			t.Fatalf("the migration did not wait: %v", err)
		default:
		}
		return indexSessions(t, watcher, "AND wait_event_type = 'Lock' AND query_start < clock_timestamp() - INTERVAL '200 ms'") > 0
	})
}

// indexSessions counts the sessions that create an index.
func indexSessions(t *testing.T, watcher *sql.DB, condition string) (n int) {
	t.Helper()
	err := watcher.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%INDEX CONCURRENTLY%'
		AND datname = current_database() AND pid <> pg_backend_pid() ` + condition).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func until(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatal("nothing happened for a minute")
}

// incomplete returns how many indexes PostgreSQL does not use.
func incomplete(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRow("SELECT count(*) FROM pg_index WHERE NOT indisvalid").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
