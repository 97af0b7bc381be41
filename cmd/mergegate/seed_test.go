package main

import (
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestSeed_FillsOnlyItsOwnDatabase(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		p := newProgram(t, db)
		const want = "26 projects, 100 merge requests, 300 checks, "
		for range 2 {
			if out, err := p.run(nil, "seed", "--merge-requests", "100"); err != nil || !strings.Contains(out, want) {
				t.Fatalf("seed: %v\n%s\nwant %s", err, out, want)
			}
		}
		driver, dsn := p.database()
		f := modelstest.Open(t, modelstest.Database{Driver: driver, DSN: dsn})
		f.NewProject(f.User("olga"), "pear", models.VisibilityPrivate)
		if err := f.Store.Close(); err != nil {
			t.Fatal(err)
		}
		out, err := p.run(nil, "seed", "--merge-requests", "100")
		if err == nil || !strings.Contains(out, "has 1 other projects") {
			t.Errorf("seed beside another project: %v\n%s", err, out)
		}
		if out, err := p.run(nil, "seed", "--merge-requests", "100", "--beside-other-projects"); err != nil {
			t.Errorf("seed beside another project when told: %v\n%s", err, out)
		}
	})
}
