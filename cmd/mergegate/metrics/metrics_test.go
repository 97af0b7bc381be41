package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/jobs"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/webhook"
)

// scrape returns the metrics as Prometheus reads them.
func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if answer.Code != 200 {
		t.Fatalf("status %d: %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

// assertMetric checks lines such as `mergegate_git_processes 1`.
func assertMetric(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %s in\n%s", line, text)
		}
	}
}

func TestRequests_LabelsAreBounded(t *testing.T) {
	m := New("1.2.3", "abc")
	e := echo.New()
	e.Use(m.Requests)
	e.Any("/:namespace/:project", func(c echo.Context) error { return c.NoContent(204) })
	e.Add("BREW", "/:namespace/:project", func(c echo.Context) error { return c.NoContent(204) })
	for _, request := range [][2]string{{"GET", "/olga/secret-pear"}, {"GET", "/ada/plum"}, {"BREW", "/ada/plum"}, {"GET", "/secret-pear"}} {
		e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(request[0], request[1], nil))
	}
	text := scrape(t, m)
	assertMetric(t, text,
		`mergegate_http_requests_total{method="GET",route="/:namespace/:project",status="204"} 2`,
		`mergegate_http_requests_total{method="other",route="/:namespace/:project",status="204"} 1`,
		`mergegate_http_request_duration_seconds_count{method="GET",route="none"} 1`,
		`mergegate_build_info{revision="abc",version="1.2.3"} 1`)
	if strings.Contains(text, "pear") || strings.Contains(text, "BREW") {
		t.Error("a label has a value from the request")
	}
}

type fixedSender models.AttemptResult

func (s fixedSender) Send(context.Context, models.ClaimedDelivery, time.Time) models.AttemptResult {
	return models.AttemptResult(s)
}

func TestSender_CountsOutcomes(t *testing.T) {
	m := New("", "")
	at := time.Now()
	first := models.ClaimedDelivery{Delivery: models.Delivery{Attempts: 1, CreatedAt: at.Add(-20 * time.Millisecond)}}
	second := models.ClaimedDelivery{Delivery: models.Delivery{Attempts: 2, CreatedAt: at.Add(-time.Hour)}}
	for _, attempt := range []struct {
		claimed models.ClaimedDelivery
		result  models.AttemptResult
	}{
		{first, models.AttemptResult{HTTPStatus: 202, Timing: models.Timing{DNSUS: 1000, ConnectUS: 2000, TLSUS: 7000}}},
		{second, models.AttemptResult{HTTPStatus: 503, Timing: models.Timing{ConnectUS: 1000}}},
		{first, models.AttemptResult{Error: webhook.ErrorDNS}},
		{first, models.AttemptResult{Error: "an error without a name"}},
	} {
		m.Sender(fixedSender(attempt.result)).Send(t.Context(), attempt.claimed, at)
	}
	assertMetric(t, scrape(t, m),
		`mergegate_delivery_attempts_total{outcome="delivered"} 1`, `mergegate_delivery_attempts_total{outcome="http_status"} 1`,
		`mergegate_delivery_attempts_total{outcome="dns"} 1`, `mergegate_delivery_attempts_total{outcome="other"} 1`,
		`mergegate_delivery_attempt_duration_seconds_count 4`,
		// Only a first attempt that reached the service: 20 ms until its start and 10 ms to connect.
		`mergegate_delivery_first_byte_seconds_count 1`, `mergegate_delivery_first_byte_seconds_sum 0.03`)
}

func TestAnswered_CountsStatusAndTime(t *testing.T) {
	m := New("", "")
	ms := int64(1500)
	m.Answered(models.RecordedResponse{Response: models.StatusCheckResponse{Status: models.StatusFailed, AnswerMS: &ms}})
	m.Answered(models.RecordedResponse{Response: models.StatusCheckResponse{Status: models.StatusPending}})
	assertMetric(t, scrape(t, m), `mergegate_answers_total{status="failed"} 1`, `mergegate_answers_total{status="pending"} 1`,
		`mergegate_answers_total{status="passed"} 0`, `mergegate_answer_seconds_sum 1.5`, `mergegate_answer_seconds_count 1`)
}

func TestGit_NamesFailures(t *testing.T) {
	m := New("", "")
	running := m.Git(t.Context(), "merge-tree")
	assertMetric(t, scrape(t, m), `mergegate_git_processes 1`)
	running(nil)
	for _, err := range []error{
		&gitrepo.CommandError{ExitCode: 1}, context.Canceled, fmt.Errorf("git: %w", gitrepo.ErrBusy), gitrepo.ErrTooLarge, errors.New("no such file"),
	} {
		m.Git(t.Context(), "merge-tree")(err)
	}
	assertMetric(t, scrape(t, m), `mergegate_git_processes 0`, `mergegate_git_command_duration_seconds_count{command="merge-tree"} 6`,
		`mergegate_git_failures_total{reason="busy"} 1`, `mergegate_git_failures_total{reason="limit"} 1`, `mergegate_git_failures_total{reason="error"} 1`)
}

func TestJob_ErrorKeepsLastSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New("", "")
		m.Job("recover pushes", nil)
		line := fmt.Sprintf(`mergegate_job_last_success_timestamp_seconds{operation="recover pushes"} %v`, float64(time.Now().Unix()))
		time.Sleep(time.Minute)
		m.Job("recover pushes", errors.New("locked"))
		assertMetric(t, scrape(t, m), line, `mergegate_job_runs_total{operation="recover pushes"} 2`,
			`mergegate_job_failed{operation="recover pushes"} 1`)
	})
}

// fakeWork counts how often it is read.
type fakeWork struct {
	reads int
	work  models.BackgroundWork
	err   error
}

func (f *fakeWork) BackgroundWork(context.Context, int) (models.BackgroundWork, error) {
	f.reads++
	return f.work, f.err
}

func TestWatchDatabase_ReadsAtMostEveryTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, now := New("", ""), time.Now()
		due, ready := now.Add(-90*time.Second), now.Add(-2*time.Second)
		source := &fakeWork{work: models.BackgroundWork{
			At: now, Waiting: 7, InFlight: 2, OldestDueAt: &due, OldestReadyAt: &ready, OpenBreakers: 3, HalfOpenBreakers: 1,
			Recoveries: []models.Recovery{{Kind: models.RecoverPendingPushes, Count: 1, OldestAt: &due}},
		}}
		m.WatchDatabase(source, nil)
		for range 5 {
			assertMetric(t, scrape(t, m), `mergegate_database_up 1`, `mergegate_deliveries_waiting 7`, `mergegate_deliveries_in_flight 2`,
				`mergegate_delivery_oldest_due_seconds 90`, `mergegate_delivery_oldest_ready_seconds 2`,
				`mergegate_breakers{state="open"} 2`, `mergegate_breakers{state="half_open"} 1`,
				`mergegate_recoveries{kind="pending_pushes"} 1`, `mergegate_recovery_oldest_seconds{kind="pending_pushes"} 90`)
		}
		if source.reads != 1 {
			t.Errorf("the database was read %d times", source.reads)
		}
		time.Sleep(cacheTime)
		source.err = errors.New("no connection")
		text := scrape(t, m)
		assertMetric(t, text, `mergegate_database_up 0`)
		if strings.Contains(text, "mergegate_deliveries_waiting") {
			t.Error("metrics of a failed reading are served")
		}
	})
}

func TestWatchSlots_ShowsUseAndLimit(t *testing.T) {
	m := New("", "")
	m.WatchSlots(func() jobs.SlotUse { return jobs.SlotUse{Quick: 3, Hung: 2, All: 6} })
	assertMetric(t, scrape(t, m), `mergegate_send_slots_used{slots="quick"} 3`, `mergegate_send_slots_used{slots="hung"} 2`,
		`mergegate_send_slots_used{slots="all"} 6`, fmt.Sprintf(`mergegate_send_slots{slots="quick"} %d`, jobs.MaxSlots.Quick))
}

// What measuring adds to a request and to an attempt.
func BenchmarkRequests(b *testing.B) {
	m, e := New("", ""), echo.New()
	c := e.NewContext(httptest.NewRequest("GET", "/olga/pear", nil), httptest.NewRecorder())
	c.SetPath("/:namespace/:project")
	handle := m.Requests(func(echo.Context) error { return nil })
	for b.Loop() {
		_ = handle(c)
	}
}

func BenchmarkSender(b *testing.B) {
	s := New("", "").Sender(fixedSender{HTTPStatus: 200, Timing: models.Timing{ConnectUS: 1}})
	claimed, now := models.ClaimedDelivery{Delivery: models.Delivery{Attempts: 1}}, time.Now()
	for b.Loop() {
		s.Send(b.Context(), claimed, now)
	}
}
