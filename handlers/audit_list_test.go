package handlers

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/mergegate/mergegate/models"
)

func TestAuditEvents_Filters_ApplyToPagesAndExport(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v := s.as(s.Owner)
		const rules = 46 // including the rule for main that every project has
		for i := range rules - 1 {
			if _, err := s.Store.CreateProtectedBranch(t.Context(), s.Owner, s.Project.ID, models.ProtectedBranchInput{
				Name: fmt.Sprintf("release-%02d", i), PushAccessLevel: models.RoleMaintainer, MergeAccessLevel: models.RoleMaintainer,
			}); err != nil {
				t.Fatal(err)
			}
		}
		s.Clock.Advance(48 * time.Hour)
		later := s.Clock.Now().Format(time.DateOnly)
		mona := s.User("mona")
		v.post(pearMembersPath, url.Values{"username": {"mona"}, "access_level": {"20"}}).wantStatus(http.StatusSeeOther)
		v.post(pearMembersPath+"/"+itoa(mona.ID), url.Values{"access_level": {"10"}}).wantStatus(http.StatusSeeOther)

		page := v.get(pearAuditPath + "?kind=members").wantStatus(http.StatusOK)
		if n := page.Find("#audit tbody tr").Length(); n != 2 || !page.has(`#kind option[value="members"][selected]`) {
			t.Errorf("%d events about members, want 2", n)
		}
		if ip := collapseSpace(page.Find("#audit tbody tr").First().Find("td").Last().Text()); ip != "192.0.2.1" {
			t.Errorf("IP address %q", ip)
		}
		page = v.get(pearAuditPath + "?kind=branches&to=" + later).wantStatus(http.StatusOK)
		if got := page.text(".pagination span"); !strings.HasPrefix(got, fmt.Sprintf("Showing 1 to 20 of %d", rules)) {
			t.Errorf("first page: %q", got)
		}
		next := page.Find(".pagination a").Last().AttrOr("href", "")
		if !strings.Contains(next, "kind=branches") || !strings.Contains(next, "to="+later) {
			t.Errorf("the link to the next page lacks the filter: %s", next)
		}
		if got := v.get(next).wantStatus(http.StatusOK).text(".pagination span"); !strings.HasPrefix(got, fmt.Sprintf("Showing 21 to 40 of %d", rules)) {
			t.Errorf("second page: %q", got)
		}
		page = v.get(pearAuditPath + "?kind=branches&from=" + later).wantStatus(http.StatusOK)
		if got := page.text("#audit .empty p"); got != "No audit events match." || page.attr("#audit .empty a", "href") != pearAuditPath {
			t.Errorf("empty list: %q", got)
		}
		if n := v.get(pearAuditPath + "?from=" + later + "&to=" + later).Find("#audit tbody tr").Length(); n != 2 {
			t.Errorf("%d events on that day, want 2", n)
		}
		page = v.get(pearAuditPath + "?from=yesterday&kind=nonsense&to=2026-02-30%00%ff").wantStatus(http.StatusOK)
		if page.text("#from-error") == "" || page.text("#to-error") == "" || page.attr("#from", "aria-invalid") != "true" || page.attr("#from", "aria-describedby") != "from-error" {
			t.Errorf("messages for invalid dates: %q, %q", page.text("#from-error"), page.text("#to-error"))
		}
		if !page.has("#audit tbody tr") {
			t.Error("invalid dates hide all events")
		}

		file := v.get(v.get(pearAuditPath+"?kind=branches&page=2").attr("#export-audit", "href")).wantStatus(http.StatusOK)
		if got := file.header.Get("Content-Type"); got != "text/csv; charset=utf-8" {
			t.Errorf("Content-Type %q", got)
		}
		if got := file.header.Get("Content-Disposition"); got != `attachment; filename="audit-events-pear-`+later+`.csv"` {
			t.Errorf("Content-Disposition %q", got)
		}
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(file.body, "\ufeff"))).ReadAll()
		if err != nil || len(rows) != rules+1 || rows[1][2] != "olga" || rows[1][4] != "release-44" {
			t.Errorf("%d rows, %v", len(rows), err)
		}
		s.as(s.Member("dora", models.RoleDeveloper)).get(pearAuditPath + ".csv").wantStatus(http.StatusForbidden)
		s.signedOut().get(pearAuditPath + ".csv").wantStatus(http.StatusSeeOther)
	})
}

// A query that fails during the export aborts the connection, so that browsers
// do not keep an incomplete file.
func TestAuditExport_QueryFails_AbortsConnection(t *testing.T) {
	s, _, log := newLoggedSite(t, nil)
	owner := s.as(s.Owner)
	if _, err := s.Store.DB().Exec("ALTER TABLE audit_events RENAME TO gone"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if broke := recover(); broke != http.ErrAbortHandler || !strings.Contains(log.String(), "audit event export failed") {
			t.Errorf("panic %v, log %s", broke, log)
		}
	}()
	t.Errorf("the request ended with %s", owner.get(pearAuditPath+".csv").body)
}

// Titles are written by others. Text that a spreadsheet would run as a formula
// gets a leading apostrophe.
func TestAuditExport_Cells_AreNoFormulas(t *testing.T) {
	for cell, want := range map[string]string{
		"": "", "Licence": "Licence", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\n=1": "'\n=1", "＝1+1": "'＝1+1", "a=1": "a=1", "結合": "結合",
	} {
		if got := escapeFormula(cell); got != want {
			t.Errorf("%q becomes %q, want %q", cell, got, want)
		}
	}
}

func TestInstanceAuditEvents_SignIns_AreForAdministrators(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.userWithPassword("priya")
		b := newBrowserClient(t, s.handler)
		b.post(signInPath, url.Values{"login": {"priya"}, "password": {"wrong " + testPassword}}).wantStatus(http.StatusUnprocessableEntity)
		s.signIn("priya")
		admin := s.Admin("root")
		page := s.as(admin).get(instanceAuditPath + "?kind=sign_ins").wantStatus(http.StatusOK)
		rows := page.Find("#audit tbody tr").Map(func(_ int, row *goquery.Selection) string {
			cells := row.Find("td")
			return collapseSpace(cells.Eq(1).Find(".row").Contents().Last().Text() + " | " + cells.Eq(2).Text() + " | " + cells.Eq(4).Text())
		})
		for _, want := range []string{"priya | Signed in | 192.0.2.1", "priya | Failed to sign in | 192.0.2.1"} {
			if !strings.Contains(strings.Join(rows, "\n"), want) {
				t.Errorf("%q lacks %q", rows, want)
			}
		}
		if !page.has(`.sidebar a[href="` + instanceAuditPath + `"]`) {
			t.Error("the admin area has no link to the audit events")
		}
		s.as(s.Owner).get(instanceAuditPath).wantStatus(http.StatusNotFound)
		s.as(admin).get(instanceAuditPath + ".csv").wantStatus(http.StatusOK)
	})
}

// The instance's list can include the events of all projects, and be narrowed to an author.
func TestInstanceAuditEvents_ScopeAndAuthor(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.Service("licence")
		s.openMergeRequest("topic")
		admin := s.as(s.Admin("root"))
		rows := func(query string) string {
			t.Helper()
			return collapseSpace(admin.get(instanceAuditPath + query).wantStatus(http.StatusOK).Find("#audit tbody").Text())
		}
		if got := rows(""); strings.Contains(got, "Added status check") || !strings.Contains(got, "Created user") {
			t.Errorf("outside projects: %q", got)
		}
		if got := rows("?scope=all"); !strings.Contains(got, "Added status check") || !strings.Contains(got, "olga/pear") || !strings.Contains(got, "Created user") {
			t.Errorf("everywhere: %q", got)
		}
		if got := rows("?scope=all&author=olga&kind=status_checks"); !strings.Contains(got, "Added status check") || strings.Contains(got, "Created user") {
			t.Errorf("by olga: %q", got)
		}
		if got := rows("?scope=all&author=nobody"); got != "" {
			t.Errorf("by nobody: %q", got)
		}
		file := admin.get(instanceAuditPath + ".csv?scope=all&author=olga").wantStatus(http.StatusOK).body
		if !strings.Contains(file, "olga/pear licence") || strings.Contains(file, "root") {
			t.Errorf("export: %s", file)
		}
	})
}
