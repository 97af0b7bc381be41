package handlers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// BenchmarkPages measures whole pages, with session, access check and rendering,
// of a project with ten services and thirty open merge requests, and of twenty
// more projects. The metric "rows" is the time of a page divided by the time of
// bareHandler in the same run.
func BenchmarkPages(b *testing.B) {
	for name, open := range map[string]func(testing.TB) modelstest.Database{
		"sqlite": modelstest.SQLite, "postgres": modelstest.Postgres,
	} {
		b.Run(name, func(b *testing.B) { benchmarkPages(b, open(b)) })
	}
}

func benchmarkPages(b *testing.B, db modelstest.Database) {
	s := newTestSite(b, db)
	for i := range 20 {
		s.NewProject(s.Owner, fmt.Sprintf("fruit-%02d", i), models.VisibilityPrivate)
	}
	for i := range 10 {
		s.Service(fmt.Sprintf("service-%d", i))
	}
	var mr models.MergeRequest
	for i := range 30 {
		mr = s.openMergeRequest(fmt.Sprintf("topic-%02d", i))
	}
	v, bare := s.as(s.Owner), bareHandler(b, s, mr.ID)
	serve := func(h http.Handler, path string) time.Duration {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Host = "mergegate.test"
		r.Header.Set("Cookie", v.cookie)
		w := httptest.NewRecorder()
		start := time.Now()
		h.ServeHTTP(w, r)
		took := time.Since(start)
		if w.Code != http.StatusOK {
			b.Fatalf("%s: status %d", path, w.Code)
		}
		return took
	}
	for name, path := range map[string]string{
		"merge request": s.mrPath(mr, ""), "merge requests": pearMergeRequestsPath, "projects": "/", "services": pearSettingsPath,
	} {
		b.Run(name, func(b *testing.B) {
			for range 20 { // warm up
				serve(s.handler, path)
				serve(bare, "/")
			}
			var pages, bares time.Duration
			b.ResetTimer()
			for b.Loop() {
				pages += serve(s.handler, path)
				b.StopTimer()
				bares += serve(bare, "/")
				b.StartTimer()
			}
			b.ReportMetric(float64(pages)/float64(bares), "rows")
		})
	}
}
