package handlers

import (
	"fmt"
	"testing"

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
