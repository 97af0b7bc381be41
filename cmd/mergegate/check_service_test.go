package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/servicecheck"
)

func TestCheckService_ExitCodes(t *testing.T) {
	accepting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer accepting.Close()
	flags := func(more ...string) []string {
		return append([]string{"check-service", "--listen", "127.0.0.1:0", "--wait", "1ms", "--answer-within", "0", "--json"}, more...)
	}
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"no faults":      {flags("--url", accepting.URL), 0},
		"faults":         {flags("--url", accepting.URL, "--secret", "abc"), 1},
		"nobody listens": {flags("--url", "http://127.0.0.1:1/"), 2},
		"no URL":         {flags(), 2},
		"unknown flag":   {flags("--url", accepting.URL, "--colour"), 2},
		"no API address": {flags("--url", accepting.URL, "--listen", "127.0.0.1:-1"), 2},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := run(t.Context(), c.args, &out)
			var exit exitError
			if errors.As(err, &exit); exit.code != c.want || (err == nil) != (c.want == 0) {
				t.Fatalf("exit code %d (%v), want %d", exit.code, err, c.want)
			}
			if c.want == 2 {
				return
			}
			var report struct {
				Deliveries []any
				Faults     []servicecheck.Finding
			}
			if err := json.Unmarshal([]byte(out.String()), &report); err != nil {
				t.Fatalf("%v in %s", err, out.String())
			}
			if (len(report.Faults) == 0) != (c.want == 0) || len(report.Deliveries) == 0 {
				t.Errorf("report %+v", report)
			}
		})
	}
}
