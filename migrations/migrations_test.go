package migrations_test

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/mergegate/mergegate/migrations"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestMain(m *testing.M) { os.Exit(modelstest.Main(m)) }

func fixture(statements ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for i, statement := range statements {
		name := "0000" + string(rune('1'+i)) + "_fixture.sql"
		files[name] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + statement + ";\n")}
	}
	return files
}

var (
	first  = fixture("CREATE TABLE pears (id bigint PRIMARY KEY)")
	second = fixture("CREATE TABLE pears (id bigint PRIMARY KEY)", "ALTER TABLE pears ADD COLUMN ripe integer")
)

func TestUpAndCheck_AcceptsOnlyTheMatchingVersion(t *testing.T) {
	modelstest.EachEmpty(t, func(t *testing.T, database modelstest.Database) {
		ctx, db, d := t.Context(), database.SQL(t), database.Dialect()
		if err := migrations.UpFiles(ctx, db, d, first); err != nil {
			t.Fatal(err)
		}
		if err := migrations.CheckFiles(ctx, db, d, first); err != nil {
			t.Errorf("a migrated database is refused: %v", err)
		}
		assertRefused(t, migrations.CheckFiles(ctx, db, d, second), "run `mergegate migrate` first")

		for range 2 { // the second run does nothing
			if err := migrations.UpFiles(ctx, db, d, second); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := db.ExecContext(ctx, "INSERT INTO pears (id, ripe) VALUES (1, 1)"); err != nil {
			t.Error(err)
		}
		if version, err := migrations.VersionFiles(ctx, db, d, second); err != nil || version != 2 {
			t.Errorf("version %d, %v; want 2", version, err)
		}
		assertRefused(t, migrations.CheckFiles(ctx, db, d, first), "migrated by a newer Mergegate")
	})
}

func TestCheck_EmptyDatabase_IsRefused(t *testing.T) {
	modelstest.EachEmpty(t, func(t *testing.T, database modelstest.Database) {
		err := migrations.CheckFiles(t.Context(), database.SQL(t), database.Dialect(), second)
		assertRefused(t, err, "schema is version 0 and this program needs 2")
	})
}

// Without the session lock, all instances but one would fail because the table exists.
func TestUp_ConcurrentInstances_MigrateOnce(t *testing.T) {
	database := modelstest.EmptyPostgres(t)
	slow := fixture("SELECT pg_sleep(0.2)", "CREATE TABLE quinces (id bigint)")
	var instances sync.WaitGroup
	for range 4 {
		db := database.SQL(t)
		instances.Go(func() {
			if err := migrations.UpFiles(t.Context(), db, migrations.Postgres, slow); err != nil {
				t.Error(err)
			}
		})
	}
	instances.Wait()
}

func TestDialects_HaveTheSameVersions(t *testing.T) {
	var names [2][]string
	for i, d := range []migrations.Dialect{migrations.Postgres, migrations.SQLite} {
		fsys, err := migrations.Files(d)
		if err != nil {
			t.Fatal(err)
		}
		if names[i], err = fs.Glob(fsys, "*.sql"); err != nil {
			t.Fatal(err)
		}
		newest, err := migrations.LatestFiles(fsys)
		last := names[i][len(names[i])-1]
		if err != nil || !strings.HasPrefix(last, fmt.Sprintf("%05d_", newest)) {
			t.Errorf("%s: newest version %d, %v; want that of %s", d, newest, err, last)
		}
	}
	if !slices.Equal(names[0], names[1]) {
		t.Errorf("postgres has %v, sqlite has %v", names[0], names[1])
	}
}

func TestFiles_UnknownDialect_Fails(t *testing.T) {
	if _, err := migrations.Files("oracle"); err == nil {
		t.Error("no error for an unknown dialect")
	}
}

// assertRefused fails unless err is one line that contains want.
func assertRefused(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one line with %q", err, want)
	}
}
