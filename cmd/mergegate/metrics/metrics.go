// Package metrics measures the server for Prometheus. [New] creates all metrics;
// the methods of [Metrics] are the hooks and wrappers that main passes to the other
// packages, which do not know Prometheus. docs/observability.md lists the metrics.
//
// No label has a value that a user or a client chooses.
package metrics

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
)

// Metrics are the metrics of one process. Its methods are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	requests        *prometheus.CounterVec
	requestDuration *prometheus.HistogramVec

	attempts        map[string]prometheus.Counter // by outcome
	attemptDuration prometheus.Histogram
	firstByte       prometheus.Histogram
	answers         map[models.Status]prometheus.Counter
	answerDuration  prometheus.Histogram
	timeouts        prometheus.Counter

	gitCommands  *prometheus.CounterVec
	gitDuration  *prometheus.HistogramVec
	gitProcesses prometheus.Gauge

	jobRuns        *prometheus.CounterVec
	jobLastSuccess *prometheus.GaugeVec
}

// New returns the metrics of a process, with those of the Go runtime and the
// operating system.
func New(version, revision string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: counters("http_requests_total", "HTTP requests with a route.", "method", "route", "status"),
		requestDuration: histograms("http_request_duration_seconds", "Time to answer an HTTP request.",
			[]float64{0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 10, 60}, "method", "route"),
		attemptDuration: histogram("delivery_attempt_duration_seconds", "Duration of an attempt to deliver.",
			[]float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}),
		firstByte: histogram("delivery_first_byte_seconds", "Time from an event to the request of its first attempt.",
			[]float64{0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120}),
		answerDuration: histogram("answer_seconds", "Time from pending to the answer that settled a check.",
			[]float64{0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 900, 3600, 86400}),
		timeouts:    counter("check_timeouts_total", "Checks that failed because no answer came in time."),
		gitCommands: counters("git_commands_total", "Git processes, by sub-command and result.", "command", "result"),
		gitDuration: histograms("git_command_duration_seconds", "Time from needing a git process to its end, with the wait for a place.",
			[]float64{0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10, 60}, "command"),
		gitProcesses:   gauge("git_processes", "Git processes that run or wait for a place."),
		jobRuns:        counters("job_runs_total", "Runs of periodic jobs.", "job", "result"),
		jobLastSuccess: gauges("job_last_success_timestamp_seconds", "When a periodic job last ended without an error.", "job"),
	}
	build := gauges("build_info", "1, with the version of the program.", "version", "revision")
	build.WithLabelValues(version, revision).Set(1)
	attempts := counters("delivery_attempts_total", "Attempts to deliver, by outcome.", "outcome")
	m.attempts = map[string]prometheus.Counter{}
	for _, outcome := range outcomes {
		m.attempts[outcome] = attempts.WithLabelValues(outcome)
	}
	answers := counters("answers_total", "Answers of services, by status.", "status")
	m.answers = map[models.Status]prometheus.Counter{}
	for _, status := range []models.Status{models.StatusPassed, models.StatusFailed, models.StatusPending} {
		m.answers[status] = answers.WithLabelValues(string(status))
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build,
		m.requests, m.requestDuration, attempts, m.attemptDuration, m.firstByte, answers, m.answerDuration, m.timeouts,
		m.gitCommands, m.gitDuration, m.gitProcesses, m.jobRuns, m.jobLastSuccess,
	)
	return m
}

const namespace = "mergegate"

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
}

// maxScrapes is how many requests for the metrics are answered at once.
const maxScrapes = 4

// Handler serves the metrics at /metrics. Failures of a part are logged, and the other
// parts are served.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError),
	}))
	return mux
}

// Git measures a git process; it is gitrepo.Options.Observe.
func (m *Metrics) Git(_ context.Context, command string) (ended func(error)) {
	began := time.Now()
	m.gitProcesses.Inc()
	return func(err error) {
		m.gitProcesses.Dec()
		m.gitDuration.WithLabelValues(command).Observe(time.Since(began).Seconds())
		m.gitCommands.WithLabelValues(command, gitResult(err)).Inc()
	}
}

// gitResult names the result of a git process. Many commands answer a question with
// their exit code, so "exit" is no failure.
func gitResult(err error) string {
	var exit *gitrepo.CommandError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &exit):
		return "exit"
	case errors.Is(err, gitrepo.ErrBusy):
		return "busy"
	case errors.Is(err, gitrepo.ErrTooLarge):
		return "limit"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return "error"
}

// Job measures a run of a periodic job; it is jobs.Options.JobDone.
func (m *Metrics) Job(job string, _ time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	} else {
		m.jobLastSuccess.WithLabelValues(job).SetToCurrentTime()
	}
	m.jobRuns.WithLabelValues(job, result).Inc()
}
