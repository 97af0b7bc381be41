package handlers

import (
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models/modelstest"
)

// The budget of a merge request's page: bytes over the network, compressed and
// with headers, on the first visit and on later ones, and requests.
const (
	firstVisitBytes = 60 << 10
	laterVisitBytes = 15 << 10
	visitRequests   = 8
)

// visit is what loading a page took, as the browser counts it.
type visit struct {
	Bytes    int
	Requests []string
}

// TestThePageOfAMergeRequestIsLight holds it to the budget, with ten checks.
func TestThePageOfAMergeRequestIsLight(t *testing.T) {
	s := newMRSite(t, modelstest.SQLite(t))
	for _, name := range []string{"licence", "security", "load", "style", "docs", "perf", "legal", "deploy", "audit", "export"} {
		s.Service(name)
	}
	url := s.as(s.Owner).serve() + s.mrPath(s.open("topic"), "")
	p := browsertest.New(t)
	measure := func(what string, budget int) {
		t.Helper()
		p.WaitFor("the page to be loaded", `performance.getEntriesByType("navigation")[0].loadEventEnd > 0`)
		v := browsertest.Eval[visit](p, `(() => {
			const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
				.filter((e) => !e.name.includes("/status_checks?"));
			return { Bytes: all.reduce((sum, e) => sum + e.transferSize, 0), Requests: all.filter((e) => e.transferSize > 0).map((e) => e.name) };
		})()`)
		t.Logf("%s: %d bytes in %d requests", what, v.Bytes, len(v.Requests))
		if v.Bytes > budget || v.Bytes == 0 {
			t.Errorf("%s takes %d bytes, the budget is %d", what, v.Bytes, budget)
		}
		if len(v.Requests) > visitRequests {
			t.Errorf("%s takes %d requests, the budget is %d: %q", what, len(v.Requests), visitRequests, v.Requests)
		}
	}
	p.Go(url)
	measure("the first visit", firstVisitBytes)
	p.Go(url)
	measure("a later visit", laterVisitBytes)
}
