package metrics

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/mergegate/mergegate/jobs"
	"github.com/mergegate/mergegate/models"
)

const (
	// cacheTime is how long a reading of the database is used, so that the number of
	// scrapes does not matter to it.
	cacheTime = 10 * time.Second
	// readTime limits a reading of the database.
	readTime = 5 * time.Second
)

// BackgroundWork reads what the background loops have to do. models.Store implements it.
type BackgroundWork interface {
	BackgroundWork(ctx context.Context, limit int) (models.BackgroundWork, error)
}

// WatchDatabase adds the metrics that are read from the database and those of its
// connections.
func (m *Metrics) WatchDatabase(work BackgroundWork, pools map[string]*sql.DB) {
	m.registry.MustRegister(&workCollector{source: work})
	for name, pool := range pools {
		m.registry.MustRegister(collectors.NewDBStatsCollector(pool, name))
	}
}

// WatchSlots adds the metrics of the attempts in flight.
func (m *Metrics) WatchSlots(use func() jobs.SlotUse) {
	add := func(name, help string, value func() jobs.SlotUse) {
		for slots, of := range map[string]func(jobs.SlotUse) int{
			"quick": func(u jobs.SlotUse) int { return u.Quick },
			"hung":  func(u jobs.SlotUse) int { return u.Hung },
			"all":   func(u jobs.SlotUse) int { return u.All },
		} {
			m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Namespace: namespace, Name: name, Help: help, ConstLabels: prometheus.Labels{"slots": slots},
			}, func() float64 { return float64(of(value())) }))
		}
	}
	add("send_slots_used", "Attempts in flight in this process, by kind of slot.", use)
	add("send_slots", "Attempts that this process may have in flight, by kind of slot.", func() jobs.SlotUse { return jobs.MaxSlots })
}

// workCollector collects the background work of all instances.
type workCollector struct {
	source BackgroundWork

	mu   sync.Mutex
	read time.Time
	work models.BackgroundWork
	err  error
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

var (
	databaseUp     = describe("database_up", "1 if the last reading of the database succeeded, else 0.")
	waiting        = describe("deliveries_waiting", "Deliveries of all instances that are not finished, counted up to 10,001.")
	inFlight       = describe("deliveries_in_flight", "Deliveries of all instances with a running attempt.")
	oldestDue      = describe("delivery_oldest_due_seconds", "How long the delivery that is due longest has been due.")
	oldestReady    = describe("delivery_oldest_ready_seconds", "The same, without services whose circuit breaker is open.")
	breakers       = describe("breakers", "Services whose circuit breaker is not closed, by state.", "state")
	recoveries     = describe("recoveries", "Unfinished operations that recovery completes after an interruption.", "kind")
	oldestRecovery = describe("recovery_oldest_seconds", "Age of the oldest unfinished operation, 0 without one.", "kind")
)

// Describe implements prometheus.Collector.
func (c *workCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{databaseUp, waiting, inFlight, oldestDue, oldestReady, breakers, recoveries, oldestRecovery} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. If the database cannot be read, it sends only
// database_up.
func (c *workCollector) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	work, err := c.current()
	if err != nil {
		send(databaseUp, 0)
		return
	}
	age := func(since *time.Time) float64 {
		if since == nil {
			return 0
		}
		return max(0, work.At.Sub(*since).Seconds())
	}
	send(databaseUp, 1)
	send(waiting, float64(work.Waiting))
	send(inFlight, float64(work.InFlight))
	send(oldestDue, age(work.OldestDueAt))
	send(oldestReady, age(work.OldestReadyAt))
	send(breakers, float64(work.OpenBreakers-work.HalfOpenBreakers), string(models.BreakerOpen))
	send(breakers, float64(work.HalfOpenBreakers), string(models.BreakerHalfOpen))
	for _, r := range work.Recoveries {
		send(recoveries, float64(r.Count), string(r.Kind))
		send(oldestRecovery, age(r.OldestAt), string(r.Kind))
	}
}

// current returns the background work as of at most cacheTime ago. Concurrent callers
// share one reading.
func (c *workCollector) current() (models.BackgroundWork, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.read.IsZero() && time.Since(c.read) < cacheTime {
		return c.work, c.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTime)
	defer cancel()
	c.work, c.err = c.source.BackgroundWork(ctx, 0)
	c.read = time.Now()
	return c.work, c.err
}
