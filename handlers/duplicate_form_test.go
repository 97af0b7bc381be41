package handlers

import (
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
)

// secondInstance returns another instance of the program on the same database.
func (s *testSite) secondInstance() *testSite {
	s.T.Helper()
	e, err := New(Deps{
		Store: s.Store, Git: s.git, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), BaseURL: "http://mergegate.test",
		SessionKey: []byte("an example key of thirty-two bytes!!"),
	})
	if err != nil {
		s.T.Fatal(err)
	}
	other := *s
	other.handler = e
	return &other
}

// postTwiceAtOnce posts a form twice at the same time, the second time to
// another site.
func (v visitor) postTwiceAtOnce(path string, form url.Values, second *testSite) (answers [2]response) {
	w := v
	w.site = second
	var both sync.WaitGroup
	both.Go(func() { answers[0] = v.post(path, form) })
	both.Go(func() { answers[1] = w.post(path, form) })
	both.Wait()
	return answers
}

// TestCreateForms_SentTwice_RedirectToTheSamePage sends each form that creates
// something twice at the same time. One row is created, and both responses
// redirect to it.
func TestCreateForms_SentTwice_RedirectToTheSamePage(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v := s.as(s.Owner)
		s.User("mona")
		s.Git.AddCommit(s.Project.ID, "topic", "0123456789012345678901234567890123456789")
		expires := s.Clock.Now().AddDate(0, 1, 0).Format(time.DateOnly)
		fresh := v.get("/projects/new").wantStatus(http.StatusOK)
		_, project := fresh.fields(`form[action="/projects"]`)
		project.Set("namespace_id", fresh.attr("#namespace_id option", "value"))
		project.Set("name", "Plum")
		project.Set("path", "plum")
		for name, tt := range map[string]struct {
			path  string
			form  url.Values
			count string
		}{
			"member":  {pearMembersPath, url.Values{"username": {"mona"}, "access_level": {"20"}}, "SELECT count(*) FROM members m JOIN users u ON u.id = m.user_id WHERE u.username = 'mona'"},
			"project": {"/projects", project, "SELECT count(*) FROM projects WHERE path = 'plum'"},
			"service": {pearServicesPath, url.Values{"name": {"Licence"}, "external_url": {"https://scan.example.test/"}}, "SELECT count(*) FROM external_status_checks"},
			"rule": {pearRulesPath, url.Values{"name": {"hotfix/*"}, "push_access_level": {"0"}, "merge_access_level": {"30"}},
				"SELECT count(*) FROM protected_branches WHERE name = 'hotfix/*'"},
			"merge request": {pearMergeRequestsPath, url.Values{"source_branch": {"topic"}, "target_branch": {"main"}, "title": {"Trim"}}, "SELECT count(*) FROM merge_requests"},
			"project token": {pearTokensPath, url.Values{"name": {"ci"}, "scopes": {"api"}, "access_level": {"30"}, "expires_at": {expires}},
				"SELECT count(*) FROM access_tokens WHERE name = 'ci'"},
			"personal token": {personalTokensPath, url.Values{"name": {"mine"}, "scopes": {"api"}, "expires_at": {expires}},
				"SELECT count(*) FROM access_tokens WHERE name = 'mine'"},
		} {
			answers := v.postTwiceAtOnce(tt.path, tt.form, s)
			for _, a := range answers {
				if a.status != http.StatusSeeOther || a.header.Get("Location") != answers[0].header.Get("Location") {
					t.Errorf("%s: status %d to %q\n%s", name, a.status, a.header.Get("Location"), a.text("main"))
				}
				if a.header.Get("Set-Cookie") != answers[0].header.Get("Set-Cookie") {
					t.Errorf("%s: only one of the responses has the toast", name)
				}
			}
			if n := s.queryInt(t, tt.count); n != 1 {
				t.Errorf("%s: %d rows, want 1", name, n)
			}
		}

		// Within duplicateWindow it counts as the same form, later as another one.
		member := url.Values{"username": {"mona"}, "access_level": {"20"}}
		v.post(pearMembersPath, member).wantStatus(http.StatusSeeOther)
		s.Clock.Advance(duplicateWindow)
		if got := v.post(pearMembersPath, member).wantStatus(http.StatusUnprocessableEntity).text("#username-error"); got != "Already a member of this project" {
			t.Errorf("message %q", got)
		}
	})
}

// The instances share only the database, which must recognise the form by its
// id.
func TestTokenForm_SentToTwoInstances_CreatesOneToken(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v := s.as(s.Owner)
		for _, path := range []string{personalTokensPath, pearTokensPath} {
			_, form := v.get(path).wantStatus(http.StatusOK).fields("#token-form")
			if len(form.Get("form_id")) < 20 {
				t.Fatalf("%s: form id %q", path, form.Get("form_id"))
			}
			form["scopes"], form["name"] = []string{models.ScopeAPI}, []string{"ci"}
			for _, a := range v.postTwiceAtOnce(path, form, s.secondInstance()) {
				a.wantStatus(http.StatusSeeOther)
			}
			page := v.get(path).wantStatus(http.StatusOK)
			if n := page.Find("td.cell-actions").Length(); n != 1 || !page.has("#new-token") {
				t.Errorf("%s: %d tokens, shown: %t", path, n, page.has("#new-token"))
			}
			s.Clock.Advance(duplicateWindow)
			v.post(path, form).wantStatus(http.StatusSeeOther)
			if page = v.get(path); page.Find("td.cell-actions").Length() != 1 || page.has("#new-token") {
				t.Errorf("%s: sending the form again created another token", path)
			}
		}
	})
}

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
