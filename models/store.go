package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/driver/postgres"
	gormsqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
)

// The two databases.
const (
	DriverSQLite   = "sqlite"
	DriverPostgres = "postgres"
)

// Sealer encrypts what must not lie in the database in plain. context binds a
// sealed value to its place.
type Sealer interface {
	Seal(plain []byte, context string) ([]byte, error)
	Open(sealed []byte, context string) ([]byte, error)
}

// Config is what a store is opened with.
type Config struct {
	// Driver is DriverSQLite or DriverPostgres.
	Driver string
	// DSN is the file's path for SQLite, a connection string for PostgreSQL.
	DSN string
	// Now is the clock; nil for the real one.
	Now func() time.Time
	// Payload renders an event into the bytes that a delivery keeps.
	Payload func(Event) ([]byte, error)
	Sealer  Sealer
	Git     Git
	// MaxConns limits the connections to PostgreSQL; 0 for 20.
	MaxConns int
}

// Store keeps the entities in a database. It is safe for concurrent use.
// Methods are the operations of the domain; each is one transaction, or takes
// part in the one it is called in.
type Store struct {
	shared *shared
	db     *gorm.DB // writes, and reads inside a transaction
	read   *gorm.DB // reads outside a transaction
	inTx   bool
	after  *[]func()
	root   *Store // the store outside any transaction
}

type shared struct {
	cfg      Config
	writer   *sql.DB
	reader   *sql.DB
	notifier deliveryNotifier
	hooks    Hooks
	// prepared reads by statements that SQLite keeps prepared.
	prepared *gorm.DB
	running  runningPushes
}

// Hooks let a test force an order of events inside operations. The shipped
// binary sets none.
type Hooks struct {
	// BeforeMergeLock runs between the preparation of a merge and its lock.
	BeforeMergeLock func()
	// AfterMergeMoved runs between the ref and the row of a merge.
	AfterMergeMoved func() error
	// BeforeResponseLock runs before a response locks its merge request.
	BeforeResponseLock func()
	// BeforePushCommit runs at the end of the transaction of a push.
	BeforePushCommit func() error
	// Query is told every statement that is sent to the database.
	Query func(sql string)
}

// SetHooks installs hooks; for tests.
func (s *Store) SetHooks(h Hooks) { s.shared.hooks = h }

// Open opens the database. The schema must be there: migrations are the
// command's business.
func Open(cfg Config) (*Store, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	sh := &shared{cfg: cfg}
	sh.notifier.init()
	var writer, reader gorm.Dialector
	switch cfg.Driver {
	case DriverSQLite:
		var err error
		if sh.writer, sh.reader, err = openSQLite(cfg.DSN); err != nil {
			return nil, err
		}
		writer, reader = &gormsqlite.Dialector{Conn: sh.writer}, &gormsqlite.Dialector{Conn: sh.reader}
	case DriverPostgres:
		db, err := OpenPostgres(cfg.DSN)
		if err != nil {
			return nil, err
		}
		if cfg.MaxConns == 0 {
			cfg.MaxConns = 20
		}
		db.SetMaxOpenConns(cfg.MaxConns)
		db.SetMaxIdleConns(cfg.MaxConns)
		db.SetConnMaxIdleTime(5 * time.Minute)
		sh.writer, sh.reader = db, db
		writer = postgres.New(postgres.Config{Conn: db})
		reader = writer
	default:
		return nil, fmt.Errorf("models: unknown database driver %q", cfg.Driver)
	}
	conf := func() *gorm.Config {
		return &gorm.Config{
			Logger:                 queryTrace{Interface: logger.Discard, shared: sh},
			SkipDefaultTransaction: true,
			NowFunc:                func() time.Time { return dbTime(cfg.Now()) },
			// Associations are written by name, never by surprise.
			FullSaveAssociations: false,
		}
	}
	w, err := gorm.Open(writer, conf())
	if err != nil {
		sh.close()
		return nil, fmt.Errorf("models: open %s: %w", cfg.Driver, err)
	}
	r := w
	if sh.reader != sh.writer {
		if r, err = gorm.Open(reader, conf()); err != nil {
			sh.close()
			return nil, fmt.Errorf("models: open %s: %w", cfg.Driver, err)
		}
	}
	sh.prepared = r.Session(&gorm.Session{PrepareStmt: true})
	w = w.Omit(clause.Associations).Session(&gorm.Session{})
	store := &Store{shared: sh, db: w, read: r}
	store.root = store
	return store, nil
}

// Close closes the database. Nothing may use the store afterwards.
func (s *Store) Close() error { return s.shared.close() }

func (sh *shared) close() error {
	err := sh.writer.Close()
	if sh.reader != sh.writer && sh.reader != nil {
		err = errors.Join(err, sh.reader.Close())
	}
	return err
}

// Ping asks whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.shared.writer.PingContext(ctx) }

// Driver is DriverSQLite or DriverPostgres.
func (s *Store) Driver() string { return s.shared.cfg.Driver }

// DB gives the pool that writes, for migrations' version gate and tests.
func (s *Store) DB() *sql.DB { return s.shared.writer }

// Now is the store's clock, in UTC and microseconds.
func (s *Store) Now() time.Time { return dbTime(s.shared.cfg.Now()) }

// postgresStore reports whether rows can be locked one by one.
func (s *Store) postgres() bool { return s.shared.cfg.Driver == DriverPostgres }

// reader is the database for reads: the transaction's own, or the read pool.
func (s *Store) reader(ctx context.Context) *gorm.DB {
	if s.inTx {
		return s.db.WithContext(ctx)
	}
	return s.read.WithContext(ctx)
}

// preparedReader is reader for the few statements of which there are many. SQLite keeps them
// prepared; PostgreSQL's driver does so by itself.
func (s *Store) preparedReader(ctx context.Context) *gorm.DB {
	if s.inTx || s.postgres() {
		return s.reader(ctx)
	}
	return s.shared.prepared.WithContext(ctx)
}

// writer is the database for writes.
func (s *Store) writer(ctx context.Context) *gorm.DB { return s.db.WithContext(ctx) }

// forUpdate locks the rows that a query reads. On SQLite the transaction
// itself is the lock.
func (s *Store) forUpdate(db *gorm.DB) *gorm.DB { return s.locking(db, "NO KEY UPDATE") }

func (s *Store) locking(db *gorm.DB, strength string) *gorm.DB {
	if !s.postgres() {
		return db
	}
	return db.Clauses(clause.Locking{Strength: strength, Table: clause.Table{Name: clause.CurrentTable}})
}

// maxTransactionTries bounds how often PostgreSQL may make one transaction the
// victim of a deadlock.
const maxTransactionTries = 5

// Transaction runs fn in a transaction: everything or nothing. Inside fn only
// tx may be used. Called on a store that is in a transaction it makes a
// savepoint. fn may run again when PostgreSQL chose the transaction as the
// victim of a deadlock.
func (s *Store) Transaction(ctx context.Context, fn func(tx *Store) error) error {
	if s.inTx {
		return s.db.WithContext(ctx).Transaction(func(db *gorm.DB) error {
			return fn(&Store{shared: s.shared, db: db, read: db, inTx: true, after: s.after, root: s.root})
		})
	}
	for try := 1; ; try++ {
		var after []func()
		err := s.db.WithContext(ctx).Transaction(func(db *gorm.DB) error {
			return fn(&Store{shared: s.shared, db: db, read: db, inTx: true, after: &after, root: s.root})
		})
		if err != nil {
			if try < maxTransactionTries && isDeadlock(err) {
				continue
			}
			return err
		}
		for _, f := range after {
			f()
		}
		return nil
	}
}

// afterCommit runs f once the transaction has been committed.
func (s *Store) afterCommit(f func()) { *s.after = append(*s.after, f) }

// ID points at an id; a helper for optional references.
func ID(id int64) *int64 {
	if id == 0 {
		return nil
	}
	return &id
}

// Page is one page of a list: Number from 1, Size entries.
type Page struct{ Number, Size int }

func (p Page) apply(db *gorm.DB) *gorm.DB {
	if p.Size <= 0 {
		return db
	}
	number := max(p.Number, 1)
	return db.Offset((number - 1) * p.Size).Limit(p.Size)
}

// maxSearch is how many characters of a search are looked for. Longer texts
// are cut: SQLite refuses patterns beyond 50,000 bytes.
const maxSearch = 1000

// likeContains is a LIKE pattern for "contains", with LIKE's own characters
// escaped by a backslash; use it with ESCAPE '\'.
func likeContains(s string) string {
	if runes := []rune(s); len(runes) > maxSearch {
		s = string(runes[:maxSearch])
	}
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s) + "%"
}
