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

// Limits are the rate limits of the API. Each process counts on its own.
type Limits struct {
	// Token applies to each access token, Address to each client address.
	Token, Address Limit
}

// Limit is a token bucket: PerMinute requests are allowed on average and Burst at
// once. PerMinute 0 means the default and a negative value means no limit.
type Limit struct{ PerMinute, Burst int }

// Default limits: more than people and services need, less than a program in an
// endless loop sends.
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

// limiter counts requests by key in token buckets. Full buckets are removed from
// time to time.
type limiter[K comparable] struct {
	limit   Limit
	mu      sync.Mutex
	buckets map[K]*rate.Limiter
	// sweepAt is the number of keys at which sweep removes full buckets.
	sweepAt int
}

// minSweep is the lowest number of keys at which sweep does anything.
const minSweep = 1024

func newLimiter[K comparable](limit Limit) *limiter[K] {
	return &limiter[K]{limit: limit, buckets: map[K]*rate.Limiter{}, sweepAt: minSweep}
}

// take counts a request and returns 0 if it is within the limit. Otherwise it
// returns how long the client must wait.
func (l *limiter[K]) take(key K, now time.Time) time.Duration {
	if l.limit.PerMinute < 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket, known := l.buckets[key]
	if !known {
		l.sweep(now)
		bucket = rate.NewLimiter(rate.Limit(l.limit.PerMinute)/60, max(1, l.limit.Burst))
		l.buckets[key] = bucket
	}
	if bucket.AllowN(now, 1) {
		return 0
	}
	missing := 1 - bucket.TokensAt(now)
	return time.Duration(missing / float64(bucket.Limit()) * float64(time.Second))
}

// sweep removes full buckets, so that the map does not grow with every address.
func (l *limiter[K]) sweep(now time.Time) {
	if len(l.buckets) < l.sweepAt {
		return
	}
	for key, bucket := range l.buckets {
		if bucket.TokensAt(now) >= float64(bucket.Burst()) {
			delete(l.buckets, key)
		}
	}
	l.sweepAt = max(minSweep, 2*len(l.buckets))
}

// enforceLimit refuses a request with 429 and Retry-After if wait is positive.
func (c *call) enforceLimit(wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	c.Response().Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	return message(http.StatusTooManyRequests, "429 Too Many Requests")
}

// rateLimited applies the limit per address to paths and methods that are not routes.
func (a *api) rateLimited(next echo.HandlerFunc) echo.HandlerFunc {
	return func(ec echo.Context) error {
		c := &call{Context: ec, api: a}
		if err := c.enforceLimit(a.addresses.take(c.RealIP(), c.now())); err != nil {
			return c.fail(err)
		}
		return next(ec)
	}
}
