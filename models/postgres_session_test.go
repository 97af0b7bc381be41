package models_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// sessionLimits are the settings that keep a suspended instance from blocking others.
var sessionLimits = []string{
	"idle_in_transaction_session_timeout", "lock_timeout",
}

// Settings in the connection string take precedence.
func TestOpenPostgres_SetsTimeLimits(t *testing.T) {
	db := modelstest.Postgres(t)
	show := func(pool *sql.DB, name string) (value string) {
		if err := pool.QueryRow("SELECT current_setting($1)", name).Scan(&value); err != nil {
			t.Fatal(err)
		}
		return value
	}
	pool, err := models.OpenPostgres(db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, name := range sessionLimits {
		if value := show(pool, name); value == "0" {
			t.Errorf("%s has no limit", name)
		}
	}
	chosen, err := models.OpenPostgres(db.DSN + "&lock_timeout=7s&options=-c%20idle_in_transaction_session_timeout%3D8s")
	if err != nil {
		t.Fatal(err)
	}
	defer chosen.Close()
	if lock, idle := show(chosen, "lock_timeout"), show(chosen, "idle_in_transaction_session_timeout"); lock != "7s" || idle != "8s" {
		t.Errorf("lock_timeout %s, idle_in_transaction_session_timeout %s", lock, idle)
	}
}

// A connection that the server ended right after its last use is not used again.
func TestOpenPostgres_ServerEndsConnections_NextStatementsWork(t *testing.T) {
	db := modelstest.Postgres(t)
	pool, err := models.OpenPostgres(db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	const size = 8
	pool.SetMaxIdleConns(size)
	// Each connection is used twice: pgx pings one before its second use in any case.
	for range 2 {
		var used [size]*sql.Conn
		for i := range used {
			if used[i], err = pool.Conn(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, conn := range used {
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	admin, err := models.OpenPostgres(db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	var ended int
	if err := admin.QueryRow(`SELECT count(*) FROM pg_stat_activity, pg_terminate_backend(pid, 10000)
		WHERE datname = current_database() AND pid <> pg_backend_pid()`).Scan(&ended); err != nil || ended != size {
		t.Fatalf("ended %d connections: %v", ended, err)
	}
	if tx, err := pool.Begin(); err != nil {
		t.Errorf("transaction: %v", err)
	} else if err := tx.Rollback(); err != nil {
		t.Errorf("rollback: %v", err)
	}
	for range size {
		if _, err := pool.Exec("SELECT 1"); err != nil {
			t.Errorf("statement: %v", err)
		}
	}
}

// suspend runs hold, which begins a transaction, and suspends it where it calls
// suspendHere until the test ends, as SIGSTOP does to a process.
func suspend(t *testing.T, hold func(suspendHere func())) {
	t.Helper()
	holding, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		hold(func() { close(holding); <-release })
	}()
	t.Cleanup(func() { close(release); <-done })
	select {
	case <-holding:
	case <-time.After(time.Minute):
		t.Fatal("the transaction did not begin")
	}
}

// suspendedLimit is the limit of idle transactions in these tests, and maxBlocked
// how soon the others must go on.
const (
	suspendedLimit = "&idle_in_transaction_session_timeout=1s"
	maxBlocked     = 8 * time.Second
)

func TestSuspendedInstance_LocksMergeRequest_OthersContinue(t *testing.T) {
	db := modelstest.Postgres(t)
	db.DSN += suspendedLimit
	w := modelstest.New(t, db)
	mr := w.MergeRequest("feature", "main")
	other := modelstest.Open(t, db, modelstest.WithGit(w.Git))
	title := "other"
	suspend(t, func(suspendHere func()) {
		mine := "stopped"
		err := w.Store.Transaction(context.Background(), func(tx *models.Store) error {
			if _, err := tx.UpdateMergeRequest(context.Background(), w.Owner, mr.ProjectID, mr.IID, models.MergeRequestUpdate{Title: &mine}); err != nil {
				return err
			}
			suspendHere()
			return nil
		})
		if err == nil {
			t.Error("the stopped transaction was committed")
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), maxBlocked)
	defer cancel()
	got, err := other.Store.UpdateMergeRequest(ctx, w.Owner, mr.ProjectID, mr.IID, models.MergeRequestUpdate{Title: &title})
	if err != nil || got.Title != title {
		t.Errorf("got title %q, %v", got.Title, err)
	}
}

func TestSuspendedInstance_HoldsClaim_OthersContinue(t *testing.T) {
	db := modelstest.Postgres(t)
	db.DSN += suspendedLimit
	w := modelstest.New(t, db)
	w.Service("lint")
	w.MergeRequest("feature", "main")
	other := modelstest.Open(t, db, modelstest.WithGit(w.Git))
	suspend(t, func(suspendHere func()) {
		if _, err := w.Store.Claim(context.Background(), models.ClaimOptions{Limit: 1, Admit: func(models.Delivery, bool) bool {
			suspendHere()
			return true
		}}); err == nil {
			t.Error("the stopped claim was committed")
		}
	})
	begin := time.Now()
	if _, err := other.Store.Claim(t.Context(), models.ClaimOptions{Limit: 1}); !errors.Is(err, models.ErrClaimBusy) {
		t.Errorf("a concurrent claim returned %v", err)
	}
	for {
		claimed, err := other.Store.Claim(t.Context(), models.ClaimOptions{Limit: 1})
		if err == nil && len(claimed) == 1 {
			return
		}
		if err != nil && !errors.Is(err, models.ErrClaimBusy) {
			t.Fatal(err)
		}
		if time.Since(begin) > maxBlocked {
			t.Fatalf("nothing can be claimed within %v", maxBlocked)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
