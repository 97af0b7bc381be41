package handlers

import (
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// TestCreateForms_SentTwiceAtOnce_CreateOne sends every form that creates
// something twice at the same time, as a double click does.
func TestCreateForms_SentTwiceAtOnce_CreateOne(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.User("jonas")
		v, db := s.as(s.Owner), s.DB.SQL(t)
		for _, form := range []struct {
			page, action, table string
			fill                url.Values
		}{
			{"/projects/new", "/projects", "projects", url.Values{"name": {"Plum"}}},
			{pearServicesPath + "/new", pearServicesPath, "external_status_checks", url.Values{"name": {"Build"}, "external_url": {"https://ci.example.test/"}}},
			{pearRulesPath + "/new", pearRulesPath, "protected_branches", url.Values{"name": {"stable/*"}}},
			{pearMembersPath + "/new", pearMembersPath, "members", url.Values{"username": {"jonas"}, "access_level": {"30"}}},
			{personalTokensPath, personalTokensPath, "access_tokens", url.Values{"name": {"CI"}}},
			{pearTokensPath, pearTokensPath, "access_tokens", url.Values{"name": {"CI"}}},
			{pearMergeRequestsPath + "/new", pearMergeRequestsPath, "merge_requests", url.Values{"source_branch": {"feature"}, "target_branch": {"main"}, "title": {"Trim"}}},
		} {
			t.Run(strings.Trim(form.action, "/"), func(t *testing.T) {
				count := func() (n int) {
					if err := db.QueryRow("SELECT count(*) FROM " + form.table).Scan(&n); err != nil {
						t.Fatal(err)
					}
					return n
				}
				_, fields := v.get(form.page).wantStatus(200).fields(`form[method="post"][action="` + form.action + `"]`)
				if form.page == "/projects/new" {
					fields.Set("namespace_id", s.namespaceID(s.Owner))
				}
				for name, values := range form.fill {
					fields[name] = values
				}
				before := count()
				var both sync.WaitGroup
				answers := make([]response, 2)
				for i := range answers {
					both.Go(func() { answers[i] = v.post(form.action, fields) })
				}
				both.Wait()
				redirects := 0
				for _, a := range answers {
					if a.status >= 500 {
						t.Errorf("status %d", a.status)
					}
					if a.status == 303 {
						redirects++
					}
				}
				if now := count(); now != before+1 || redirects == 0 {
					t.Errorf("%d rows created with %d redirects, want 1 row", now-before, redirects)
				}
			})
		}
	})
}

// namespaceID returns the id of a user's namespace as a form value.
func (s *testSite) namespaceID(user models.User) string {
	s.T.Helper()
	ns, err := s.Store.Namespace(s.T.Context(), user.Username)
	if err != nil {
		s.T.Fatal(err)
	}
	return itoa(ns.ID)
}
