package modelstest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver named "pgx"

	"github.com/mergegate/mergegate/migrations"
	"github.com/mergegate/mergegate/models"
)

// DSNVariable names the environment variable with the URL of a PostgreSQL server on
// which tests may create and drop databases.
const DSNVariable = "MERGEGATE_TEST_POSTGRES_DSN"

// templateLock is the advisory lock that a process holds while it creates the template
// database.
const templateLock = 0x6d67_7465

// Postgres returns a fresh PostgreSQL database that has the schema. It is dropped when
// the test ends. The test is skipped if DatabasesVariable limits the tests to SQLite.
func Postgres(t testing.TB) Database {
	t.Helper()
	needPostgres(t)
	template, err := templateDatabase()
	if err != nil {
		t.Fatalf("prepare PostgreSQL for tests: %v", err)
	}
	return Database{Driver: "postgres", DSN: newPostgresDatabase(t, template)}
}

// EmptyPostgres is Postgres without the schema.
func EmptyPostgres(t testing.TB) Database {
	t.Helper()
	needPostgres(t)
	return Database{Driver: "postgres", DSN: newPostgresDatabase(t, "template0")}
}

// RestrictedPostgres is EmptyPostgres with a user who may create tables but no extensions.
// It also returns the database with its superuser.
func RestrictedPostgres(t testing.TB) (restricted, superuser Database) {
	t.Helper()
	server := EmptyPostgres(t).SQL(t)
	role := "test_" + strings.ToLower(rand.Text())
	if _, err := server.Exec("CREATE ROLE " + role + " LOGIN"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the database with the rights of the role was dropped
		if _, err := server.Exec("DROP ROLE " + role); err != nil {
			t.Error(err)
		}
	})
	superuser = EmptyPostgres(t)
	if _, err := superuser.SQL(t).Exec("GRANT ALL ON SCHEMA public TO " + role); err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(superuser.DSN)
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.User(role)
	return Database{Driver: superuser.Driver, DSN: address.String()}, superuser
}

// needPostgres skips the test if the tests are limited to SQLite.
func needPostgres(t testing.TB) {
	t.Helper()
	if os.Getenv(DatabasesVariable) == models.DriverSQLite {
		t.Skip("make test runs this test on PostgreSQL")
	}
}

// newPostgresDatabase copies a template database and returns the URL of the copy.
func newPostgresDatabase(t testing.TB, template string) string {
	t.Helper()
	dsn, drop, err := copyPostgres(template)
	if err != nil {
		t.Fatalf("create a PostgreSQL database: %v", err)
	}
	t.Cleanup(func() {
		if err := drop(); err != nil {
			t.Errorf("drop the PostgreSQL database of the test: %v", err)
		}
	})
	return dsn
}

// copyPostgres copies a template database and returns the URL of the copy.
func copyPostgres(template string) (dsn string, drop func() error, err error) {
	server, err := serverDSN()
	if err != nil {
		return "", nil, err
	}
	name := "test_" + strings.ToLower(rand.Text()[:16])
	err = asAdministrator(func(admin *pgx.Conn) error { return createDatabase(context.Background(), admin, name, template) })
	return withDatabase(server, name), func() error {
		return asAdministrator(func(admin *pgx.Conn) error {
			_, err := admin.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
			return err
		})
	}, err
}

// administrator is the connection that creates and drops databases. It stays open: a new
// one costs more than a database. Unlike a pool, it has no goroutine that a leak check
// would find.
var administrator struct {
	sync.Mutex
	*pgx.Conn
}

// asAdministrator calls f with the administrator's connection.
func asAdministrator(f func(admin *pgx.Conn) error) error {
	ctx := context.Background()
	administrator.Lock()
	defer administrator.Unlock()
	if administrator.Conn != nil && administrator.Ping(ctx) != nil { // the server has restarted
		_ = administrator.Close(ctx)
		administrator.Conn = nil
	}
	if administrator.Conn == nil {
		dsn, err := serverDSN()
		if err != nil {
			return err
		}
		if administrator.Conn, err = pgx.Connect(ctx, dsn); err != nil {
			administrator.Conn = nil
			return fmt.Errorf("reach the server: %w", err)
		}
	}
	return f(administrator.Conn)
}

// templateDatabase returns the name of a database that has the schema and no rows. The
// first caller on a server creates it, in any process.
var templateDatabase = sync.OnceValues(func() (name string, err error) {
	hash, err := schemaHash(migrations.Postgres)
	if err != nil {
		return "", err
	}
	name = "template_" + hash
	return name, asAdministrator(func(admin *pgx.Conn) error {
		ctx := context.Background()
		if _, err := admin.Exec(ctx, "SELECT pg_advisory_lock($1)", templateLock); err != nil {
			return err
		}
		defer func() { _, _ = admin.Exec(ctx, "SELECT pg_advisory_unlock($1)", templateLock) }()
		var exists bool
		const query = "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)"
		if err := admin.QueryRow(ctx, query, name).Scan(&exists); err != nil || exists {
			return err
		}
		return makeTemplate(ctx, admin, name)
	})
})

// makeTemplate migrates a database under a temporary name and then renames it, so a
// process that dies does not leave an incomplete template.
func makeTemplate(ctx context.Context, admin *pgx.Conn, name string) error {
	unfinished := name + "_unfinished"
	if _, err := admin.Exec(ctx, "DROP DATABASE IF EXISTS "+unfinished+" WITH (FORCE)"); err != nil {
		return err
	}
	if err := createDatabase(ctx, admin, unfinished, "template0"); err != nil {
		return err
	}
	db, err := sql.Open("pgx", withDatabase(admin.Config().ConnString(), unfinished))
	if err != nil {
		return err
	}
	err = migrations.Up(ctx, db, migrations.Postgres)
	// PostgreSQL neither renames nor copies a database with open connections.
	if closed := db.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	_, err = admin.Exec(ctx, "ALTER DATABASE "+unfinished+" RENAME TO "+name)
	return err
}

func createDatabase(ctx context.Context, admin *pgx.Conn, name, template string) error {
	var version int
	const query = "SELECT current_setting('server_version_num')::int"
	if err := admin.QueryRow(ctx, query).Scan(&version); err != nil {
		return err
	}
	create := "CREATE DATABASE " + name + " TEMPLATE " + template
	if version >= 150000 { // before, copying files was the only way
		create += " STRATEGY file_copy"
	}
	_, err := admin.Exec(ctx, create)
	return err
}

// withDatabase returns dsn with another database name.
func withDatabase(dsn, name string) string {
	u, err := url.Parse(dsn)
	if err != nil { // serverDSN has parsed it
		panic(err)
	}
	u.Path = "/" + name
	return u.String()
}

var ownServer struct {
	sync.Mutex
	*Server
}

// serverDSN returns the URL of the server's administrative database. It starts a server
// if DSNVariable is not set.
func serverDSN() (string, error) {
	if dsn := os.Getenv(DSNVariable); dsn != "" {
		u, err := url.Parse(dsn)
		if err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
			return "", fmt.Errorf("%s must be an address like postgres://user@host/database", DSNVariable)
		}
		return dsn, nil
	}
	ownServer.Lock()
	defer ownServer.Unlock()
	if ownServer.Server == nil {
		server, err := StartServer()
		if err != nil {
			return "", err
		}
		ownServer.Server = server
	}
	return ownServer.DSN, nil
}

func stopOwnServer() {
	ownServer.Lock()
	defer ownServer.Unlock()
	if ownServer.Server != nil {
		ownServer.Stop()
		ownServer.Server = nil
	}
}
