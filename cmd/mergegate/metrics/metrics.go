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
	answers         map[string]prometheus.Counter // by status
	answerDuration  prometheus.Histogram
	timeouts        prometheus.Counter

	gitFailures  map[string]prometheus.Counter // by reason
	gitDuration  *prometheus.HistogramVec
	gitProcesses prometheus.Gauge

	jobRuns        *prometheus.CounterVec
	jobFailed      *prometheus.GaugeVec
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
		timeouts: counter("check_timeouts_total", "Checks that failed because no answer came in time."),
		gitDuration: histograms("git_command_duration_seconds", "Time from needing a git process to its end, with the wait for a place.",
			[]float64{0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10, 60}, "command"),
		gitProcesses: gauge("git_processes", "Git processes that run or wait for a place."),
		// Prometheus itself sets a label "job".
		jobRuns:        counters("job_runs_total", "Runs of periodic jobs.", "operation"),
		jobFailed:      gauges("job_failed", "1 if the last run of a periodic job ended with an error, else 0.", "operation"),
		jobLastSuccess: gauges("job_last_success_timestamp_seconds", "When a periodic job last ended without an error.", "operation"),
	}
	build := gauges("build_info", "1, with the version of the program.", "version", "revision")
	build.WithLabelValues(version, revision).Set(1)
	attempts := counters("delivery_attempts_total", "Attempts to deliver, by outcome.", "outcome")
	m.attempts = fromZero(attempts, outcomes...)
	answers := counters("answers_total", "Answers of services, by status.", "status")
	m.answers = fromZero(answers, string(models.StatusPassed), string(models.StatusFailed), string(models.StatusPending))
	gitFailures := counters("git_failures_total", "Git processes that did not do their work, by reason.", "reason")
	m.gitFailures = fromZero(gitFailures, gitBusy, gitLimit, gitError)
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build,
		m.requests, m.requestDuration, attempts, m.attemptDuration, m.firstByte, answers, m.answerDuration, m.timeouts,
		gitFailures, m.gitDuration, m.gitProcesses, m.jobRuns, m.jobFailed, m.jobLastSuccess,
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

// fromZero creates the counters of all values of a label, so that a query sees their first
// increase.
func fromZero(v *prometheus.CounterVec, values ...string) map[string]prometheus.Counter {
	byValue := make(map[string]prometheus.Counter, len(values))
	for _, value := range values {
		byValue[value] = v.WithLabelValues(value)
	}
	return byValue
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
		if reason := gitFailure(err); reason != "" {
			m.gitFailures[reason].Inc()
		}
	}
}

// The reasons why a git process did not do its work.
const (
	gitBusy  = "busy"  // no place in the pool in time
	gitLimit = "limit" // of time, memory or output
	gitError = "error"
)

// gitFailure returns the reason, or "" for no failure. Many commands answer a question
// with their exit code.
func gitFailure(err error) string {
	var exit *gitrepo.CommandError
	switch {
	case err == nil, errors.As(err, &exit), errors.Is(err, context.Canceled):
		return ""
	case errors.Is(err, gitrepo.ErrBusy):
		return gitBusy
	case errors.Is(err, gitrepo.ErrTooLarge):
		return gitLimit
	}
	return gitError
}

// Job measures a run of a periodic job; it is jobs.Options.JobDone.
func (m *Metrics) Job(operation string, err error) {
	m.jobRuns.WithLabelValues(operation).Inc()
	if err != nil {
		m.jobFailed.WithLabelValues(operation).Set(1)
		return
	}
	m.jobFailed.WithLabelValues(operation).Set(0)
	m.jobLastSuccess.WithLabelValues(operation).SetToCurrentTime()
}
