package apiv4_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"
)

// Reads with GitLab's client what services need to examine a merge request.
func TestGitLabClient_Repository(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		head := s.commit("", "feature", map[string]string{"src/a b/ü.txt": "one\n", "src/run.sh": "#!/bin/sh\n"})
		s.tag("v1.0", "feature")
		s.tag("rel/2", "main")
		c, pid := s.client(t, "reporter"), "olga/pear"

		tree, r, err := c.Repositories.ListTree(pid, &gitlab.ListTreeOptions{
			Ref: gitlab.Ptr("feature"), Path: gitlab.Ptr("src"), Recursive: gitlab.Ptr(true),
		})
		assertStatus(t, r, err, 200)
		var paths []string
		for _, node := range tree {
			paths = append(paths, node.Type+" "+node.Path+" "+node.Name)
		}
		if got := strings.Join(paths, ", "); got != "tree src/a b a b, blob src/a b/ü.txt ü.txt, blob src/run.sh run.sh" {
			t.Errorf("tree: %s", got)
		}
		_, r, err = c.Repositories.ListTree(pid, &gitlab.ListTreeOptions{Path: gitlab.Ptr("nothing")})
		assertStatus(t, r, err, 404)

		file, r, err := c.RepositoryFiles.GetFile(pid, "src/a b/ü.txt", &gitlab.GetFileOptions{Ref: gitlab.Ptr("feature")})
		assertStatus(t, r, err, 200)
		if content, err := base64.StdEncoding.DecodeString(file.Content); err != nil || string(content) != "one\n" ||
			file.FileName != "ü.txt" || file.FilePath != "src/a b/ü.txt" || file.CommitID != head || file.LastCommitID != head || file.Size != 4 {
			t.Errorf("file: %+v, %v", file, err)
		}
		raw, r, err := c.RepositoryFiles.GetRawFile(pid, "src/run.sh", &gitlab.GetRawFileOptions{Ref: &head})
		assertStatus(t, r, err, 200)
		if string(raw) != "#!/bin/sh\n" {
			t.Errorf("raw file: %q", raw)
		}
		_, r, err = c.RepositoryFiles.GetFile(pid, "src", &gitlab.GetFileOptions{Ref: gitlab.Ptr("feature")})
		assertStatus(t, r, err, 404)

		packed, r, err := c.Repositories.Archive(pid, &gitlab.ArchiveOptions{
			Format: gitlab.Ptr("zip"), SHA: gitlab.Ptr("feature"), Path: gitlab.Ptr("src"),
		})
		assertStatus(t, r, err, 200)
		files, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := files.Open("pear-feature-" + head + "-src/src/run.sh"); err != nil {
			t.Error(err)
		}
		_, r, err = c.Repositories.Archive(pid, &gitlab.ArchiveOptions{SHA: gitlab.Ptr("nothing")})
		assertStatus(t, r, err, 404)

		tags, r, err := c.Tags.ListTags(pid, &gitlab.ListTagsOptions{OrderBy: gitlab.Ptr("name"), Sort: gitlab.Ptr("asc")})
		assertStatus(t, r, err, 200)
		if len(tags) != 2 || tags[0].Name != "rel/2" || tags[1].Commit.ID != head {
			t.Errorf("tags: %+v", tags)
		}
		tag, r, err := c.Tags.GetTag(pid, "rel/2")
		assertStatus(t, r, err, 200)
		if tag.Name != "rel/2" || tag.Protected {
			t.Errorf("tag: %+v", tag)
		}
		_, r, err = c.Tags.GetTag(pid, "rel")
		assertStatus(t, r, err, 404)

		diffs, r, err := c.Commits.GetCommitDiff(pid, head, nil)
		assertStatus(t, r, err, 200)
		if len(diffs) != 2 || diffs[1].NewPath != "src/run.sh" || !diffs[1].NewFile {
			t.Errorf("diff of the commit: %+v", diffs)
		}
		first, r, err := c.Commits.GetCommit(pid, "main", nil)
		assertStatus(t, r, err, 200)
		diffs, r, err = c.Commits.GetCommitDiff(pid, first.ID, nil)
		assertStatus(t, r, err, 200)
		if len(diffs) != 1 || diffs[0].NewPath != "README.md" {
			t.Errorf("diff of the first commit: %+v", diffs)
		}
	})
}

// A commit lists the open and merged merge requests that introduce it, and no
// merge requests whose target branch already contains it.
func TestCommit_ListsMergeRequestsThatIntroduceIt(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		old := s.mr.HeadSHA
		newer := s.commit("", "feature", map[string]string{"more.txt": "1\n"})
		s.commit("feature", "second", map[string]string{"second.txt": "1\n"})
		s.MergeRequest("second", "main")
		s.commit("main", "apart", map[string]string{"apart.txt": "1\n"})
		s.MergeRequest("apart", "main")
		main, _, err := s.repos.Repo(s.Project.ID).BranchTip(t.Context(), "main")
		if err != nil {
			t.Fatal(err)
		}
		of := func(sha, query string) string {
			t.Helper()
			a := s.wantAnswer(t, s.do("reporter", "GET", "/projects/1/repository/commits/"+sha+"/merge_requests?per_page=9"+query, ""), 200)
			var mrs []struct{ IID int }
			if err := json.Unmarshal([]byte(a.body), &mrs); err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(mrs)
		}
		for sha, want := range map[string]string{old: "[{2} {1}]", newer: "[{2} {1}]", main: "[]"} {
			if got := of(sha, ""); got != want {
				t.Errorf("%s: merge requests %s, want %s", sha, got, want)
			}
		}
		s.wantAnswer(t, s.do("maintainer", "PUT", "/projects/1/merge_requests/1/merge", ""), 200)
		merge, _, err := s.repos.Repo(s.Project.ID).BranchTip(t.Context(), "main")
		if err != nil {
			t.Fatal(err)
		}
		if got := of(newer, "&state=merged"); got != "[{1}]" {
			t.Errorf("merged: %s", got)
		}
		if got := of(merge, ""); got != "[{1}]" {
			t.Errorf("for the merge commit: %s", got)
		}
		s.wantAnswer(t, s.do("reporter", "GET", "/projects/1/repository/commits/nothing/merge_requests", ""), 404, "404 Commit Not Found")
	})
}

// Browsers do not run downloads: they are attachments with a fixed type and nosniff.
// HEAD sends no content.
func TestDownloads_AreAttachments(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.commit("main", "feature", map[string]string{"page.html": "<script>alert(1)</script>", "empty": ""})
		for path, want := range map[string]string{
			"files/page.html/raw?ref=feature": "application/octet-stream",
			"archive":                         "application/gzip",
			"archive.tar":                     "application/x-tar",
			"archive.zip?sha=feature":         "application/zip",
			"archive?format=zip":              "application/zip",
			"archive.tar.gz?path=README.md":   "application/gzip",
		} {
			for _, method := range []string{"GET", "HEAD"} {
				a := s.wantAnswer(t, s.do("reporter", method, "/projects/1/repository/"+path, ""), 200)
				h := a.header
				isAttachment := strings.HasPrefix(h.Get("Content-Disposition"), "attachment;")
				if h.Get("Content-Type") != want || h.Get("X-Content-Type-Options") != "nosniff" || !isAttachment {
					t.Errorf("%s %s: %v", method, path, h)
				}
				if (len(a.body) == 0) != (method == "HEAD") {
					t.Errorf("%s %s: %d bytes", method, path, len(a.body))
				}
			}
		}
		s.wantAnswer(t, s.do("reporter", "GET", "/projects/1/repository/files/empty/raw?ref=feature", ""), 200)
		s.wantAnswer(t, s.do("guest", "GET", "/projects/1/repository/archive", ""), 404)
		for _, path := range []string{
			"archive?path=nothing", "archive.tar?sha=nothing", "files/nothing/raw", "files/..%2F..%2Fconfig",
			"files/README.md?ref=nothing", "tree?path=../..", "tags/nothing",
		} {
			a := s.wantAnswer(t, s.do("reporter", "GET", "/projects/1/repository/"+path, ""), 404)
			if a.header.Get("Content-Disposition") != "" {
				t.Errorf("%s: refused with Content-Disposition", path)
			}
		}
		s.wantAnswer(t, s.do("reporter", "GET", "/projects/1/repository/archive?format=exe", ""), 400)
	})
}

func TestDownload_LargeFile_IsComplete(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		content := strings.Repeat("0123456789abcdef", 64<<10)
		s.commit("main", "feature", map[string]string{"big.txt": content})
		server := httptest.NewServer(s.plain)
		defer server.Close()
		request, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/api/v4/projects/1/repository/files/big.txt/raw?ref=feature", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Private-Token", s.tokens["reporter"])
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var got bytes.Buffer
		length := strconv.Itoa(len(content))
		_, err = got.ReadFrom(response.Body)
		if err != nil || got.String() != content || response.Header.Get("Content-Length") != length {
			t.Errorf("%d bytes, %v, %v", got.Len(), response.Header, err)
		}
	})
}
