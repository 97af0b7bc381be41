package main

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/mergegate/mergegate/models"
)

const (
	// scaleSizeVariable is the number of merge requests of the large database.
	scaleSizeVariable = "MERGEGATE_BENCH_MERGE_REQUESTS"
	// scaleKeepVariable names a folder in which the seeded SQLite databases are kept for
	// the next run.
	scaleKeepVariable = "MERGEGATE_BENCH_KEEP"
	// scaleRequestsVariable is a regular expression that selects requests; "" selects all.
	scaleRequestsVariable = "MERGEGATE_BENCH_REQUESTS"
	scaleSmall            = 1000
	scaleRounds           = 31
	// A request is flat if it takes at most flatRatio times as long with many merge requests,
	// or flatDifference longer: medians of few milliseconds differ as much by chance.
	flatRatio      = 1.5
	flatDifference = 2 * time.Millisecond
)

// BenchmarkScale measures every GET route on a database with 1,000 merge requests and on
// one with many, alternately, and prints the medians, their ratio and how many requests
// are flat. The project that is looked at has SeedInput.LargeMergeRequests, so that both fill pages. Run it with
// -benchtime 1x.
func BenchmarkScale(b *testing.B) {
	size, err := strconv.Atoi(cmp.Or(os.Getenv(scaleSizeVariable), "20000"))
	if err != nil {
		b.Fatal(err)
	}
	for _, driver := range []string{models.DriverSQLite, models.DriverPostgres} {
		b.Run(driver, func(b *testing.B) {
			small, large := openScaleSite(b, driver, scaleSmall), openScaleSite(b, driver, size)
			for b.Loop() {
				compareScale(b, small, large)
			}
		})
	}
}

// scaleTimes are the times of one request on both databases.
type scaleTimes struct {
	request      scaleRequest
	small, large time.Duration
}

func (t scaleTimes) ratio() float64 { return float64(t.large) / float64(t.small) }

func (t scaleTimes) isFlat() bool { return t.ratio() <= flatRatio || t.large-t.small <= flatDifference }

func compareScale(b *testing.B, small, large *scaleSite) {
	var all []scaleTimes
	selected := regexp.MustCompile(os.Getenv(scaleRequestsVariable))
	for _, r := range small.requests() {
		if !selected.MatchString(r.String()) {
			continue
		}
		var s, l []time.Duration
		for round := range 3 + scaleRounds {
			if len(l) > 4 && slices.Min(l) > time.Second/10 {
				break // a few runs are enough to see that it is slow
			}
			x, y := small.serve(b, r), large.serve(b, r)
			if round >= 3 { // the first ones warm up
				s, l = append(s, x), append(l, y)
			}
		}
		slices.Sort(s)
		slices.Sort(l)
		all = append(all, scaleTimes{r, s[len(s)/2], l[len(l)/2]})
	}
	slices.SortStableFunc(all, func(a, b scaleTimes) int { return cmp.Compare(b.ratio(), a.ratio()) })
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "ratio\t%d ms\t%d ms\t\t\n", small.size, large.size)
	byRatio, flat := 0, 0
	for _, t := range all {
		mark := "SLOW"
		if t.isFlat() {
			mark = ""
			flat++
		}
		if t.ratio() <= flatRatio {
			byRatio++
		}
		fmt.Fprintf(table, "%.2f\t%.2f\t%.2f\t%s\t  %s\n", t.ratio(), ms(t.small), ms(t.large), mark, t.request)
	}
	table.Flush()
	fmt.Printf("%s%d requests: %d at most %.1f times as long, %d more at most %v longer, %d slower.\n\n",
		out.String(), len(all), byRatio, flatRatio, flat-byRatio, flatDifference, len(all)-flat)
	b.ReportMetric(all[0].ratio(), "max-ratio")
	b.ReportMetric(float64(len(all)-flat), "slower")
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// withoutData lists parts of paths whose rows the seed does not write.
var withoutData = []string{"branch_rules/:id", "project_members/:id", "tokens/:", "tags/:tag", "protected_branches/:name", "namespaces/:namespace_id"}

// requests returns every route that is a GET, and lists with filters.
func (s *scaleSite) requests() (all []scaleRequest) {
	for _, r := range s.handler.Routes() {
		isPage := r.Method == http.MethodGet && !strings.Contains(r.Path, "*") && !strings.Contains(r.Path, ".git") && !strings.HasSuffix(r.Path, "/info/refs") && !strings.HasPrefix(r.Path, "/static")
		skip := slices.ContainsFunc(withoutData, func(part string) bool { return strings.Contains(r.Path, part) })
		if !isPage || skip {
			continue
		}
		user := models.SeedNamespace
		if r.Path == "/api/v4/users" || strings.Contains(r.Path, "/admin") || strings.HasSuffix(r.Path, "application/settings") || strings.Contains(r.Path, "/v4/audit_events") {
			user = "root-of-seed"
		}
		all = append(all, scaleRequest{user, r.Path})
	}
	all = slices.DeleteFunc(all, func(r scaleRequest) bool { return s.redirects(r) })
	for _, path := range []string{
		"/?all=1", "/?sort=failed", "/?sort=name", "/?all=1&search=cache", "/dashboard/merge_requests?state=merged",
		"/api/v4/merge_requests?scope=all", "/api/v4/merge_requests?scope=all&state=opened", "/api/v4/merge_requests?scope=all&order_by=updated_at",
		"/api/v4/merge_requests?scope=all&search=T-77", "/api/v4/projects?membership=true", "/api/v4/projects?search=cache", "/api/v4/projects?order_by=name",
	} {
		for _, user := range []string{models.SeedNamespace, "seed-1", "root-of-seed"} {
			all = append(all, scaleRequest{user, path})
		}
	}
	const list, api = "/:namespace/:project/-/merge_requests", "/api/v4/projects/:id"
	const log = "/:namespace/:project/-/settings/merge_requests/status_checks/:id"
	for _, path := range []string{
		list + "?state=all", list + "?state=merged", list + "?sort=updated_desc", list + "?sort=title_asc", list + "?search=T-77", list + "?search=cache",
		list + "?search=zzzz", list + "?checks=failed", list + "?checks=pending", list + "?checks=passed&state=all", list + "?author_username=seed-3",
		list + "?target_branch=main", list + "?draft=yes", list + "?page=3",
		api + "/merge_requests?state=opened", api + "/merge_requests?search=cache", api + "/merge_requests?search=zzzz", api + "/merge_requests?order_by=updated_at",
		api + "/merge_requests?order_by=title", api + "/merge_requests?author_username=seed-3", api + "/merge_requests?source_branch=topic-3",
		api + "/merge_requests?created_after=2020-01-01", api + "/merge_requests?created_before=2020-01-01", api + "/merge_requests?updated_before=2020-01-01",
		api + "/merge_requests?pagination=keyset&order_by=created_at",
		api + "/external_status_checks/:check_id/deliveries?status=failed",
		log + "?outcome=failed", log + "?search=deadbeef", log + "?status=404", log + "?status=5xx", log + "?event=test", log + "?event=open", log + "?mr=1",
		"/:namespace/:project/-/audit_events?kind=members", "/:namespace/:project/-/audit_events?kind=merge_requests",
		list + "?checks=pending&state=all", list + "?checks=failed&state=merged", list + "?author_username=nobody",
		"/dashboard/merge_requests?state=closed",
	} {
		all = append(all, scaleRequest{models.SeedNamespace, path})
	}
	for _, path := range []string{
		"/admin/users?search=zzzz", "/admin/users?search=seed", "/admin/audit_events?kind=users", "/admin/audit_events?kind=tokens&scope=all",
		"/admin/audit_events?kind=instance&scope=all", "/admin/audit_events?author=nobody&scope=all", "/?all=1&search=zzzz", "/api/v4/projects?search=zzzz",
	} {
		all = append(all, scaleRequest{"root-of-seed", path})
	}
	return all
}

// redirects reports whether a page only leads to another one.
func (s *scaleSite) redirects(r scaleRequest) bool {
	w := httptest.NewRecorder()
	path := r.path
	for _, segment := range strings.Split(path, "/") {
		if name, ok := strings.CutPrefix(segment, ":"); ok {
			path = strings.Replace(path, segment, s.param(name, r.path), 1)
		}
	}
	req := httptest.NewRequest(http.MethodGet, "http://mergegate.test"+path, nil)
	req.Header.Set("Cookie", s.cookies[r.user])
	req.Header.Set("PRIVATE-TOKEN", s.tokens[r.user])
	s.handler.ServeHTTP(w, req)
	return w.Code >= 300 && w.Code < 400 || w.Code == http.StatusNotFound || w.Code == http.StatusBadRequest || w.Code == http.StatusMethodNotAllowed
}
