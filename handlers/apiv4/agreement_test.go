package apiv4_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"pgregory.net/rapid"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

// After any sequence of requests, pushes and waits, the list, the widget and the
// merge gate show the same statuses as a simple model of the rules.
func TestExhaustiveStatus_ListWidgetAndGate_Agree(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		limit := flag.Lookup("rapid.checks")
		if limit.Value.String() == limit.DefValue { // each run creates a branch and a merge request
			if err := limit.Value.Set("10"); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = limit.Value.Set(limit.DefValue) }()
		}
		s.wantAnswer(t, s.do("olga", "PUT", "/projects/1", `{"only_allow_merge_if_all_status_checks_passed":true}`), 200)
		s.wantAnswer(t, s.do("olga", "POST", "/projects/1/external_status_checks", `{"name":"spelling","external_url":"https://spelling.example/"}`), 201)
		cookie, n := s.signIn(t, s.Owner), 0
		rapid.Check(t, func(t *rapid.T) {
			n++
			a := newMergeRequestModel(t, s, cookie, fmt.Sprintf("topic-%d", n))
			t.Repeat(map[string]func(*rapid.T){
				"respond": a.respond, "retry": a.retry, "push": a.push, "wait": a.wait,
				"close": a.close, "reopen": a.reopen, "merge": a.merge, "": a.check,
			})
		})
	})
}

// mergeRequestModel is a merge request under test and the state that it must have.
type mergeRequestModel struct {
	*testSite
	cookie, branch string
	mr             models.MergeRequest
	state          models.MergeRequestState
	checks         map[int64]models.Status
	since          map[int64]time.Time
}

func newMergeRequestModel(t *rapid.T, s *testSite, cookie, branch string) *mergeRequestModel {
	s.commit("feature", branch, map[string]string{branch + ".txt": "1\n"})
	a := &mergeRequestModel{testSite: s, cookie: cookie, branch: branch, mr: s.MergeRequest(branch, "main"), state: models.StateOpened,
		checks: map[int64]models.Status{}, since: map[int64]time.Time{}}
	_, checks := s.Reload(a.mr)
	if len(checks) != 2 {
		t.Fatalf("%d checks, want 2", len(checks))
	}
	for _, check := range checks {
		a.set(check.ExternalStatusCheckID, models.StatusPending)
	}
	return a
}

func (a *mergeRequestModel) set(id int64, status models.Status) {
	a.checks[id], a.since[id] = status, a.Store.Now()
}

// status returns the expected status: pending for more than two minutes reads as
// failed while the merge request is open.
func (a *mergeRequestModel) status(id int64) models.Status {
	if a.state == models.StateOpened && a.checks[id] == models.StatusPending && a.Store.Now().Sub(a.since[id]) > 2*time.Minute {
		return models.StatusFailed
	}
	return a.checks[id]
}

func (a *mergeRequestModel) path(rest string) string {
	return fmt.Sprintf("/projects/1/merge_requests/%d%s", a.mr.IID, rest)
}

func (a *mergeRequestModel) drawService(t *rapid.T) int64 {
	return rapid.SampledFrom([]int64{1, 3}).Draw(t, "service")
}

func (a *mergeRequestModel) wantStatus(t *rapid.T, got answer, want int) {
	if got.status != want {
		t.Fatalf("status %d, want %d: %s", got.status, want, got.body)
	}
}

func (a *mergeRequestModel) respond(t *rapid.T) {
	id, status := a.drawService(t), rapid.SampledFrom([]models.Status{"pending", "passed", "passed", "failed"}).Draw(t, "status")
	sha, want := a.mr.HeadSHA, 201
	if rapid.IntRange(0, 3).Draw(t, "stale") == 0 {
		sha, want = strings.Repeat("0", 40), 409
	}
	body := fmt.Sprintf(`{"external_status_check_id":%d,"sha":%q,"status":%q}`, id, sha, status)
	got := a.do("developer", "POST", a.path("/status_check_responses"), body)
	a.wantStatus(t, got, want)
	if want == 201 && a.state != models.StateMerged { // a late response changes nothing
		a.set(id, status)
	}
}

func (a *mergeRequestModel) retry(t *rapid.T) {
	id := a.drawService(t)
	if a.state != models.StateOpened || a.status(id) != models.StatusFailed {
		a.wantStatus(t, a.do("developer", "POST", a.path(fmt.Sprintf("/status_checks/%d/retry", id)), ""), 422)
		return
	}
	a.wantStatus(t, a.do("developer", "POST", a.path(fmt.Sprintf("/status_checks/%d/retry", id)), ""), 202)
	a.set(id, models.StatusPending)
}

func (a *mergeRequestModel) push(t *rapid.T) {
	if a.state != models.StateOpened {
		t.Skip("pushes to a closed merge request take effect when it is reopened")
	}
	a.mr.HeadSHA = a.commit("", a.branch, map[string]string{a.branch + ".txt": fmt.Sprint(a.Store.Now().UnixNano(), a.mr.HeadSHA)})
	for id := range a.checks {
		a.set(id, models.StatusPending)
	}
}

func (a *mergeRequestModel) wait(t *rapid.T) {
	durations := []time.Duration{
		time.Millisecond, time.Second, time.Minute, 2 * time.Minute, 2*time.Minute + time.Microsecond,
	}
	a.Clock.Advance(rapid.SampledFrom(durations).Draw(t, "time"))
}

func (a *mergeRequestModel) close(t *rapid.T) {
	if a.state != models.StateOpened {
		t.Skip("not open")
	}
	a.wantStatus(t, a.do("developer", "PUT", a.path(""), `{"state_event":"close"}`), 200)
	for id := range a.checks { // an expired time-out is kept
		a.checks[id] = a.status(id)
	}
	a.state = models.StateClosed
}

func (a *mergeRequestModel) reopen(t *rapid.T) {
	if a.state != models.StateClosed {
		t.Skip("not closed")
	}
	a.wantStatus(t, a.do("developer", "PUT", a.path(""), `{"state_event":"reopen"}`), 200)
	a.state = models.StateOpened
	for id, status := range a.checks {
		if status == models.StatusPending {
			a.set(id, status)
		}
	}
}

func (a *mergeRequestModel) merge(t *rapid.T) {
	want := 200
	if a.state != models.StateOpened || !a.passed() {
		want = 405
	}
	a.wantStatus(t, a.do("maintainer", "PUT", a.path("/merge"), fmt.Sprintf(`{"sha":%q}`, a.mr.HeadSHA)), want)
	if want == 200 {
		a.state = models.StateMerged
	}
}

func (a *mergeRequestModel) passed() bool {
	for id := range a.checks {
		if a.status(id) != models.StatusPassed {
			return false
		}
	}
	return true
}

// check compares the list, the widget and the merge gate with the model.
func (a *mergeRequestModel) check(t *rapid.T) {
	want := map[int64]models.Status{}
	for id := range a.checks {
		want[id] = a.status(id)
	}
	if got := a.list(t); !maps.Equal(got, want) {
		t.Errorf("list shows %v, want %v", got, want)
	}
	if got := a.widget(t); !maps.Equal(got, want) {
		t.Errorf("widget shows %v, want %v", got, want)
	}
	gate := "not_open"
	switch {
	case a.state == models.StateOpened && a.passed():
		gate = "mergeable"
	case a.state == models.StateOpened:
		gate = "status_checks_must_pass"
	}
	got := a.do("reporter", "GET", fmt.Sprintf("/projects/1/merge_requests?iids[]=%d", a.mr.IID), "")
	if !strings.Contains(got.body, `"detailed_merge_status":"`+gate+`"`) {
		t.Errorf("detailed_merge_status is not %s: %s", gate, got.body)
	}
}

func (a *mergeRequestModel) list(t *rapid.T) map[int64]models.Status {
	var checks []struct {
		ID     int64
		Status models.Status
	}
	got := a.do("reporter", "GET", a.path("/status_checks"), "")
	if err := json.Unmarshal([]byte(got.body), &checks); err != nil {
		t.Fatal(got.body, err)
	}
	statuses := map[int64]models.Status{}
	for _, check := range checks {
		statuses[check.ID] = check.Status
	}
	return statuses
}

func (a *mergeRequestModel) widget(t *rapid.T) map[int64]models.Status {
	r := httptest.NewRequest("GET", fmt.Sprintf("/olga/pear/-/merge_requests/%d/status_checks?rev=none", a.mr.IID), nil)
	r.Header.Set("Cookie", a.cookie)
	r.Header.Set("HX-Request", "true")
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	page, err := goquery.NewDocumentFromReader(w.Body)
	if w.Code != 200 || err != nil {
		t.Fatalf("widget: status %d, %v", w.Code, err)
	}
	statuses := map[int64]models.Status{}
	page.Find("li.check-row").Each(func(_ int, row *goquery.Selection) {
		var id int64
		if _, err := fmt.Sscanf(row.AttrOr("id", ""), "status-check-%d", &id); err != nil {
			t.Fatal(err)
		}
		statuses[id] = models.Status(row.AttrOr("data-state", ""))
	})
	return statuses
}

// signIn signs a user in through the form and returns the value of the Cookie header.
func (s *testSite) signIn(t *testing.T, user models.User) string {
	t.Helper()
	const password = "correct horse battery"
	if err := s.Store.SetPassword(t.Context(), user, must(auth.HashPassword(t.Context(), password))(t), "", false); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/users/sign_in", strings.NewReader(url.Values{"login": {user.Username}, "password": {password}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if w.Code != http.StatusSeeOther {
		t.Fatalf("sign-in: status %d", w.Code)
	}
	var cookies []string
	for _, cookie := range w.Result().Cookies() {
		if cookie.MaxAge >= 0 {
			cookies = append(cookies, cookie.Name+"="+cookie.Value)
		}
	}
	return strings.Join(cookies, "; ")
}
