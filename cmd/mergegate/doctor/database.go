package doctor

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/mergegate/mergegate/migrations"
	"github.com/mergegate/mergegate/models"
)

const (
	databaseTimeout = 10 * time.Second
	// quickCheckTimeout limits the check of a SQLite file.
	quickCheckTimeout = time.Minute
	// skewWarning and skewFault are differences between the clocks of this program and
	// of PostgreSQL. Leases of deliveries last 30 seconds.
	skewWarning, skewFault = 2 * time.Second, 20 * time.Second
	// minimumPostgres is the oldest major version that still gets fixes.
	minimumPostgres = 14
)

// database examines the database and opens the store. It reports whether the store can
// be used.
func (e *examination) database(ctx context.Context) bool {
	if e.Driver == models.DriverSQLite {
		if _, err := os.Stat(e.DSN); errors.Is(err, fs.ErrNotExist) {
			e.add("database", Warning, "Start the server, or run `mergegate restore FILE` if there is a backup.", "There is no database yet: %s is missing.", e.DSN)
			return false
		}
	}
	store, err := models.Open(models.Config{
		Driver: e.Driver, DSN: e.DSN, Sealer: e.Sealer, MaxConns: 2, ReadOnly: true, Now: e.Now,
	})
	if err != nil {
		e.unreachable(err)
		return false
	}
	if !e.reachable(ctx, store) || !e.schema(ctx, store.DB()) {
		store.Close()
		return false
	}
	e.store = store
	if e.Driver == models.DriverPostgres {
		e.postgres(ctx, store.DB())
		e.searches(ctx, store)
	} else {
		e.sqlite(ctx, store.DB())
	}
	return true
}

// unreachable adds the fault of a database that cannot be opened.
func (e *examination) unreachable(err error) {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if e.Driver == models.DriverSQLite {
		e.add("database", Fault, "Check the rights of the file, or restore the newest backup with `mergegate restore FILE`.", "The database file cannot be opened: %s.", text)
		return
	}
	e.add("database", Fault, "Start the database, and check the host, port, user and password in MERGEGATE_DATABASE_URL.", "The database does not answer: %s.", text)
}

func (e *examination) reachable(ctx context.Context, store *models.Store) bool {
	limited, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	begin := time.Now()
	query := "SELECT 'SQLite ' || sqlite_version()"
	if e.Driver == models.DriverPostgres {
		query = "SELECT 'PostgreSQL ' || current_setting('server_version')"
	}
	var version string
	err := store.Ping(limited)
	if err == nil {
		begin = time.Now()
		err = store.DB().QueryRowContext(limited, query).Scan(&version)
	}
	if err != nil {
		e.unreachable(err)
		return false
	}
	e.ok("database", "%s answers in %v.", version, time.Since(begin).Round(100*time.Microsecond))
	return true
}

// schema compares the version of the schema with the one that this program needs.
func (e *examination) schema(ctx context.Context, db *sql.DB) bool {
	dialect := migrations.Dialect(e.Driver)
	has, err := migrations.Applied(ctx, db, dialect)
	if err != nil {
		e.add("schema", Fault, "Check the rights of the database user.", "The schema version cannot be read: %v.", err)
		return false
	}
	want, err := migrations.Latest(dialect)
	switch {
	case err != nil:
		e.add("schema", Fault, "Build the program again.", "The migrations of the program cannot be read: %v.", err)
	case has == 0:
		e.add("schema", Warning, "Start the server or run `mergegate migrate`.", "The database is empty.")
	case has < want:
		e.add("schema", Fault, "Run `mergegate migrate`, or start this version of the server, which migrates.", "The schema is version %d and this program needs %d.", has, want)
	case has > want:
		e.add("schema", Fault, "Use the newer Mergegate that migrated the database.", "The schema is version %d and this program knows only %d.", has, want)
	default:
		e.ok("schema", "The schema is version %d, as this program needs.", has)
		return true
	}
	return false
}

func (e *examination) sqlite(ctx context.Context, db *sql.DB) {
	limited, cancel := context.WithTimeout(ctx, quickCheckTimeout)
	defer cancel()
	var result string
	err := db.QueryRowContext(limited, "PRAGMA quick_check(1)").Scan(&result)
	switch {
	case limited.Err() != nil:
		e.add("database", Warning, "Run `sqlite3 mergegate.db 'PRAGMA quick_check'` on a copy.", "The database file is too large to check within %v.", quickCheckTimeout)
	case err != nil:
		e.add("database", Fault, "Restore the newest backup with `mergegate restore FILE`.", "The database file cannot be read: %v.", err)
	case result != "ok":
		e.add("database", Fault, "Restore the newest backup with `mergegate restore FILE`.", "The database file is damaged: %s.", result)
	default:
		e.ok("database", "The database file is intact.")
	}
}

// postgresFacts are what one query reads.
type postgresFacts struct {
	version, maxConnections      int
	standby, mayCreate           bool
	idle, lock, statement, flush string
	now                          time.Time
}

func (e *examination) postgres(ctx context.Context, db *sql.DB) {
	var f postgresFacts
	before := e.Now()
	err := db.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int / 10000, current_setting('max_connections')::int,
		pg_is_in_recovery(), has_schema_privilege(current_schema(), 'CREATE'), current_setting('idle_in_transaction_session_timeout'),
		current_setting('lock_timeout'), current_setting('statement_timeout'), current_setting('fsync'), clock_timestamp()`).
		Scan(&f.version, &f.maxConnections, &f.standby, &f.mayCreate, &f.idle, &f.lock, &f.statement, &f.flush, &f.now)
	if err != nil {
		e.add("database", Fault, "Check the rights of the database user.", "The settings of PostgreSQL cannot be read: %v.", err)
		return
	}
	e.skew(f.now.Sub(before.Add(e.Now().Sub(before) / 2)))
	if f.version < minimumPostgres {
		e.add("database", Warning, "Upgrade PostgreSQL.", "PostgreSQL %d gets no fixes any more.", f.version)
	}
	if f.standby {
		e.add("database", Fault, "Point MERGEGATE_DATABASE_URL to the primary.", "This PostgreSQL is a standby and refuses writes.")
	}
	if !f.mayCreate {
		e.add("database", Warning, "Grant CREATE on the schema to the database user, or migrate with another user.", "The database user may not create tables, so this program cannot migrate the database.")
	}
	if f.flush == "off" {
		e.add("database", Warning, "Set fsync = on in postgresql.conf.", "PostgreSQL runs with fsync = off: a power failure can destroy the database.")
	}
	e.timeLimits(f)
	if e.DatabaseConnections > f.maxConnections-3 {
		e.add("database", Warning, "Lower MERGEGATE_DATABASE_CONNECTIONS or raise max_connections.",
			"One instance may use %d connections and PostgreSQL allows %d in all.", e.DatabaseConnections, f.maxConnections)
	}
}

// searches says how to create indexes of searches that migrations could not create.
func (e *examination) searches(ctx context.Context, store *models.Store) {
	state, err := store.SearchState(ctx)
	var invalid []string
	if err == nil {
		invalid, err = store.InvalidIndexes(ctx)
	}
	if err != nil {
		e.add("searches", Warning, "Check the rights of the database user.", "The indexes of the database cannot be read: %v.", err)
		return
	}
	if len(invalid) > 0 {
		e.add("database", Warning, "If nothing creates them at the moment: REINDEX INDEX CONCURRENTLY "+strings.Join(invalid, "; REINDEX INDEX CONCURRENTLY ")+";",
			"PostgreSQL does not use incomplete indexes: %s.", strings.Join(invalid, ", "))
	}
	if len(state.Missing) == 0 {
		e.ok("searches", "Searches have their indexes.")
		return
	}
	missing := strings.Join(state.Missing, ", ")
	const message = "Searches are slow: PostgreSQL lacks indexes of the extension pg_trgm: %s. %s"
	switch state.Trigrams {
	case models.TrigramsNotInstalled:
		e.add("searches", Warning, "Install the additional modules of PostgreSQL on the database server (postgresql-contrib). "+
			"Then, as a superuser of this database: "+state.SQL, message, missing, "The database server does not have the extension.")
	case models.TrigramsInstalled:
		e.add("searches", Warning, "As a superuser of this database: "+state.SQL, message, missing, "This database does not have the extension.")
	default:
		e.add("searches", Warning, "In this database: "+state.SQL, message, missing, "This database has the extension.")
	}
}

func (e *examination) timeLimits(f postgresFacts) {
	const help = "Remove the setting from MERGEGATE_DATABASE_URL; Mergegate then sets its own."
	ok := true
	for name, value := range map[string]string{"idle_in_transaction_session_timeout": f.idle, "lock_timeout": f.lock} {
		if value == "0" {
			ok = false
			e.add("time limits", Warning, help, "%s is off: an instance that hangs can block all others.", name)
		}
	}
	if limit := milliseconds(f.statement); limit > 0 && limit < 30*time.Second {
		ok = false
		e.add("time limits", Warning, "Raise statement_timeout to at least 30s for this user, or switch it off.", "statement_timeout is %s: long but regular statements may be cancelled.", f.statement)
	}
	if ok {
		e.ok("time limits", "Sessions end after %s idle in a transaction and wait %s for locks.", f.idle, f.lock)
	}
}

// milliseconds reads a time of PostgreSQL, such as 500ms, 10s, 5min or 0.
func milliseconds(text string) time.Duration {
	units := []struct {
		suffix string
		unit   time.Duration
	}{{"ms", time.Millisecond}, {"min", time.Minute}, {"s", time.Second}, {"h", time.Hour}, {"d", 24 * time.Hour}}
	for _, u := range units {
		if digits, ok := strings.CutSuffix(text, u.suffix); ok {
			n, err := strconv.Atoi(digits)
			if err == nil {
				return time.Duration(n) * u.unit
			}
		}
	}
	return 0
}

// skew judges the difference between the clocks of the database and of this program.
func (e *examination) skew(d time.Duration) {
	const help = "Synchronise the clocks of this machine and of the database server with NTP."
	d = d.Round(time.Millisecond)
	switch {
	case d.Abs() >= skewFault:
		e.add("clock", Fault, help, "The clock of the database differs from this machine's by %v. Leases and time-outs will be wrong.", d)
	case d.Abs() >= skewWarning:
		e.add("clock", Warning, help, "The clock of the database differs from this machine's by %v.", d)
	default:
		e.ok("clock", "The clock of the database differs from this machine's by %v.", d)
	}
}
