package apiv4_test

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models/modelstest"
)

// Deep and large bodies take less than a second and 256 MB of allocations.
func TestCost_DeepOrLargeBody_StaysBounded(t *testing.T) {
	s := newSite(t, modelstest.SQLite(t))
	const size = 4 << 20
	header := http.Header{"Content-Type": {"application/json"}, "Private-Token": {s.tokens["olga"]}}
	for name, body := range map[string]string{
		"deep arrays":        strings.Repeat("[", size),
		"deep objects":       strings.Repeat(`{"a":`, size/5),
		"closed deep arrays": `{"name":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}",
		"many fields":        "{" + strings.Repeat(`"a":1,`, size/6) + `"a":1}`,
		"long string":        `{"name":"` + strings.Repeat("x", size) + `"}`,
		"long number":        `{"id":` + strings.Repeat("9", size) + "}",
		"escapes":            `{"name":"` + strings.Repeat(`\u0000`, size/6) + `"}`,
		"many numbers":       `{"protected_branch_ids":[` + strings.Repeat("1,", size/2) + "1]}",
	} {
		var before, after runtime.MemStats
		var fastest time.Duration
		for try := range 3 { // retries, because other processes may slow down a run
			runtime.ReadMemStats(&before)
			start := time.Now()
			a := s.send(http.MethodPost, "/projects", body, header)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if a.status >= http.StatusInternalServerError || a.status < http.StatusBadRequest || a.status == http.StatusUnauthorized {
				t.Errorf("%s: status %d", name, a.status)
			}
			if try == 0 || took < fastest {
				fastest = took
			}
			if fastest < time.Second {
				break
			}
		}
		if memory := after.TotalAlloc - before.TotalAlloc; fastest > time.Second || memory > 256<<20 {
			t.Errorf("%s: %v and %d MB", name, fastest, memory>>20)
		}
	}
}
