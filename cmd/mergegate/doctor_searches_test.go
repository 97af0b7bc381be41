package main

import (
	"strings"
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/doctor"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// assertSlowSearches checks that the doctor says why searches have no indexes, and that a
// start of the server warns and names the same statements. It returns them.
func (p *program) assertSlowSearches(why, help string) (statements string) {
	p.t.Helper()
	report := p.examine()
	assertFinding(p.t, report, doctor.Warning, why)
	for _, f := range report.Findings {
		if f.Area == "searches" {
			_, statements, _ = strings.Cut(f.Help, help+": ")
		}
	}
	if statements == "" {
		p.t.Fatalf("no statements after %q in %+v", help, report.Findings)
	}
	p.start(nil, "serve")
	if out := p.output.String(); !strings.Contains(out, "searches are slow") || !strings.Contains(out, statements) {
		p.t.Errorf("the start does not warn with %s", statements)
	}
	p.stop()
	return statements
}

// assertFastSearches executes the statements of the doctor and checks that nothing is left
// to say.
func (p *program) assertFastSearches(db modelstest.Database, statements string) {
	p.t.Helper()
	for statement := range strings.SplitSeq(strings.TrimSuffix(statements, ";"), "; ") {
		if _, err := db.SQL(p.t).Exec(statement); err != nil {
			p.t.Errorf("%s: %v", statement, err)
		}
	}
	assertFinding(p.t, p.examine(), doctor.OK, "Searches have their indexes.")
	p.start(nil, "serve")
	if strings.Contains(p.output.String(), "searches are slow") {
		p.t.Error("the start still warns")
	}
	p.stop()
}

func TestDoctor_SearchesWithoutIndexes(t *testing.T) {
	t.Parallel()
	t.Run("no right to create the extension", func(t *testing.T) {
		t.Parallel()
		db, superuser := modelstest.RestrictedPostgres(t)
		p := newProgram(t, db)
		p.admin()
		statements := p.assertSlowSearches("This database does not have the extension", "As a superuser of this database")
		p.assertFastSearches(superuser, statements)
	})
	t.Run("extension without indexes", func(t *testing.T) {
		t.Parallel()
		db := modelstest.Postgres(t)
		if _, err := db.SQL(t).Exec("DROP INDEX users_trigrams"); err != nil {
			t.Fatal(err)
		}
		p := newProgram(t, db)
		p.admin()
		statements := p.assertSlowSearches("lacks indexes of the extension pg_trgm: users_trigrams. This database has the extension", "In this database")
		p.assertFastSearches(db, statements)
	})
	t.Run("extension not installed", func(t *testing.T) {
		t.Parallel()
		server, err := modelstest.StartServerWithout("pg_trgm")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Stop)
		p := newProgram(t, modelstest.Database{Driver: models.DriverPostgres, DSN: server.DSN})
		p.admin()
		statements := p.assertSlowSearches("The database server does not have the extension", "Then, as a superuser of this database")
		if !strings.HasPrefix(statements, "CREATE EXTENSION IF NOT EXISTS pg_trgm; CREATE INDEX CONCURRENTLY merge_request_texts_trigrams") {
			t.Errorf("statements: %s", statements)
		}
	})
	t.Run("interrupted creation", func(t *testing.T) {
		t.Parallel()
		db := modelstest.Postgres(t)
		if _, err := db.SQL(t).Exec("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_trigrams'::regclass"); err != nil {
			t.Fatal(err)
		}
		p := newProgram(t, db)
		p.admin()
		report := p.examine()
		assertFinding(t, report, doctor.Warning, "does not use incomplete indexes: users_trigrams")
	})
}
