package handlers

import (
	"io"
	"log/slog"
	"net/http"
	"net/url"
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

		// Within onceFor it counts as the same form, later as another one.
		member := url.Values{"username": {"mona"}, "access_level": {"20"}}
		v.post(pearMembersPath, member).wantStatus(http.StatusSeeOther)
		s.Clock.Advance(onceFor)
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
			s.Clock.Advance(onceFor)
			v.post(path, form).wantStatus(http.StatusSeeOther)
			if page = v.get(path); page.Find("td.cell-actions").Length() != 1 || page.has("#new-token") {
				t.Errorf("%s: sending the form again created another token", path)
			}
		}
	})
}

// queryInt returns the number that a query selects.
func (s *testSite) queryInt(t *testing.T, query string) (n int) {
	t.Helper()
	if err := s.DB.SQL(t).QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
