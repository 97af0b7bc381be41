package apiv4_test

import (
	"encoding/json"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models/modelstest"
)

// Deep and large bodies cost at most five times what the standard library takes
// to decode a long list in the same run, and 256 MB of allocations.
func TestExhaustiveCost_DeepOrLargeBody_StaysBounded(t *testing.T) {
	s := newSite(t, modelstest.SQLite(t))
	const size = 4 << 20
	header := http.Header{"Content-Type": {"application/json"}, "Private-Token": {s.tokens["olga"]}}
	numbers := `{"protected_branch_ids":[` + strings.Repeat("1,", size/2) + "1]}"
	began := processTime(t)
	var decoded any
	if err := json.Unmarshal([]byte(numbers), &decoded); err != nil {
		t.Fatal(err)
	}
	limit := 5 * (processTime(t) - began)
	for name, body := range map[string]string{
		"deep arrays":        strings.Repeat("[", size),
		"deep objects":       strings.Repeat(`{"a":`, size/5),
		"closed deep arrays": `{"name":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}",
		"many fields":        "{" + strings.Repeat(`"a":1,`, size/6) + `"a":1}`,
		"long string":        `{"name":"` + strings.Repeat("x", size) + `"}`,
		"long number":        `{"id":` + strings.Repeat("9", size) + "}",
		"escapes":            `{"name":"` + strings.Repeat(`\u0000`, size/6) + `"}`,
		"many numbers":       numbers,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := processTime(t)
		a := s.send(http.MethodPost, "/projects", body, header)
		took := processTime(t) - began
		runtime.ReadMemStats(&after)
		if a.status >= http.StatusInternalServerError || a.status < http.StatusBadRequest || a.status == http.StatusUnauthorized {
			t.Errorf("%s: status %d", name, a.status)
		}
		if memory := after.TotalAlloc - before.TotalAlloc; took > limit || memory > 256<<20 {
			t.Errorf("%s: %v of processor time and %d MB, want at most %v and 256 MB", name, took, memory>>20, limit)
		}
	}
}

// processTime returns the processor time that this process has used. Other
// processes do not change it.
func processTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
