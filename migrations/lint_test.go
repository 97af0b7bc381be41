package migrations_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/migrations"
)

// released are the migrations of releases: a line has the first release with the file,
// the file and its SHA-256.
func released(t *testing.T) (versions []string, sums map[string]string) {
	t.Helper()
	text, err := os.ReadFile("testdata/released.txt")
	if err != nil {
		t.Fatal(err)
	}
	sums = map[string]string{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			t.Fatalf("testdata/released.txt has the line %q", line)
		}
		sums[fields[1]] = fields[2]
		if !slices.Contains(versions, fields[0]) {
			versions = append(versions, fields[0])
		}
	}
	return versions, sums
}

// A released migration has run on databases, so it must never change. New ones must be
// safe while the previous release serves: see docs/upgrade.md.
func TestMigrations_AreSafeForThePreviousRelease(t *testing.T) {
	versions, sums := released(t)
	for _, d := range []migrations.Dialect{migrations.Postgres, migrations.SQLite} {
		fsys, err := migrations.Files(d)
		if err != nil {
			t.Fatal(err)
		}
		names, err := fs.Glob(fsys, "*.sql")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(fsys, name)
			if err != nil {
				t.Fatal(err)
			}
			path := string(d) + "/" + name
			sum := sha256.Sum256(text)
			if want, ok := sums[path]; ok {
				if got := hex.EncodeToString(sum[:]); got != want {
					t.Errorf("%s was released and must not change: write a new migration", path)
				}
				delete(sums, path)
				continue
			}
			for _, fault := range unsafe(string(text), d, versions) {
				t.Errorf("%s: %s", path, fault)
			}
		}
	}
	for path := range sums {
		t.Errorf("%s was released and is missing", path)
	}
}

// largeTables have a row per event. Building an index blocks writes to them for long.
const largeTables = `deliveries|delivery_attempts|status_check_responses|audit_events|merge_requests|merge_request_checks`

var (
	createdTable = regexp.MustCompile(`(?i)\bcreate\s+table\s+(?:if\s+not\s+exists\s+)?"?(\w+)`)
	onTable      = regexp.MustCompile(`(?i)\bon\s+"?(\w+)`)
	alteredTable = regexp.MustCompile(`(?i)\balter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?"?(\w+)`)
	unused       = regexp.MustCompile(`(?i)-- unused since (\d+\.\d+\.\d+)`)
	setsLimit    = regexp.MustCompile(`(?i)\b(set|reset)\s+lock_timeout\b`)
	concurrent   = regexp.MustCompile(`(?i)\bcreate\s+index\s+concurrently\b`)
	blocksWrites = regexp.MustCompile(`(?i)-- blocks writes: \S`)

	// contracting statements break a program that still uses what they change.
	contracting = []struct {
		pattern *regexp.Regexp
		what    string
	}{
		{regexp.MustCompile(`(?i)\bdrop\s+\w+`), "drops something"},
		{regexp.MustCompile(`(?i)\brename\b`), "renames something"},
		{regexp.MustCompile(`(?i)\balter\s+column\s+"?\w+"?\s+(set\s+data\s+)?type\b`), "changes a type"},
		{regexp.MustCompile(`(?i)\bset\s+not\s+null\b`), "forbids null, which the previous release may write"},
		{regexp.MustCompile(`(?i)\badd\s+(constraint|check|unique|foreign\s+key)\b`), "adds a constraint, which the previous release may violate"},
		{regexp.MustCompile(`(?i)\bcreate\s+unique\s+index\b`), "adds a unique index, which the previous release may violate"},
	}
	addedColumn = regexp.MustCompile(`(?i)\badd\s+(column\s+)?"?\w+"?\s+[^;]*\bnot\s+null\b`)
	hasDefault  = regexp.MustCompile(`(?i)\bdefault\b`)
	plainIndex  = regexp.MustCompile(`(?i)\bcreate\s+(unique\s+)?index\s+(if\s+not\s+exists\s+)?(\w+)\s+on\s+"?(` + largeTables + `)\b`)
)

// unsafe returns what the previous release would not survive. A statement after a comment
// "Unused since X.Y.Z" may break what no release since X.Y.Z uses.
func unsafe(text string, d migrations.Dialect, releases []string) (faults []string) {
	var isNew []string
	waits := false // for transactions, without a limit
	for _, match := range createdTable.FindAllStringSubmatch(text, -1) {
		isNew = append(isNew, match[1])
	}
	for statement := range strings.SplitSeq(text, ";") {
		var comments, code []string
		for line := range strings.Lines(statement) {
			before, comment, found := strings.Cut(line, "--")
			if found {
				comments = append(comments, "--"+comment)
			}
			code = append(code, before)
		}
		remarks, sql := strings.Join(comments, ""), strings.TrimSpace(strings.Join(code, ""))
		table := alteredTable.FindStringSubmatch(sql)
		if table == nil {
			table = onTable.FindStringSubmatch(sql)
		}
		if table != nil && slices.Contains(isNew, table[1]) {
			continue
		}
		short := strings.Join(strings.Fields(sql), " ")
		add := func(what, way string) { faults = append(faults, fmt.Sprintf("%q %s: %s", short, what, way)) }
		switch {
		case setsLimit.MatchString(sql):
			waits = strings.HasPrefix(strings.ToUpper(sql), "SET")
			continue
		case concurrent.MatchString(sql) && !waits:
			add("fails if a transaction, such as a backup, takes longer than the lock time-out", "put it between SET lock_timeout = 0 and RESET lock_timeout")
		case waits && sql != "" && !concurrent.MatchString(sql):
			add("may wait without a limit, and others behind it", "put RESET lock_timeout before it")
		}
		if d == migrations.Postgres && plainIndex.MatchString(sql) && !blocksWrites.MatchString(remarks) {
			add("blocks writes to a large table", "use CREATE INDEX CONCURRENTLY in a file of its own with -- +goose NO TRANSACTION, "+
				"or say why it is short in a comment -- Blocks writes: …")
		}
		if match := unused.FindStringSubmatch(remarks); match != nil && slices.Contains(releases, match[1]) {
			continue
		}
		const way = "wait until a release that does not need it is out, and name that release in a comment -- Unused since X.Y.Z"
		for _, c := range contracting {
			if c.pattern.MatchString(sql) {
				add(c.what, way)
			}
		}
		if addedColumn.MatchString(sql) && !hasDefault.MatchString(sql) {
			add("adds a column that the previous release does not fill", "give it a default, or allow null")
		}
	}
	return faults
}

func TestUnsafe_FindsWhatThePreviousReleaseDoesNotSurvive(t *testing.T) {
	for statement, want := range map[string]string{
		"ALTER TABLE users ADD COLUMN age integer NOT NULL;":                                                      "does not fill",
		"ALTER TABLE users ADD COLUMN age integer NOT NULL DEFAULT 0;":                                            "",
		"ALTER TABLE users ADD COLUMN age integer;":                                                               "",
		"CREATE TABLE pears (id bigint NOT NULL); CREATE UNIQUE INDEX pears_id ON pears (id);":                    "",
		"CREATE UNIQUE INDEX users_age ON users (age);":                                                           "may violate",
		"CREATE INDEX users_age ON users (age);":                                                                  "",
		"CREATE INDEX deliveries_age ON deliveries (age);":                                                        "blocks writes",
		"CREATE INDEX CONCURRENTLY deliveries_age ON deliveries (age);":                                           "lock time-out",
		"SET lock_timeout = 0; CREATE INDEX CONCURRENTLY deliveries_age ON deliveries (age); RESET lock_timeout;": "",
		"SET lock_timeout = 0; ALTER TABLE users ADD COLUMN age integer;":                                         "without a limit",
		"-- Blocks writes: few rows match.\nCREATE INDEX deliveries_age ON deliveries (age) WHERE hot;":           "",
		"ALTER TABLE users DROP COLUMN age;":                                                                      "drops",
		"DROP TABLE users;":                                                                                       "drops",
		"-- Unused since 0.1.0\nALTER TABLE users DROP COLUMN age;":                                               "",
		"-- Unused since 9.9.9\nALTER TABLE users DROP COLUMN age;":                                               "drops",
		"ALTER TABLE users RENAME COLUMN age TO years;":                                                           "renames",
		"ALTER TABLE users ALTER COLUMN age TYPE bigint;":                                                         "changes a type",
		"ALTER TABLE users ALTER COLUMN age SET NOT NULL;":                                                        "forbids null",
		"ALTER TABLE users ADD CONSTRAINT adult CHECK (age > 17);":                                                "adds a constraint",
		"UPDATE users SET name = '';":                                                                             "",
	} {
		faults := strings.Join(unsafe("-- +goose Up\n"+statement, migrations.Postgres, []string{"0.1.0"}), "\n")
		if (want == "") != (faults == "") || !strings.Contains(faults, want) {
			t.Errorf("%s: got %q, want %q", statement, faults, want)
		}
	}
}
