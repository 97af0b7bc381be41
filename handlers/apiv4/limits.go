package apiv4

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"
)

// Limits bound how often the API may be asked. They hold for this process.
type Limits struct {
	// Token holds for each access token, Address for each address that
	// requests come from, whoever asks.
	Token, Address Limit
}

// Limit is how many requests per minute may be made for long, and how many at
// once. PerMinute 0 takes the default; below 0 there is no limit.
type Limit struct{ PerMinute, Burst int }

// The limits when none are set: far above what people and services need, far
// below what a runaway loop does.
var (
	defaultTokenLimit   = Limit{PerMinute: 6000, Burst: 1000}
	defaultAddressLimit = Limit{PerMinute: 12000, Burst: 2000}
)

func (l Limit) orDefault(otherwise Limit) Limit {
	if l.PerMinute == 0 {
		return otherwise
	}
	return l
}

// limiter counts requests by key. Whoever has been quiet long enough to have
// the whole burst again is forgotten.
type limiter[K comparable] struct {
	limit Limit
	mu    sync.Mutex
	by    map[K]*rate.Limiter
	// sweepAt is the number of keys at which the quiet ones are looked for.
	sweepAt int
}

const sweepFrom = 1024

func newLimiter[K comparable](limit Limit) *limiter[K] {
	return &limiter[K]{limit: limit, by: map[K]*rate.Limiter{}, sweepAt: sweepFrom}
}

// wait is 0 when a request may be made now, and has then counted it; else how
// long to wait for one.
func (l *limiter[K]) take(key K, now time.Time) time.Duration {
	if l.limit.PerMinute < 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket, known := l.by[key]
	if !known {
		l.sweep(now)
		bucket = rate.NewLimiter(rate.Limit(l.limit.PerMinute)/60, max(1, l.limit.Burst))
		l.by[key] = bucket
	}
	if bucket.AllowN(now, 1) {
		return 0
	}
	missing := 1 - bucket.TokensAt(now)
	return time.Duration(missing / float64(bucket.Limit()) * float64(time.Second))
}

// sweep keeps the map from growing with every address that ever asked.
func (l *limiter[K]) sweep(now time.Time) {
	if len(l.by) < l.sweepAt {
		return
	}
	for key, bucket := range l.by {
		if bucket.TokensAt(now) >= float64(bucket.Burst()) {
			delete(l.by, key)
		}
	}
	l.sweepAt = max(sweepFrom, 2*len(l.by))
}

// slowDown refuses a request that comes too soon, and says when to try again.
func (c *call) enforceLimit(wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	c.Response().Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	return message(http.StatusTooManyRequests, "429 Too Many Requests")
}

// limited counts what is no route by its address, as everything else.
func (a *api) rateLimited(next echo.HandlerFunc) echo.HandlerFunc {
	return func(ec echo.Context) error {
		c := &call{Context: ec, api: a}
		if err := c.enforceLimit(a.addresses.take(c.RealIP(), c.now())); err != nil {
			return c.fail(err)
		}
		return next(ec)
	}
}
