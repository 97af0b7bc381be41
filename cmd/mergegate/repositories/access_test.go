package repositories

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestFetchAndPush_ByRole(t *testing.T) {
	h := newHost(t, modelstest.SQLite(t))
	h.project("public", models.VisibilityPublic)
	h.project("internal", models.VisibilityInternal)
	reader := h.Member("rita", models.RoleReporter)
	tokens := map[string]string{}
	for name, role := range map[string]models.Role{"gus": models.RoleGuest, "dora": models.RoleDeveloper} {
		tokens[name] = h.token(h.Member(name, role), models.ScopeAPI)
	}
	tokens["rita"] = h.token(reader, models.ScopeAPI)
	tokens["zoe"] = h.token(h.User("zoe"), models.ScopeAPI)
	tokens["root"] = h.token(h.Admin("root"), models.ScopeAPI)
	dora, err := h.Store.UserByUsername(t.Context(), "dora")
	if err != nil {
		t.Fatal(err)
	}
	tokens["read-only"] = h.token(dora, models.ScopeReadAPI)
	tokens["wrong"] = strings.Repeat("x", 20)

	for _, c := range []struct {
		path, who   string
		fetch, push int
	}{
		{"olga/pear", "", 401, 401},
		{"olga/pear.git", "", 401, 401},
		{"olga/nothing", "", 401, 401},
		{"olga/public", "", 200, 401},
		{"OLGA/Public.git", "", 200, 401},
		{"olga/internal", "", 401, 401},
		{"olga/pear", "wrong", 401, 401},
		{"olga/public", "wrong", 401, 401},
		{"olga/nothing", "wrong", 401, 401},
		{"olga/pear", "zoe", 404, 404},
		{"olga/nothing", "zoe", 404, 404},
		{"olga/internal", "zoe", 200, 403},
		{"olga/public", "zoe", 200, 403},
		{"olga/pear", "gus", 403, 403},
		{"olga/pear", "rita", 200, 403},
		{"olga/pear", "dora", 200, 200},
		{"olga/pear", "read-only", 200, 403},
		{"olga/pear", "root", 200, 200},
		{"%6flga/pear", "dora", 200, 200},
		{"olga/%00", "dora", 404, 404},
		{"olga/%ff", "dora", 404, 404},
		{"olga/..%2fpear", "dora", 404, 404},
		{"olga/--upload-pack=x", "dora", 404, 404},
	} {
		for service, want := range map[string]int{"git-upload-pack": c.fetch, "git-receive-pack": c.push} {
			name := ""
			if c.who != "" {
				name = "anybody"
			}
			resp := h.get(c.path, service, name, tokens[c.who])
			if resp.StatusCode != want {
				t.Errorf("%s of %s as %q = %d, want %d", service, c.path, c.who, resp.StatusCode, want)
			}
			if basic := resp.Header.Get("WWW-Authenticate"); (want == 401) != strings.HasPrefix(basic, "Basic ") {
				t.Errorf("%s of %s as %q: WWW-Authenticate %q", service, c.path, c.who, basic)
			}
			resp, err := http.Post(h.url+"/"+c.path+"/"+service, "application/x-"+service+"-request", strings.NewReader("0000"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if c.who == "" && resp.StatusCode != want {
				t.Errorf("POST %s of %s = %d, want %d", service, c.path, resp.StatusCode, want)
			}
		}
	}
	// Outside git's two services there is nothing.
	if resp := h.get("olga/public", "git-upload-archive", "", ""); resp.StatusCode != http.StatusForbidden {
		t.Errorf("an unknown service = %d", resp.StatusCode)
	}
	h.Clock.Advance(72 * time.Hour)
	if resp := h.get("olga/pear", "git-upload-pack", "x", tokens["dora"]); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("an expired token = %d", resp.StatusCode)
	}
}

func TestFetch_Passwords(t *testing.T) {
	h := newHost(t, modelstest.SQLite(t))
	status := func(name, secret string) int { return h.get("olga/pear", "git-upload-pack", name, secret).StatusCode }
	for _, c := range []struct {
		name, secret string
		want         int
	}{{"olga", password, 200}, {"OLGA", password, 200}, {"olga", "wrong", 401}, {"nobody", password, 401}, {"olga", "", 401}, {"ol\xffga", password, 401}} {
		if got := status(c.name, c.secret); got != c.want {
			t.Errorf("%q with %q = %d, want %d", c.name, c.secret, got, c.want)
		}
	}
	// A remembered password ends with the password.
	if err := h.Store.SetPassword(t.Context(), h.Owner, "", "", false); err != nil {
		t.Fatal(err)
	}
	if got := status("olga", password); got != 401 {
		t.Errorf("a password that is no more = %d", got)
	}
	h.withPassword(h.Owner)
	h.Clock.Advance(time.Hour)
	for range 10 {
		if got := status("olga", "guess"); got != 401 {
			t.Fatalf("a guess = %d", got)
		}
	}
	if got := status("olga", password); got != http.StatusTooManyRequests {
		t.Errorf("after ten guesses = %d", got)
	}
	h.Clock.Advance(time.Hour)
	if got := status("olga", password); got != 200 {
		t.Errorf("an hour later = %d", got)
	}
	digest, err := passwordDigest()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Store.SetPassword(t.Context(), h.Owner, digest, "", true); err != nil {
		t.Fatal(err)
	}
	contains(t, h.newWorktree().refused("ls-remote", h.as("olga", "olga/pear")), "You have a one-time password. Sign in at "+h.url)
}

func (h *host) newWorktree() worktree { return worktree{h.T, h.T.TempDir()} }

func TestFetch_RenamedProject(t *testing.T) {
	h := newHost(t, modelstest.SQLite(t))
	w := h.clone(h.as("olga", "olga/pear.git"))
	path := "plum"
	if _, err := h.Store.UpdateProject(t.Context(), h.Owner, h.Project.ID, models.ProjectUpdate{Path: &path}); err != nil {
		t.Fatal(err)
	}
	w.git("switch", "--quiet", "-c", "topic")
	w.commit("a", "1\n")
	contains(t, w.git("push", "origin", "topic"), "redirecting to "+h.url+"/olga/plum.git")
	w.git("fetch", "--quiet", "origin")
	h.withPassword(h.User("zoe"))
	if resp := h.get("olga/pear", "git-upload-pack", "zoe", password); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the old path tells a stranger of the new one: %d", resp.StatusCode)
	}
	if resp := h.get("olga/pear", "git-upload-pack", "", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the old path, signed out: %d", resp.StatusCode)
	}
}

func TestRejections_ExplainThemselves(t *testing.T) {
	h := newHost(t, modelstest.SQLite(t))
	h.withPassword(h.Member("rita", models.RoleReporter))
	w := h.clone(h.as("rita", "olga/pear"))
	w.commit("a", "1\n")
	contains(t, w.refused("push", "origin", "main"), "You are not allowed to push code to this project.")
	contains(t, w.refused("ls-remote", h.as("rita", "olga/nothing")), "The project you were looking for could not be found")
	contains(t, w.refused("ls-remote", h.remote("olga/pear", "rita", "wrong")), "Authentication failed")
}
