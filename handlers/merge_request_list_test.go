package handlers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
)

// The number of queries depends neither on the number of rows nor on their
// checks.
func TestMergeRequestList_ManyRows_TakesAsManyQueriesAsOne(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.setVisibility(models.VisibilityPublic)
		for i := range 5 {
			s.Service(fmt.Sprintf("service-%d", i))
		}
		queries := func(v visitor, rows int, checks bool) int {
			t.Helper()
			n := 0
			s.Store.SetHooks(models.Hooks{Query: func(string) { n++ }})
			page := v.get(pearMergeRequestsPath).wantStatus(200)
			s.Store.SetHooks(models.Hooks{})
			if got := page.Find("#mr-list .list > li").Length(); got != rows {
				t.Fatalf("%d rows, want %d", got, rows)
			}
			if page.has("#mr-list .list__side a") != checks {
				t.Errorf("check summaries are shown: %t, want %t", !checks, checks)
			}
			return n
		}
		member, stranger := s.as(s.Member("rep", models.RoleReporter)), s.signedOut()
		s.openMergeRequest("topic-0")
		one, oneStranger := queries(member, 1, true), queries(stranger, 1, false)
		for i := 1; i < 20; i++ {
			s.openMergeRequest(fmt.Sprintf("topic-%d", i))
		}
		if many := queries(member, 20, true); many != one {
			t.Errorf("%d queries for twenty rows, %d for one", many, one)
		}
		if many := queries(stranger, 20, false); many != oneStranger {
			t.Errorf("%d queries for twenty rows without checks, %d for one", many, oneStranger)
		}
	})
}

// listedRequests returns the numbers of the listed merge requests in their order.
func (a response) listedRequests() string {
	var list []string
	for _, row := range a.Find("#mr-list .list > li .list__meta > span:first-child").EachIter() {
		list = append(list, collapseSpace(row.Text()))
	}
	return strings.Join(list, " ")
}

func TestMergeRequestList_Filters_SelectAndCombine(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		service := s.Service("licence")
		failed := s.openMergeRequest("failed")
		s.respondAll(failed, models.StatusFailed, service)
		passed := s.openMergeRequest("passed")
		s.respondAll(passed, models.StatusPassed, service)
		s.openMergeRequest("late") // its check times out
		s.Clock.Advance(models.MergeRequestCheck{TimeoutSeconds: 120}.Timeout())
		pending := s.openMergeRequest("pending")
		draft := true
		if _, err := s.Store.UpdateMergeRequest(t.Context(), s.Owner, s.Project.ID, pending.IID, models.MergeRequestUpdate{Draft: &draft}); err != nil {
			t.Fatal(err)
		}
		dev := s.Member("dev", models.RoleDeveloper)
		list := func(user models.User, query string) response {
			return s.as(user).get(pearMergeRequestsPath + "?" + query).wantStatus(200)
		}
		expect := func(user models.User, query, want string) {
			t.Helper()
			if got := list(user, query).listedRequests(); got != want {
				t.Errorf("%s: %q, want %q", query, got, want)
			}
		}
		expect(dev, "checks=pending", "!4 !3") // at the limit, not after it
		s.Clock.Advance(time.Microsecond)
		expect(dev, "checks=failed", "!3 !1")
		expect(dev, "checks=pending", "!4")
		expect(dev, "checks=passed", "!2")
		expect(dev, "checks=", "!4 !3 !2 !1")
		expect(dev, "checks=failed&search=late", "!3")
		expect(dev, "draft=yes", "!4")
		expect(dev, "wip=no", "!3 !2 !1")
		expect(dev, "author_username=OLGA&target_branch=main", "!4 !3 !2 !1")
		expect(dev, "author_username=dev", "")
		expect(dev, "target_branch=mai", "")
		expect(dev, "sort=created_asc", "!1 !2 !3 !4")
		expect(dev, "sort=title_asc&draft=no", "!1 !3 !2")
		expect(dev, "sort=updated_desc&search=%214", "!4")
		page := list(dev, "checks=failed&draft=no&sort=title_desc")
		if got := page.text(".tabs"); got != "Open 2Merged 0Closed 0All 2" {
			t.Errorf("tabs %q", got)
		}
		if got := page.Find(".tabs a").Last().AttrOr("href", ""); got != pearMergeRequestsPath+"?checks=failed&draft=no&sort=title_desc&state=all" {
			t.Errorf("tab %q", got)
		}
		if got := list(dev, "draft=yes&checks=failed"); got.attr("#show-all", "href") != pearMergeRequestsPath+"?state=opened" {
			t.Error("no way out of an empty result")
		}
		// Without the right to see checks, the filter is neither offered nor applied.
		s.setVisibility(models.VisibilityPublic)
		stranger := s.User("stranger")
		expect(stranger, "checks=failed", "!4 !3 !2 !1")
		if list(stranger, "").has("#mr-checks") {
			t.Error("the filter by checks is offered")
		}
	})
}

func TestOwnMergeRequests_ListAndCount_FollowRights(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		service := s.Service("licence")
		mr := s.openMergeRequest("topic")
		s.respondAll(mr, models.StatusFailed, service)
		const path = "/dashboard/merge_requests"
		page := s.as(s.Owner).get(path).wantStatus(200)
		if got := page.listedRequests(); got != "olga/pear!1" {
			t.Errorf("list %q", got)
		}
		if got := page.text("#mr-list .list__side"); got != "Status checks: 1 failed" {
			t.Errorf("checks %q", got)
		}
		for query, want := range map[string]string{
			"target_branch=main": "olga/pear!1", "target_branch=other": "", "draft=no&checks=failed": "olga/pear!1", "draft=yes": "", "checks=passed": "",
			"author_username=other": "olga/pear!1", // the list has no such filter
		} {
			if got := s.as(s.Owner).get(path + "?" + query).wantStatus(200).listedRequests(); got != want {
				t.Errorf("%s: list %q, want %q", query, got, want)
			}
		}
		if !page.has("#mr-target_branch") || page.has("#mr-author_username") {
			t.Error("the filters are not checks, target branch and draft")
		}
		if got := s.as(s.Owner).get("/").text("#own-failed p"); got != "A status check failed on 1 of your merge requests." {
			t.Errorf("start page %q", got)
		}
		if got := s.as(s.User("other")).get(path).wantStatus(200); got.listedRequests() != "" {
			t.Errorf("list of another user %q", got.listedRequests())
		}
		s.signedOut().get(path).wantStatus(303)
		// The author is no longer a member: the merge request stays visible, its checks do not.
		admin := s.Admin("ada")
		s.setVisibility(models.VisibilityPublic)
		if _, err := s.Store.AddMember(t.Context(), admin, models.RoleOwner, s.Project.ID, admin.ID, models.RoleOwner); err != nil {
			t.Fatal(err)
		}
		if err := s.Store.RemoveMember(t.Context(), admin, models.RoleOwner, s.Project.ID, s.Owner.ID); err != nil {
			t.Fatal(err)
		}
		page = s.as(s.Owner).get(path).wantStatus(200)
		if page.listedRequests() != "olga/pear!1" || page.text("#mr-list .list__side") != "" {
			t.Errorf("list of a former member: %q %q", page.listedRequests(), page.text("#mr-list .list__side"))
		}
		if got := s.as(s.Owner).get(path + "?checks=failed").wantStatus(200).listedRequests(); got != "" {
			t.Errorf("filtered list of a former member: %q", got)
		}
		if s.as(s.Owner).get("/").has("#own-failed") {
			t.Error("the start page counts hidden checks")
		}
	})
}
