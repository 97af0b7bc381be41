package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
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

// Sealer encrypts values for storage. Open fails unless context is the one that the
// value was sealed with.
type Sealer interface {
	Seal(plain []byte, context string) ([]byte, error)
	Open(sealed []byte, context string) ([]byte, error)
}

// Config configures a store.
type Config struct {
	// Driver is DriverSQLite or DriverPostgres.
	Driver string
	// DSN is the file's path for SQLite, a connection string for PostgreSQL.
	DSN string
	// Now is the clock; nil uses time.Now.
	Now func() time.Time
	// Payload renders an event into the body of a delivery.
	Payload func(Event) ([]byte, error)
	Sealer  Sealer
	Git     Git
	// TraceParent returns the W3C traceparent for the deliveries of an event. Nil means
	// that there is none.
	TraceParent func(context.Context) string
	// Query, unless nil, receives every statement that is sent to the database.
	Query func(sql string)
	// MaxConns limits the connections to PostgreSQL; 0 means 20.
	MaxConns int
	// ReadOnly refuses all writes. On SQLite, such a store may be opened beside the
	// process that writes.
	ReadOnly bool
}

// Store is the domain on a database. It is safe for concurrent use. Each method is one
// operation and runs in its own transaction, or in the transaction of the store that
// Transaction passes to its callback.
type Store struct {
	shared *shared
	db     *gorm.DB // writes, and reads inside a transaction
	read   *gorm.DB // reads outside a transaction
	inTx   bool
	after  *[]func(committed bool) // what afterEnd has collected
	root   *Store                  // the store outside any transaction
	// conn is the connection of a batchTransaction on PostgreSQL.
	conn *sql.Conn
}

type shared struct {
	cfg    Config
	writer *sql.DB
	reader *sql.DB
	// deliveries and autoMerges wake the loops of this process.
	deliveries, autoMerges notifier
	// reservePlace is the function of OfferPlaces.
	reservePlace atomic.Pointer[func(Delivery) Place]
	hooks        Hooks
	running      runningPushes
	// kept has counts and summaries that read many rows.
	kept *lru.Cache[string, keptResult]
}

// Hooks let tests force an order of events inside operations. The program sets none.
type Hooks struct {
	// BeforeMergeLock runs between the preparation of a merge and its lock.
	BeforeMergeLock func()
	// AfterMergeMoved runs after a merge moved the ref and before it updates the row.
	AfterMergeMoved func() error
	// BeforeResponseLock runs before a response locks its merge request.
	BeforeResponseLock func()
	// BeforeAutoMerge runs between the claim of an automatic merge and the merge.
	BeforeAutoMerge func()
	// BeforePushCommit runs at the end of the transaction of a push.
	BeforePushCommit func() error
	// Query receives every statement that is sent to the database.
	Query func(sql string)
}

// SetHooks installs hooks. It is for tests and not safe while operations run.
func (s *Store) SetHooks(h Hooks) { s.shared.hooks = h }

// Open opens the database. The schema must exist: package migrations creates it.
func Open(cfg Config) (*Store, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.TraceParent == nil {
		cfg.TraceParent = func(context.Context) string { return "" }
	}
	sh := &shared{cfg: cfg}
	var err error
	if sh.kept, err = lru.New[string, keptResult](maxKept); err != nil {
		return nil, err
	}
	sh.deliveries.init()
	sh.autoMerges.init()
	var writer, reader gorm.Dialector
	switch cfg.Driver {
	case DriverSQLite:
		var err error
		if cfg.ReadOnly {
			sh.reader, err = OpenSQLiteReader(cfg.DSN)
			sh.writer = sh.reader
		} else {
			sh.writer, sh.reader, err = openSQLite(cfg.DSN)
		}
		if err != nil {
			return nil, err
		}
		writer, reader = &gormsqlite.Dialector{Conn: sh.writer}, &gormsqlite.Dialector{Conn: sh.reader}
	case DriverPostgres:
		open := OpenPostgres
		if cfg.ReadOnly {
			open = OpenPostgresReader
		}
		db, err := open(cfg.DSN)
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
		reader = postgres.New(postgres.Config{Conn: plannedReads{db}})
	default:
		return nil, fmt.Errorf("models: unknown database driver %q", cfg.Driver)
	}
	conf := func() *gorm.Config {
		return &gorm.Config{
			Logger:                 queryTrace{Interface: logger.Discard, shared: sh},
			SkipDefaultTransaction: true,
			// Statements name their columns: with SELECT *, those that PostgreSQL has prepared
			// fail when a newer version adds a column while this one serves.
			QueryFields: true,
			NowFunc:     func() time.Time { return dbTime(cfg.Now()) },
			// Associated rows are only written by explicit statements.
			FullSaveAssociations: false,
		}
	}
	w, err := gorm.Open(writer, conf())
	if err != nil {
		sh.close()
		return nil, fmt.Errorf("models: open %s: %w", cfg.Driver, err)
	}
	r, err := gorm.Open(reader, conf())
	if err != nil {
		sh.close()
		return nil, fmt.Errorf("models: open %s: %w", cfg.Driver, err)
	}
	w = w.Omit(clause.Associations).Session(&gorm.Session{})
	store := &Store{shared: sh, db: w, read: r}
	store.root = store
	return store, nil
}

// Close closes the database. The store must not be used afterwards.
func (s *Store) Close() error { return s.shared.close() }

func (sh *shared) close() error {
	err := sh.writer.Close()
	if sh.reader != sh.writer && sh.reader != nil {
		err = errors.Join(err, sh.reader.Close())
	}
	return err
}

// Ping returns an error if the database does not answer.
func (s *Store) Ping(ctx context.Context) error { return s.shared.writer.PingContext(ctx) }

// Driver returns DriverSQLite or DriverPostgres.
func (s *Store) Driver() string { return s.shared.cfg.Driver }

// DB returns the pool that writes, for the schema check at start-up and for tests.
func (s *Store) DB() *sql.DB { return s.shared.writer }

// Pools returns the connection pools by name: one on PostgreSQL, the writer and the
// readers on SQLite.
func (s *Store) Pools() map[string]*sql.DB {
	if s.postgres() {
		return map[string]*sql.DB{"postgres": s.shared.writer}
	}
	return map[string]*sql.DB{"writer": s.shared.writer, "reader": s.shared.reader}
}

// Now returns the time of the store's clock, in UTC and whole microseconds.
func (s *Store) Now() time.Time { return dbTime(s.shared.cfg.Now()) }

// postgres reports whether the database is PostgreSQL.
func (s *Store) postgres() bool { return s.shared.cfg.Driver == DriverPostgres }

// reader returns the database for reads: the transaction if there is one, else the read
// pool, where PostgreSQL plans each statement for its values.
func (s *Store) reader(ctx context.Context) *gorm.DB {
	if s.inTx {
		return s.db.WithContext(ctx)
	}
	return s.read.WithContext(ctx)
}

// preparedReader is reader for frequent statements with the same plan for all values.
// PostgreSQL keeps them prepared; SQLite does so for all statements.
func (s *Store) preparedReader(ctx context.Context) *gorm.DB {
	if s.postgres() {
		return s.db.WithContext(ctx)
	}
	return s.reader(ctx)
}

// writer returns the database for writes.
func (s *Store) writer(ctx context.Context) *gorm.DB { return s.db.WithContext(ctx) }

// forUpdate locks the rows that a query reads. On SQLite the write transaction itself
// is the lock.
func (s *Store) forUpdate(db *gorm.DB) *gorm.DB { return s.locking(db, "NO KEY UPDATE") }

func (s *Store) locking(db *gorm.DB, strength string) *gorm.DB {
	if !s.postgres() {
		return db
	}
	return db.Clauses(clause.Locking{Strength: strength, Table: clause.Table{Name: clause.CurrentTable}})
}

// maxTransactionTries is how often a transaction runs if PostgreSQL reports deadlocks.
const maxTransactionTries = 5

// Transaction runs fn in a transaction and rolls it back if fn returns an error. fn
// must use tx instead of s. Inside a transaction it creates a savepoint. fn may run
// several times, because a transaction that PostgreSQL aborts as a deadlock victim is
// repeated.
func (s *Store) Transaction(ctx context.Context, fn func(tx *Store) error) error {
	if s.inTx {
		return s.runTransaction(ctx, s.after, fn)
	}
	for try := 1; ; try++ {
		var after []func(committed bool)
		err := s.runTransaction(ctx, &after, fn)
		if err != nil && try < maxTransactionTries && isDeadlock(err) {
			continue
		}
		if err == nil {
			for _, f := range after {
				f(true)
			}
		}
		return err
	}
}

// runTransaction runs fn in one transaction or savepoint. If that is rolled back, also by
// a panic, it calls the functions that fn has added to after.
func (s *Store) runTransaction(ctx context.Context, after *[]func(committed bool), fn func(tx *Store) error) error {
	before, committed := len(*after), false
	defer func() {
		if committed {
			return
		}
		rolledBack := (*after)[before:]
		*after = (*after)[:before]
		for _, f := range rolledBack {
			f(false)
		}
	}()
	err := s.db.WithContext(ctx).Transaction(func(db *gorm.DB) error {
		return fn(&Store{shared: s.shared, db: db, read: db, inTx: true, after: after, root: s.root, conn: s.conn})
	})
	committed = err == nil
	return err
}

// quickTransaction is Transaction, but on SQLite the commit does not wait for the disk, so
// a power failure may undo it. It is never undone without the transactions after it. On
// PostgreSQL it equals batchTransaction, and fn sets synchronous_commit.
func (s *Store) quickTransaction(ctx context.Context, fn func(tx *Store) error) error {
	if s.inTx || s.postgres() {
		return s.batchTransaction(ctx, fn)
	}
	return s.db.WithContext(ctx).Connection(func(conn *gorm.DB) (err error) {
		conn = conn.Session(&gorm.Session{})
		if err := conn.Exec("PRAGMA synchronous = NORMAL").Error; err != nil {
			return err
		}
		defer func() {
			err = errors.Join(err, conn.WithContext(context.WithoutCancel(ctx)).Exec("PRAGMA synchronous = FULL").Error)
		}()
		return (&Store{shared: s.shared, db: conn, read: conn, root: s.root}).Transaction(ctx, fn)
	})
}

// afterCommit runs f after the transaction is committed. It must be called in a
// transaction.
func (s *Store) afterCommit(f func()) {
	s.afterEnd(func(committed bool) {
		if committed {
			f()
		}
	})
}

// afterEnd runs f once after the transaction, or its savepoint, is committed or rolled
// back. It must be called in a transaction.
func (s *Store) afterEnd(f func(committed bool)) { *s.after = append(*s.after, f) }

// ID returns a pointer to id for an optional reference, nil for 0.
func ID(id int64) *int64 {
	if id == 0 {
		return nil
	}
	return &id
}

// Page selects one page of a list. Number starts at 1; a Size of 0 selects the whole
// list.
type Page struct {
	Number, Size int
	// After, unless nil, selects the rows after a row instead of a page by its number.
	// Then the rows are not counted. Only some lists support it.
	After *Cursor
}

// Cursor is a row's place in a list: its id, and its time if the list has the order of a
// time. The zero value is the place before the first row, whatever the order.
type Cursor struct {
	ID   int64
	Time time.Time
}

func (p Page) apply(db *gorm.DB) *gorm.DB {
	if p.Size <= 0 {
		return db
	}
	if p.After != nil {
		return db.Limit(p.Size)
	}
	number := max(p.Number, 1)
	return db.Offset((number - 1) * p.Size).Limit(p.Size)
}

// maxSearch is the number of characters of a search that are used: SQLite refuses
// patterns of more than 50,000 bytes.
const maxSearch = 1000

// likeContains returns a LIKE pattern for "contains s". Use it with ESCAPE '\'.
func likeContains(s string) string {
	if runes := []rune(s); len(runes) > maxSearch {
		s = string(runes[:maxSearch])
	}
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s) + "%"
}
