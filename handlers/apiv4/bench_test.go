package apiv4_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// BenchmarkSetStatus measures the response of a service, with authentication. The
// baseline is a handler that sends the same statements through the raw driver, in
// one transaction, and encodes the rows. Both run in turn. The metric ratio is the
// baseline's time divided by ours.
func BenchmarkSetStatus(b *testing.B) {
	eachBenchDatabase(b, func(b *testing.B, s *testSite) {
		body := func(status string) string {
			return fmt.Sprintf(`{"external_status_check_id":%d,"sha":%q,"status":%q}`, s.service.ID, s.mr.HeadSHA, status)
		}
		s.compareWithBaseline(b, "POST", "/projects/1/merge_requests/1/status_check_responses", 201, body("passed"), body("failed"))
	})
}

// BenchmarkListChecks measures the list of ten checks of a merge request. The
// baseline is the one raw query that finds them, plus encoding, without
// authentication, authorization and pagination.
func BenchmarkListChecks(b *testing.B) {
	eachBenchDatabase(b, func(b *testing.B, s *testSite) {
		for i := range 9 {
			s.Service(fmt.Sprintf("service-%d", i))
		}
		s.commit("feature", "topic", map[string]string{"topic.txt": "x\n"})
		mr := s.MergeRequest("topic", "main")
		s.compareWithBaseline(b, "GET", fmt.Sprintf("/projects/1/merge_requests/%d/status_checks", mr.IID), 200, "")
	})
}

func eachBenchDatabase(b *testing.B, bench func(b *testing.B, s *testSite)) {
	b.Run("sqlite", func(b *testing.B) { bench(b, newBenchSite(b, modelstest.SQLite(b))) })
	b.Run("postgres", func(b *testing.B) { bench(b, newBenchSite(b, modelstest.Postgres(b))) })
}

// newBenchSite returns a site that does not validate answers, because that would
// dominate the measurement.
func newBenchSite(b *testing.B, db modelstest.Database) *testSite {
	s := newSite(b, db)
	s.handler = s.plain
	return s
}

// compareWithBaseline runs a request, with the bodies in turn, and its baseline.
func (s *testSite) compareWithBaseline(b *testing.B, method, path string, want int, bodies ...string) {
	n := 0
	ours := func() time.Duration {
		body := bodies[n%len(bodies)]
		n++
		r := httptest.NewRequest(method, "/api/v4"+path, strings.NewReader(body))
		r.Header.Set("Private-Token", s.tokens["developer"])
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		start := time.Now()
		s.handler.ServeHTTP(w, r)
		took := time.Since(start)
		if w.Code != want {
			b.Fatalf("status %d: %s", w.Code, w.Body)
		}
		return took
	}
	for range 30 { // warm up; afterwards the token's last use is not written again
		ours()
	}
	var statements []string
	s.Store.SetHooks(models.Hooks{Query: func(sql string) { statements = append(statements, sql) }})
	ours()
	s.Store.SetHooks(models.Hooks{})
	if method == http.MethodGet {
		statements = statements[len(statements)-1:] // the query for the checks
	}
	raw := &replay{b: b, db: s.DB.SQL(b), statements: statements}
	baseline := func() time.Duration {
		r := httptest.NewRequest(method, "/", strings.NewReader(bodies[0]))
		w := httptest.NewRecorder()
		start := time.Now()
		raw.ServeHTTP(w, r)
		return time.Since(start)
	}
	for range 30 {
		baseline()
	}
	var oursTotal, baselineTotal time.Duration
	b.ResetTimer()
	for b.Loop() {
		oursTotal += ours()
		b.StopTimer()
		baselineTotal += baseline()
		b.StartTimer()
	}
	b.ReportMetric(float64(baselineTotal)/float64(oursTotal), "ratio")
	b.ReportMetric(float64(len(statements)), "statements")
}

// replay is the baseline handler. It sends recorded statements, which contain their
// values, and encodes all rows.
type replay struct {
	b          *testing.B
	db         *sql.DB
	statements []string
}

type querier interface {
	Query(query string, args ...any) (*sql.Rows, error)
	Exec(query string, args ...any) (sql.Result, error)
}

func (h *replay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in map[string]any
	if r.Method == http.MethodPost {
		h.check(json.NewDecoder(r.Body).Decode(&in))
		auth.Digest("mgat-example")
	}
	var tx *sql.Tx
	var rows []any
	for _, statement := range h.statements {
		if tx == nil && startsTransaction(statement) {
			var err error
			tx, err = h.db.Begin()
			h.check(err)
		}
		var on querier = h.db
		if tx != nil {
			on = tx
		}
		rows = append(rows, h.send(on, statement)...)
	}
	if tx != nil {
		h.check(tx.Commit())
	}
	h.check(json.NewEncoder(w).Encode(rows))
}

// startsTransaction reports whether a statement is the first one of a response's
// transaction: the one that reads and locks the merge request.
func startsTransaction(statement string) bool {
	return strings.Contains(statement, "JOIN users u ON u.id = mr.author_id")
}

func (h *replay) send(on querier, statement string) []any {
	if !strings.HasPrefix(statement, "SELECT") && !strings.Contains(statement, "RETURNING") {
		_, err := on.Exec(statement)
		h.check(err)
		return nil
	}
	found, err := on.Query(statement)
	h.check(err)
	defer found.Close()
	columns, err := found.Columns()
	h.check(err)
	var rows []any
	for found.Next() {
		row := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		h.check(found.Scan(into...))
		rows = append(rows, row)
	}
	h.check(found.Err())
	return rows
}

func (h *replay) check(err error) {
	if err != nil {
		h.b.Fatal(err)
	}
}

// BenchmarkGetMergeRequest measures one merge request with what git knows of it, read
// again after the first time.
func BenchmarkGetMergeRequest(b *testing.B) {
	eachBenchDatabase(b, func(b *testing.B, s *testSite) {
		r := httptest.NewRequest(http.MethodGet, "/api/v4/projects/1/merge_requests/1", nil)
		r.Header.Set("Private-Token", s.tokens["developer"])
		for b.Loop() {
			w := httptest.NewRecorder()
			if s.handler.ServeHTTP(w, r); w.Code != http.StatusOK {
				b.Fatalf("status %d: %s", w.Code, w.Body)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms")
	})
}
