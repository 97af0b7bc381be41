package modelstest

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/mergegate/mergegate/models"
)

// growingTables grow with the number of projects and merge requests. No statement of a
// request may read one of them from end to end.
var growingTables = strings.Fields(`users namespaces sessions projects project_redirects members access_tokens protected_branches
	external_status_checks external_status_check_branches merge_requests merge_request_texts approvals deliveries delivery_attempts
	merge_request_checks status_check_responses audit_events service_queues arrived_deliveries`)

// statements collects the statements that stores of this process send, one of each shape,
// by driver and shape. Only packages that check plans collect them.
var statements = struct {
	sync.Mutex
	collected bool
	byShape   map[string]map[string]string
}{byShape: map[string]map[string]string{models.DriverSQLite: {}, models.DriverPostgres: {}}}

// collectStatement remembers a statement for CheckPlans.
func collectStatement(driver, statement string) {
	for _, unplanned := range []string{"SAVEPOINT", "ROLLBACK TO", "SET LOCAL"} {
		if strings.HasPrefix(statement, unplanned) {
			return
		}
	}
	shape := shapeOf(statement)
	statements.Lock()
	defer statements.Unlock()
	if _, known := statements.byShape[driver][shape]; !known {
		statements.byShape[driver][shape] = statement
	}
}

// shapeOf returns a statement with one question mark for each text, number or list of
// them. It scans the bytes because it runs for each statement: regular expressions took
// several times as long.
func shapeOf(statement string) string {
	shape := make([]byte, 0, len(statement))
	inName := false // names may contain digits
	isDigit := func(c byte) bool { return '0' <= c && c <= '9' }
	value := func() {
		if list := bytes.TrimRight(shape, ", "); bytes.HasSuffix(list, []byte("?")) {
			shape = list
		} else {
			shape = append(shape, '?')
		}
	}
	for i := 0; i < len(statement); i++ {
		c := statement[i]
		switch {
		case c == '\'': // a doubled quote ends a text and begins another one
			if end := strings.IndexByte(statement[i+1:], '\''); end >= 0 {
				i += end + 1
			}
			value()
		case isDigit(c) && !inName:
			for i+1 < len(statement) && (isDigit(statement[i+1]) || statement[i+1] == '.') {
				i++
			}
			value()
		default:
			inName = c == '_' || isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z'
			shape = append(shape, c)
		}
	}
	return string(shape)
}

// CheckPlans asks the databases how they would execute every statement that the tests of
// this process have sent, and returns a problem for each that reads a growing table from
// end to end. allowed maps a part of a statement to the reason why it may.
func CheckPlans(allowed map[string]string) (problems []string) {
	statements.Lock()
	defer statements.Unlock()
	for driver, byShape := range statements.byShape {
		if len(byShape) == 0 {
			continue
		}
		db, remove, err := planDatabase(driver)
		if err != nil {
			return append(problems, err.Error())
		}
		partial, err := partialIndexes(db, driver)
		if err != nil {
			return append(problems, err.Error())
		}
		for _, shape := range slices.Sorted(maps.Keys(byShape)) {
			// EXPLAIN gets the values in its text, which cannot hold all bytes.
			statement := strings.ReplaceAll(strings.ToValidUTF8(byShape[shape], "?"), "\x00", "?")
			if isAllowed(statement, allowed) || insertedRows.MatchString(shape) {
				continue
			}
			scansOf := postgresScans
			if driver == models.DriverSQLite {
				scansOf = sqliteScans
			}
			scans, err := scansOf(db, statement, partial)
			if err != nil {
				problems = append(problems, fmt.Sprintf("%s: no plan: %v\n\t%s", driver, err, shape))
			} else if len(scans) > 0 {
				problems = append(problems, fmt.Sprintf("%s: reads all of %s\n\t%s", driver, strings.Join(scans, ", "), shape))
			}
		}
		_ = db.Close()
		remove()
	}
	return problems
}

// insertedRows matches statements that only insert given rows, which may hold any bytes.
var insertedRows = regexp.MustCompile(`^INSERT INTO [^ ]+ \([^)]*\) VALUES `)

func isAllowed(statement string, allowed map[string]string) bool {
	for part := range allowed {
		if strings.Contains(statement, part) {
			return true
		}
	}
	return false
}

// plannedMergeRequests is how many merge requests the PostgreSQL database of plans has.
// For empty tables it chooses any index.
const plannedMergeRequests = 2000

// planDatabase opens a database: an empty one on SQLite, which knows nothing of the
// tables' sizes then, one with made-up rows on PostgreSQL, where any index is preferred to
// reading a whole table.
func planDatabase(driver string) (db *sql.DB, remove func(), err error) {
	place, remove, err := newPlanDatabase(driver)
	if err != nil {
		return nil, nil, err
	}
	if driver == models.DriverSQLite {
		db, err = sql.Open("sqlite", place.DSN)
		return db, remove, err
	}
	if err := seedPlans(place); err != nil {
		return nil, nil, err
	}
	if db, err = sql.Open("pgx", place.DSN); err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET plan_cache_mode = force_custom_plan")
	return db, remove, err
}

// seedPlans fills an empty database.
func seedPlans(place Database) error {
	git := NewGit()
	store, err := models.Open(models.Config{Driver: place.Driver, DSN: place.DSN, Git: git, Payload: RenderPayload, Sealer: fakeSealer{}})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	ctx := context.Background()
	user, err := store.CreateUser(ctx, models.User{}, models.UserInput{Username: models.SeedNamespace, Name: "Seed"})
	if err != nil {
		return err
	}
	namespace, err := store.Namespace(ctx, models.SeedNamespace)
	if err != nil {
		return err
	}
	project, err := store.CreateProject(ctx, user, models.ProjectInput{NamespaceID: namespace.ID, Name: "Large", Path: "large"}, true)
	if err != nil {
		return err
	}
	_, err = store.Seed(ctx, models.SeedInput{
		Authors: []models.User{user}, Large: project, MergeRequests: plannedMergeRequests,
		Head: models.Commit{SHA: git.Tip(project.ID, "main"), CommittedAt: store.Now()},
	})
	return err
}

func newPlanDatabase(driver string) (place Database, remove func(), err error) {
	if driver == models.DriverPostgres {
		template, err := templateDatabase()
		if err != nil {
			return place, nil, err
		}
		dsn, drop, err := copyPostgres(template)
		return Database{driver, dsn}, func() { _ = drop() }, err
	}
	empty, err := migratedFile()
	if err != nil {
		return place, nil, err
	}
	folder, err := os.MkdirTemp("", "mergegate-test-plans-")
	if err != nil {
		return place, nil, err
	}
	place = Database{driver, filepath.Join(folder, "mergegate.db")}
	return place, func() { _ = os.RemoveAll(folder) }, os.WriteFile(place.DSN, empty, 0o600)
}

// partialIndexes returns the names of the indexes with a WHERE.
func partialIndexes(db *sql.DB, driver string) ([]string, error) {
	query := "SELECT COALESCE(string_agg(indexrelid::regclass::text, ' '), '') FROM pg_index WHERE indpred IS NOT NULL"
	if driver == models.DriverSQLite {
		query = "SELECT COALESCE(group_concat(name, ' '), '') FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'"
	}
	var names string
	err := db.QueryRow(query).Scan(&names)
	return strings.Fields(names), err
}

// planNode is a node of a plan of PostgreSQL.
type planNode struct {
	Type     string     `json:"Node Type"`
	Table    string     `json:"Relation Name"`
	Index    string     `json:"Index Name"`
	Cond     string     `json:"Index Cond"`
	Filter   string     `json:"Filter"`
	Children []planNode `json:"Plans"`
}

// seededTables are those of which planDatabase has many rows. PostgreSQL reads the others
// from end to end, if only through an index, because they are small.
var seededTables = strings.Fields("merge_requests merge_request_texts deliveries delivery_attempts merge_request_checks status_check_responses audit_events")

// postgresScans returns the growing tables that a statement reads from end to end. An
// index without a condition serves a list in its order, which a limit ends, unless it is a
// partial index of few rows.
func postgresScans(db *sql.DB, statement string, partial []string) ([]string, error) {
	var text string
	if err := db.QueryRow("EXPLAIN (FORMAT JSON) " + statement).Scan(&text); err != nil {
		return nil, err
	}
	var plans []struct{ Plan planNode }
	if err := json.Unmarshal([]byte(text), &plans); err != nil {
		return nil, err
	}
	var scans []string
	var visit func(n planNode, limited bool)
	visit = func(n planNode, limited bool) {
		whole := n.Type == "Seq Scan" && (n.Filter != "" || !limited) ||
			strings.Contains(n.Type, "Index") && n.Cond == "" && !limited && slices.Contains(seededTables, n.Table) &&
				!slices.Contains(partial, n.Index)
		if whole && slices.Contains(growingTables, n.Table) {
			scans = append(scans, n.Table)
		}
		for _, child := range n.Children {
			if child.Table == "" && strings.HasPrefix(n.Type, "Bitmap") { // a Bitmap Index Scan names no table
				child.Table = n.Table
			}
			visit(child, limited && n.Type != "Sort" && n.Type != "Aggregate" || n.Type == "Limit")
		}
	}
	for _, p := range plans {
		visit(p.Plan, false)
	}
	return scans, nil
}

var (
	aliasPattern = regexp.MustCompile("(?i)\\b(?:FROM|JOIN|UPDATE|INTO|,)\\s+[`\"]?([a-z_]+)[`\"]?(?:\\s+(?:AS\\s+)?[`\"]?([a-z_]+)[`\"]?)?")
	scanPattern  = regexp.MustCompile(`^SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?`)
	limitPattern = regexp.MustCompile(`(?i)\bLIMIT\b`)
)

// sqliteScans is postgresScans for SQLite. Its plan names tables by their alias, and shows
// a list in the order of the ids like any other scan.
func sqliteScans(db *sql.DB, statement string, partial []string) ([]string, error) {
	rows, err := db.Query("EXPLAIN QUERY PLAN " + statement)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	tables := map[string]string{}
	for _, m := range aliasPattern.FindAllStringSubmatch(statement, -1) {
		tables[m[1]] = m[1]
		if m[2] != "" {
			tables[m[2]] = m[1]
		}
	}
	var scans []string
	sorted := false
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			return nil, err
		}
		if m := scanPattern.FindStringSubmatch(detail); m != nil && slices.Contains(growingTables, tables[m[1]]) &&
			!strings.Contains(detail, "VIRTUAL TABLE") && !slices.Contains(partial, m[2]) {
			scans = append(scans, tables[m[1]])
		}
		sorted = sorted || strings.Contains(detail, "TEMP B-TREE FOR ORDER BY")
	}
	if !sorted && limitPattern.MatchString(statement) {
		scans = nil
	}
	return scans, rows.Err()
}
