package handlers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"gorm.io/driver/postgres"
	gormsqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// BenchmarkWidgetPollUnchanged measures the poll of an unchanged widget, with
// session and access check. The metric "ratio" is the time of bareHandler in the
// same run divided by the time of the poll.
func BenchmarkWidgetPollUnchanged(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkPoll(b, modelstest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { benchmarkPoll(b, modelstest.Postgres(b)) })
}

func benchmarkPoll(b *testing.B, db modelstest.Database) {
	s := newTestSite(b, db)
	for i := range 5 {
		s.Service(fmt.Sprintf("service-%d", i))
	}
	mr := s.openMergeRequest("topic")
	v := s.as(s.Owner)
	poll := httptest.NewRequest(http.MethodGet, v.get(s.mrPath(mr, "")).wantStatus(200).pollURL(), nil)
	poll.Host = "mergegate.test"
	poll.Header.Set("Cookie", v.cookie)
	poll.Header.Set("HX-Request", "true")
	bare := bareHandler(b, s, mr.ID)
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	serve := func(h http.Handler, r *http.Request, want int) time.Duration {
		w := httptest.NewRecorder()
		start := time.Now()
		h.ServeHTTP(w, r)
		took := time.Since(start)
		if w.Code != want {
			b.Fatalf("status %d, want %d", w.Code, want)
		}
		return took
	}
	for range 50 { // warm up
		serve(s.handler, poll, 204)
		serve(bare, request, 200)
	}
	var polls, bares time.Duration
	b.ResetTimer()
	for b.Loop() {
		polls += serve(s.handler, poll, 204)
		b.StopTimer()
		bares += serve(bare, request, 200)
		b.StartTimer()
	}
	b.ReportMetric(float64(bares)/float64(polls), "ratio")
}

// bareHandler returns an Echo handler that selects one row by its key: the least
// that such a request could cost.
func bareHandler(b *testing.B, s *testSite, id int64) http.Handler {
	b.Helper()
	conn := s.DB.SQL(b)
	var dialector gorm.Dialector = &gormsqlite.Dialector{Conn: conn}
	if s.DB.Driver == models.DriverPostgres {
		dialector = postgres.New(postgres.Config{Conn: conn})
	}
	db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard, SkipDefaultTransaction: true})
	if err != nil {
		b.Fatal(err)
	}
	e := echo.New()
	e.GET("/", func(c echo.Context) error {
		var mr models.MergeRequest
		if err := db.WithContext(c.Request().Context()).First(&mr, id).Error; err != nil {
			return err
		}
		return c.String(http.StatusOK, mr.HeadSHA)
	})
	return e
}
