package handlers

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/gorilla/sessions"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// mrSite is the whole router on a database of its own, with an imagined git.
type mrSite struct {
	*modelstest.Fixture
	handler http.Handler
	cookies *sessions.CookieStore
	git     *mrGit
}

// newMRSite makes a site with project olga/pear, whose branches are main and
// feature.
func newMRSite(t testing.TB, db modelstest.Database) *mrSite {
	t.Helper()
	w := modelstest.New(t, db)
	key := []byte("an example key of thirty-two bytes!!")
	git := &mrGit{Git: w.Git}
	e, err := New(Deps{
		Store: w.Store, Git: git, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), BaseURL: "http://mergegate.test", SessionKey: key,
	})
	if err != nil {
		t.Fatal(err)
	}
	cookies, err := newCookieStore(key, false)
	if err != nil {
		t.Fatal(err)
	}
	return &mrSite{Fixture: w, handler: e, cookies: cookies, git: git}
}

// eachMRSite runs a test on both databases.
func eachMRSite(t *testing.T, test func(t *testing.T, s *mrSite)) {
	t.Helper()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) { test(t, newMRSite(t, db)) })
}

// visitor is a browser; its user may be nobody.
type visitor struct {
	t      testing.TB
	site   *mrSite
	cookie string
	htmx   bool
	// language is the browser's Accept-Language.
	language string
}

// as signs a user in.
func (s *mrSite) as(user models.User) visitor {
	s.T.Helper()
	v := s.nobody()
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

// nobody is a signed-out visitor.
func (s *mrSite) nobody() visitor { return visitor{t: s.T, site: s} }

// reading is the visitor's browser with another language.
func (v visitor) reading(acceptLanguage string) visitor { v.language = acceptLanguage; return v }

// withHTMX is the visitor's browser with script.
func (v visitor) withHTMX() visitor { v.htmx = true; return v }

// answer is what came back.
type answer struct {
	*goquery.Document
	t      testing.TB
	status int
	header http.Header
	body   string
}

func (v visitor) get(path string) answer { return v.do(http.MethodGet, path, nil) }

func (v visitor) post(path string, form url.Values) answer {
	return v.do(http.MethodPost, path, form)
}

func (v visitor) do(method, path string, form url.Values) answer {
	v.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, path, body)
	r.Host = "mergegate.test"
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if v.cookie != "" {
		r.Header.Set("Cookie", v.cookie)
	}
	if v.htmx {
		r.Header.Set("HX-Request", "true")
	}
	if v.language != "" {
		r.Header.Set("Accept-Language", v.language)
	}
	w := httptest.NewRecorder()
	v.site.handler.ServeHTTP(w, r)
	text := w.Body.String()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(text))
	if err != nil {
		v.t.Fatal(err)
	}
	return answer{Document: doc, t: v.t, status: w.Code, header: w.Header(), body: text}
}

// want fails the test when the status is another one.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d; Location %q\n%s", a.status, status, a.header.Get("Location"), a.text("body"))
	}
	return a
}

// translate returns the text of what a selector finds, with single spaces.
func (a answer) text(selector string) string { return squeeze(a.Find(selector).Text()) }

func (a answer) has(selector string) bool { return a.Find(selector).Length() > 0 }

// attr is an attribute of the one element that a selector finds.
func (a answer) attr(selector, name string) string {
	a.t.Helper()
	found := a.Find(selector)
	if found.Length() != 1 {
		a.t.Fatalf("%d elements match %s", found.Length(), selector)
	}
	value, _ := found.Attr(name)
	return value
}

// fields are the fields of the one form that a selector finds, as a browser
// would send them untouched.
func (a answer) fields(selector string) (action string, form url.Values) {
	a.t.Helper()
	found := a.Find(selector)
	if found.Length() != 1 {
		a.t.Fatalf("%d forms match %s", found.Length(), selector)
	}
	form = url.Values{}
	found.Find("input[name], textarea[name], select[name]").Each(func(_ int, field *goquery.Selection) {
		name, _ := field.Attr("name")
		switch {
		case goquery.NodeName(field) == "textarea":
			form.Set(name, field.Text())
		case goquery.NodeName(field) == "select":
			form.Set(name, field.Find("option[selected]").AttrOr("value", ""))
		case field.AttrOr("type", "text") == "checkbox", field.AttrOr("type", "text") == "radio":
			if _, checked := field.Attr("checked"); checked {
				form.Set(name, field.AttrOr("value", "on"))
			}
		default:
			form.Set(name, field.AttrOr("value", ""))
		}
	})
	return found.AttrOr("action", ""), form
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// mrPath is a page below a merge request of the site's project.
func (s *mrSite) mrPath(mr models.MergeRequest, below string) string {
	return fmt.Sprintf("/olga/pear/-/merge_requests/%d%s", mr.IID, below)
}

// gate switches "Status checks must succeed".
func (s *mrSite) gate(on bool) {
	s.T.Helper()
	if _, err := s.Store.UpdateProject(s.T.Context(), s.Owner, s.Project.ID, models.ProjectUpdate{OnlyAllowMergeIfAllStatusChecksPassed: &on}); err != nil {
		s.T.Fatal(err)
	}
}

// visibility changes who may see the project.
func (s *mrSite) visibility(v models.Visibility) {
	s.T.Helper()
	if _, err := s.Store.UpdateProject(s.T.Context(), s.Owner, s.Project.ID, models.ProjectUpdate{Visibility: &v}); err != nil {
		s.T.Fatal(err)
	}
}

// open opens a merge request with one commit from a new branch into main.
func (s *mrSite) open(branch string) models.MergeRequest {
	s.T.Helper()
	s.Git.AddCommit(s.Project.ID, branch, s.Git.Tip(s.Project.ID, "main"))
	return s.MergeRequest(branch, "main")
}

// mrGit answers what the pages ask beyond the imagined git.
type mrGit struct {
	*modelstest.Git
	changes Changes
	fails   error
	// parents are every commit's.
	parents []string
	// base is what the last call of Changes compared with.
	base string
	// compared counts the calls of Divergences.
	compared int
	// many is how many branches there are besides the usual ones, none of them
	// with a commit.
	many int
	// merged counts the calls of Conflicts.
	merged int
	// offset is where the last call of Commits began.
	offset int
}

func (g *mrGit) Branches(_ context.Context, projectID int64, search string, _, limit int, first ...string) ([]Branch, int, error) {
	var list []Branch
	for _, name := range []string{"main", "feature", "other", "release/1"} {
		if sha := g.Tip(projectID, name); sha != "" && strings.Contains(name, search) {
			list = append(list, Branch{Name: name, SHA: sha, Title: "Commit on " + name})
		}
	}
	for i := range g.many {
		if name := fmt.Sprintf("many/%04d", i); strings.Contains(name, search) {
			list = append(list, Branch{Name: name})
		}
	}
	sort.Slice(list, func(i, j int) bool {
		if a, b := slices.Contains(first, list[i].Name), slices.Contains(first, list[j].Name); a != b {
			return a
		}
		return list[i].Name < list[j].Name
	})
	return list[:min(len(list), limit)], len(list), nil
}

func (g *mrGit) BranchStamp(projectID int64, branch string) string { return g.Tip(projectID, branch) }

func (g *mrGit) Divergences(ctx context.Context, projectID int64, main string, tips ...string) (map[string]Divergence, error) {
	g.compared++
	all := map[string]Divergence{}
	for _, tip := range tips {
		ahead, err := g.CountCommits(ctx, projectID, main, tip)
		if err != nil {
			return nil, err
		}
		behind, err := g.CountCommits(ctx, projectID, tip, main)
		if err != nil {
			return nil, err
		}
		all[tip] = Divergence{Ahead: ahead, Behind: behind}
	}
	return all, nil
}

func (g *mrGit) RecentBranches(ctx context.Context, projectID int64, search, first string, limit int) ([]string, int, error) {
	if g.fails != nil {
		return nil, 0, g.fails
	}
	found, total, err := g.Branches(ctx, projectID, search, 0, limit)
	var names []string
	for _, branch := range found {
		if branch.Name == first {
			names = append([]string{branch.Name}, names...)
		} else {
			names = append(names, branch.Name)
		}
	}
	return names, total, err
}

func (g *mrGit) ReadFile(context.Context, int64, string, string, int64) ([]byte, error) {
	return nil, ErrNoSuchFile
}

func (g *mrGit) MergeBase(ctx context.Context, projectID int64, a, b string) (string, bool, error) {
	if g.fails != nil {
		return "", false, g.fails
	}
	if contained, err := g.IsAncestor(ctx, projectID, a, b); contained || err != nil {
		return a, true, err
	}
	return g.Tip(projectID, "main"), true, nil
}

// Resolve knows branches, and ids of commits that a branch leads to.
func (g *mrGit) Resolve(ctx context.Context, projectID int64, name string) (string, bool, error) {
	if g.fails != nil {
		return "", false, g.fails
	}
	if tip := g.Tip(projectID, name); tip != "" {
		return tip, true, nil
	}
	for _, branch := range []string{"main", "feature", "topic"} {
		if known, err := g.IsAncestor(ctx, projectID, name, g.Tip(projectID, branch)); known || err != nil {
			return name, known, err
		}
	}
	return "", false, nil
}

func (g *mrGit) ReadCommit(ctx context.Context, projectID int64, sha string) (models.Commit, []string, error) {
	commit, err := g.Commit(ctx, projectID, sha)
	return commit, g.parents, err
}

func (g *mrGit) Commits(ctx context.Context, projectID int64, _, to string, offset, _ int) ([]models.Commit, error) {
	g.offset = offset
	commit, err := g.Commit(ctx, projectID, to)
	commit.Message = "Trim the pear\n\nIt had <b>too</b> many leaves."
	return []models.Commit{commit}, err
}

func (g *mrGit) CountFiles(context.Context, int64, string, string) (int, bool, error) {
	return g.changes.TotalFiles, !g.changes.MoreFiles, nil
}

func (g *mrGit) Changes(_ context.Context, _ int64, base, _ string) (Changes, error) {
	g.base = base
	return g.changes, nil
}

func (g *mrGit) Conflicts(context.Context, int64, string, string) ([]string, error) {
	g.merged++
	return g.Git.Conflicts, nil
}
