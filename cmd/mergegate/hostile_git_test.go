package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models/modelstest"
)

// publicProject creates a public project, whose pages need no session, and a clone.
func publicProject(t *testing.T, p *program, api client, path string) (id int64, full string, tree workTree) {
	t.Helper()
	var project struct {
		ID   int64  `json:"id"`
		Path string `json:"path_with_namespace"`
	}
	api.call("POST", "/projects", map[string]any{"name": path, "path": path, "visibility": "public", "initialize_with_readme": true}, 201, &project)
	return project.ID, project.Path, clone(t, p.url, project.Path, api.token)
}

// page reads a page without a session.
func (p *program) page(path string) (int, string) {
	p.t.Helper()
	resp, err := http.Get(p.url + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// pushBomb pushes a branch with a folder of 10^8 files, in a few hundred bytes, and
// opens a merge request.
func pushBomb(w workTree) string {
	w.t.Helper()
	store := func(kind string, content []byte) string {
		file := filepath.Join(w.dir, ".git", "object")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			w.t.Fatal(err)
		}
		return strings.TrimSpace(w.git("hash-object", "-w", "-t", kind, file))
	}
	mode, id := "100644", store("blob", []byte("boom\n"))
	for range 8 {
		raw, err := hex.DecodeString(id)
		if err != nil {
			w.t.Fatal(err)
		}
		var tree []byte
		for i := range 10 {
			tree = append(fmt.Appendf(tree, "%s f%d\x00", mode, i), raw...)
		}
		mode, id = "40000", store("tree", tree)
	}
	sha := strings.TrimSpace(w.git("commit-tree", id, "-p", "HEAD", "-m", "Bomb"))
	w.git("push", "-o", "merge_request.create", "origin", sha+":refs/heads/bomb")
	return sha
}

// Every page and API response for the pushed tree is fast and says what it omits.
func TestTreeBomb_PagesAndAPI_AreCut(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		p := newProgram(t, db)
		api := p.admin()
		p.start(nil, "serve")
		id, full, tree := publicProject(t, p, api, "bomb")
		sha := pushBomb(tree)
		var versions []struct {
			ID int64 `json:"id"`
		}
		mr := fmt.Sprintf("/projects/%d/merge_requests/1", id)
		repository := fmt.Sprintf("/projects/%d/repository", id)
		api.call("GET", mr+"/versions", nil, 200, &versions)
		soon := func(what string, do func()) {
			t.Helper()
			begin := time.Now()
			do()
			// An idle machine takes a second; listing the files took minutes.
			if took := time.Since(begin); took > 15*time.Second {
				t.Errorf("%s took %v", what, took)
			}
		}
		for _, path := range []string{"", "/commits", "/diffs"} {
			soon(path, func() {
				status, body := p.page("/" + full + "/-/merge_requests/1" + path)
				if status != 200 || !strings.Contains(body, "Bomb") {
					t.Errorf("the page %q answers %d", path, status)
				}
				if path == "/diffs" && !strings.Contains(body, "Too many files changed to list them all.") {
					_, main, _ := strings.Cut(body, "<main")
					t.Errorf("the changes do not say that they are cut: %d %.1500s", status, main)
				}
			})
		}
		for _, path := range []string{
			mr, mr + "/changes", mr + "/diffs", mr + "/versions", fmt.Sprintf("%s/versions/%d", mr, versions[0].ID), mr + "/commits",
			repository + "/compare?from=main&to=bomb", repository + "/commits?ref_name=bomb", repository + "/commits/" + sha, repository + "/branches",
			repository + "/commits/" + sha + "/diff", repository + "/tree?ref=bomb&recursive=true", repository + "/tree?ref=bomb",
			fmt.Sprintf("/projects/%d/merge_requests", id),
		} {
			soon(path, func() {
				status, body := api.try("GET", path, nil)
				if status >= 500 {
					t.Errorf("%s answers %d: %.300s", path, status, body)
				}
				if path == mr+"/changes" && !strings.Contains(string(body), `"overflow":true`) {
					t.Errorf("%s does not say that it is cut: %.300s", path, body)
				}
			})
		}
		soon("merging", func() {
			if status, body := api.try("PUT", mr+"/merge", nil); status >= 500 {
				t.Errorf("merging answers %d: %s", status, body)
			}
		})
		p.stop()
	})
}

// For branches without a common commit, page, API and merge give the same reason.
func TestUnrelatedHistories_PageAndAPI_Agree(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		p := newProgram(t, db)
		api := p.admin()
		p.start(nil, "serve")
		id, full, tree := publicProject(t, p, api, "strangers")
		tree.git("checkout", "-q", "--orphan", "lone")
		tree.commit("lone.txt", "one\n")
		tree.git("push", "-o", "merge_request.create", "origin", "lone")
		path := fmt.Sprintf("/projects/%d/merge_requests/1", id)
		type verdict struct {
			Status string `json:"merge_status"`
			Detail string `json:"detailed_merge_status"`
			Error  string `json:"merge_error"`
		}
		const reason = "The source and target branch have no history in common"
		var shown, refused verdict
		api.call("GET", path, nil, 200, &shown)
		api.call("PUT", path+"/merge", nil, 405, &refused)
		if shown != (verdict{"cannot_be_merged", "conflict", reason}) || refused.Detail != shown.Detail || refused.Error != reason {
			t.Errorf("shown %+v, refused %+v", shown, refused)
		}
		if status, body := p.page("/" + full + "/-/merge_requests/1"); status != 200 || strings.Contains(body, "Ready to merge") || !strings.Contains(body, "Change lone.txt") && !strings.Contains(body, "lone") {
			t.Errorf("the page answers %d", status)
		}
		p.stop()
	})
}

// If the repository of a project is missing, other projects work, and so do the
// pages of the project that do not need it.
func TestMissingRepository_OthersWork(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		p := newProgram(t, db)
		api := p.admin()
		p.start(nil, "serve")
		gone, path, _ := publicProject(t, p, api, "gone")
		here, _, _ := publicProject(t, p, api, "here")
		var folder string
		err := filepath.WalkDir(p.data, func(at string, _ os.DirEntry, err error) error {
			if filepath.Base(at) == fmt.Sprintf("%d.git", gone) {
				folder = at
			}
			return err
		})
		if err != nil || folder == "" {
			t.Fatalf("the repository is nowhere: %v", err)
		}
		if err := os.Rename(folder, folder+".away"); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{
			"/projects", fmt.Sprintf("/projects/%d", gone), fmt.Sprintf("/projects/%d", here), "/merge_requests",
			fmt.Sprintf("/projects/%d/merge_requests", gone), fmt.Sprintf("/projects/%d/external_status_checks", gone), fmt.Sprintf("/projects/%d/protected_branches", gone),
		} {
			if status, body := api.try("GET", path, nil); status != 200 {
				t.Errorf("%s answers %d: %s", path, status, body)
			}
		}
		for _, path := range []string{"branches", "commits", "commits/main", "compare?from=main&to=main"} {
			if status, body := api.try("GET", fmt.Sprintf("/projects/%d/repository/%s", gone, path), nil); status >= 500 {
				t.Errorf("repository/%s answers %d: %s", path, status, body)
			}
		}
		for _, path := range []string{"/" + path, "/" + path + "/-/merge_requests"} {
			if status, _ := p.page(path); status != 200 {
				t.Errorf("the page %s answers %d", path, status)
			}
		}
		p.stop()
	})
}
