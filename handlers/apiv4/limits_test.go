package apiv4_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/apiv4"
)

// A token beyond its limit gets 429 with Retry-After and works again after that
// time. Other tokens are not affected.
func TestLimits_PerToken_DoNotAffectOtherTokens(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.startRouter(t, apiv4.Limits{Token: apiv4.Limit{PerMinute: 6, Burst: 3}, Address: apiv4.Limit{PerMinute: -1}})
		for range 3 {
			s.wantAnswer(t, s.do("olga", "GET", "/user", ""), 200)
		}
		a := s.wantAnswer(t, s.do("olga", "GET", "/user", ""), 429, `{"message":"429 Too Many Requests"}`)
		if got := a.header.Get("Retry-After"); got != "10" {
			t.Errorf("Retry-After is %q, want 10", got)
		}
		s.wantAnswer(t, s.do("reporter", "GET", "/user", ""), 200)
		s.Clock.Advance(4 * time.Second)
		if got := s.wantAnswer(t, s.do("olga", "GET", "/user", ""), 429).header.Get("Retry-After"); got != "6" {
			t.Errorf("4 s later Retry-After is %q, want 6", got)
		}
		s.Clock.Advance(6 * time.Second)
		s.wantAnswer(t, s.do("olga", "GET", "/user", ""), 200)
		s.wantAnswer(t, s.do("olga", "GET", "/user", ""), 429)
	})
}

// The limit per address applies before the token is checked, so it also limits
// guessing of tokens.
func TestLimits_PerAddress_CountInvalidTokens(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.startRouter(t, apiv4.Limits{Token: apiv4.Limit{PerMinute: -1}, Address: apiv4.Limit{PerMinute: 60, Burst: 5}})
		for range 5 {
			s.wantAnswer(t, s.send("GET", "/user", "", http.Header{"Private-Token": {auth.NewAccessToken()}}), 401)
		}
		s.wantAnswer(t, s.do("olga", "GET", "/user", ""), 429)
		from := func(address string) int {
			r := httptest.NewRequest("GET", "/api/v4/user", nil)
			r.RemoteAddr = address
			r.Header.Set("Private-Token", s.tokens["olga"])
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			return w.Code
		}
		for i := range 1500 { // enough keys for the limiter to remove full buckets
			if got := from(fmt.Sprintf("10.0.%d.%d:9", i/250, i%250)); got != 200 {
				t.Fatalf("address %d: status %d", i, got)
			}
			if i%500 == 0 {
				s.Clock.Advance(time.Second)
			}
		}
		s.wantAnswer(t, s.do("olga", "GET", "/user", ""), 200)
	})
}

func TestLimits_UnknownRoutes_AreCounted(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.startRouter(t, apiv4.Limits{Token: apiv4.Limit{PerMinute: -1}, Address: apiv4.Limit{PerMinute: 60, Burst: 2}})
		s.wantAnswer(t, s.do("olga", "GET", "/oranges", ""), 404)
		s.wantAnswer(t, s.do("olga", "DELETE", "/user", ""), 405)
		for path, method := range map[string]string{"/oranges": "GET", "/user": "DELETE"} {
			a := s.wantAnswer(t, s.do("olga", method, path, ""), 429, `{"message":"429 Too Many Requests"}`)
			if got := a.header.Get("Retry-After"); got != "1" {
				t.Errorf("Retry-After is %q, want 1", got)
			}
		}
	})
}
