package handlers

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/sessions"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
	"github.com/mergegate/mergegate/webhook"
)

// testSite is the whole router on its own database, with a fake git.
type testSite struct {
	*modelstest.Fixture
	handler http.Handler
	cookies *sessions.CookieStore
	git     *fakeGit
}

// newTestSite returns a site with the project olga/pear, which belongs to the
// user olga and has the branches main and feature.
func newTestSite(t testing.TB, db modelstest.Database) *testSite {
	t.Helper()
	return siteOf(t, modelstest.New(t, db))
}

// siteOf returns a site on a fixture.
func siteOf(t testing.TB, w *modelstest.Fixture) *testSite {
	t.Helper()
	key := []byte("an example key of thirty-two bytes!!")
	git := &fakeGit{Git: w.Git}
	allow, err := webhook.ParseAllowList("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Deps{
		Store: w.Store, Git: git, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), BaseURL: "http://mergegate.test", SessionKey: key,
		Version: "1.2.3", Settings: []Setting{
			{Name: "MERGEGATE_LISTEN", Value: "127.0.0.1:8080", Source: SettingDefault}, {Name: "MERGEGATE_SECRET_KEY", Secret: true, Set: true, Source: SettingFile},
		},
		Sender: webhook.NewClient(webhook.Options{Version: "test", Allow: allow}),
	})
	if err != nil {
		t.Fatal(err)
	}
	cookies, err := newCookieStore(key, false)
	if err != nil {
		t.Fatal(err)
	}
	return &testSite{Fixture: w, handler: e, cookies: cookies, git: git}
}

// eachDatabase runs a test on a new site per database.
func eachDatabase(t *testing.T, test func(t *testing.T, s *testSite)) {
	t.Helper()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) { test(t, newTestSite(t, db)) })
}

// as returns a visitor with a session of the user. The zero user is signed out.
func (s *testSite) as(user models.User) visitor {
	s.T.Helper()
	v := s.signedOut()
	if user.ID == 0 {
		return v
	}
	id := auth.NewSessionID()
	if _, err := s.Store.CreateSession(s.T.Context(), user, auth.Digest(id), "test", "192.0.2.1"); err != nil {
		s.T.Fatal(err)
	}
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	cookie, err := s.cookies.Get(r, sessionCookie)
	if err != nil {
		s.T.Fatal(err)
	}
	cookie.Values[sessionValue] = id
	if err := cookie.Save(r, w); err != nil {
		s.T.Fatal(err)
	}
	v.cookie, _, _ = strings.Cut(w.Header().Get("Set-Cookie"), ";")
	return v
}

// signedOut returns a visitor without a session.
func (s *testSite) signedOut() visitor { return visitor{t: s.T, site: s} }

// mrPath returns the address of a page of a merge request, such as "/edit"; ""
// is its overview.
func (s *testSite) mrPath(mr models.MergeRequest, page string) string {
	return fmt.Sprintf("%s/%d%s", pearMergeRequestsPath, mr.IID, page)
}

// setGate switches "Status checks must succeed".
func (s *testSite) setGate(on bool) {
	s.T.Helper()
	if _, err := s.Store.UpdateProject(s.T.Context(), s.Owner, s.Project.ID, models.ProjectUpdate{OnlyAllowMergeIfAllStatusChecksPassed: &on}); err != nil {
		s.T.Fatal(err)
	}
}

// setVisibility sets the visibility of the project.
func (s *testSite) setVisibility(v models.Visibility) {
	s.T.Helper()
	if _, err := s.Store.UpdateProject(s.T.Context(), s.Owner, s.Project.ID, models.ProjectUpdate{Visibility: &v}); err != nil {
		s.T.Fatal(err)
	}
}

// openMergeRequest opens a merge request with one commit from a new branch into
// main.
func (s *testSite) openMergeRequest(branch string) models.MergeRequest {
	s.T.Helper()
	s.Git.AddCommit(s.Project.ID, branch, s.Git.Tip(s.Project.ID, "main"))
	return s.MergeRequest(branch, "main")
}

// queryInt returns the number that a query selects.
func (s *testSite) queryInt(t *testing.T, query string) (n int) {
	t.Helper()
	if err := s.DB.SQL(t).QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
