package gitrepo

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPushCloneAndHooks(t *testing.T) {
	h := newGitHost(t, Options{})
	c := newClient(t, h.url)
	first := c.commit("a.txt", "one\n")
	c.git("push", "-o", "merge_request.create", "-o", "merge_request.title=Ünï", "origin", "main")

	pre := h.seen(preReceive)
	if len(pre) != 1 {
		t.Fatalf("%d pre-receive requests", len(pre))
	}
	got := pre[0]
	if len(got.Updates) != 1 || got.Updates[0] != (RefUpdate{Ref: "refs/heads/main", Old: ZeroID, New: first}) ||
		len(got.Options) != 2 || got.Options[1] != "merge_request.title=Ünï" {
		t.Errorf("pre-receive request: %+v", got)
	}

	for _, version := range []string{"0", "1", "2"} {
		dir := filepath.Join(t.TempDir(), "clone")
		c.git("-c", "protocol.version="+version, "clone", "--quiet", h.url, dir)
		if head := (client{t, dir}).git("rev-parse", "HEAD"); head != first {
			t.Errorf("protocol %s cloned %s", version, head)
		}
	}

	// A forced push is marked as forced.
	second := c.commit("a.txt", "two\n")
	h.mu.Lock()
	h.decide = func(hook string, _ Push) string {
		if hook == postReceive {
			return "To create a merge request for main, visit:\n  http://example.com/x"
		}
		return ""
	}
	h.mu.Unlock()
	out := c.git("push", "origin", "main")
	contains(t, out, "remote: To create a merge request for main, visit:")
	contains(t, out, "http://example.com/x")
	if post := h.seen(postReceive); len(post) != 1 || post[0].Updates[0] != (RefUpdate{Ref: "refs/heads/main", Old: first, New: second}) {
		t.Errorf("post-receive: %+v", post)
	}
	c.git("commit", "--quiet", "--amend", "-m", "Other")
	c.git("push", "--force", "origin", "main")
	if pre := h.seen(preReceive); len(pre) != 1 || !pre[0].Updates[0].Forced {
		t.Errorf("forced push: %+v", pre)
	}

	c.git("tag", "-a", "v1", "-m", "One")
	c.git("push", "origin", "v1", "main:topic")
	c.git("push", "origin", "--delete", "topic")
	if pre := h.seen(preReceive); len(pre) != 2 || pre[1].Updates[0].New != ZeroID || pre[1].Updates[0].Forced {
		t.Errorf("deletion: %+v", pre)
	}
	out = c.refused("push", "origin", "--delete", "main")
	contains(t, out, "refusing to delete the current branch")
}

func TestPush_RejectedRefs(t *testing.T) {
	h := newGitHost(t, Options{})
	c := newClient(t, h.url)
	c.commit("a.txt", "one\n")
	h.decide = func(string, Push) string {
		return "You are not allowed to push to main: it is protected."
	}
	out := c.refused("push", "origin", "main")
	contains(t, out, "remote: You are not allowed to push to main: it is protected.")
	contains(t, out, "pre-receive hook declined")
	if tips, err := h.store.Repo(1).Tips(t.Context()); err != nil || len(tips) != 0 {
		t.Errorf("refs after a refusal: %v, %v", tips, err)
	}
	if post := h.seen(postReceive); len(post) != 0 {
		t.Errorf("a refused push was reported: %+v", post)
	}

	h.decide = func(string, Push) string { return "" }
	c.git("push", "origin", "main")
	h.seen(preReceive)
	for ref, want := range map[string]string{
		"refs/heads/main/x":          "main/x cannot be created because main exists",
		"refs/notes/x":               "refs/notes/x cannot be pushed: only branches and tags can be pushed.",
		"refs/merge-requests/1/head": "deny updating a hidden ref",
		"refs/mergegate/x":           "deny updating a hidden ref",
		"refs/heads/-x":              "cannot be pushed: a name must be valid for git and UTF-8",
		"refs/heads/\xff":            "cannot be pushed: a name must be valid for git and UTF-8",
		"refs/heads/HEAD":            "cannot be pushed: a name must be valid for git and UTF-8",
		"refs/heads/" + long("y", 200) + "/" + long("z", 200): "at most 255 bytes",
	} {
		contains(t, c.refused("push", "origin", "main:"+ref), want)
	}
	if pre := h.seen(preReceive); len(pre) != 0 {
		t.Errorf("the server was asked about refs that no push may have: %+v", pre)
	}
	c.git("push", "origin", "main:refs/heads/a/b/c")
	contains(t, c.refused("push", "origin", "main:refs/heads/a"), "a cannot be created because a/b/c exists")
	contains(t, c.refused("push", "origin", "main:refs/heads/n", "main:refs/heads/n/m"), "exists: git does not allow both names")

	// If the handler fails, no ref moves.
	h.decide = func(string, Push) string { panic("broken") }
	out = c.refused("push", "origin", "main:later")
	contains(t, out, "Mergegate cannot check it at the moment")
	if _, ok, err := h.store.Repo(1).BranchTip(t.Context(), "later"); ok || err != nil {
		t.Errorf("an unchecked push moved a ref (%v)", err)
	}
}

// git ignores a hook that it cannot run.
func TestPush_MissingHooks_AreRestoredOrPushFails(t *testing.T) {
	h := newGitHost(t, Options{})
	c := newClient(t, h.url)
	c.commit("a.txt", "one\n")
	if err := os.RemoveAll(h.store.hooks); err != nil {
		t.Fatal(err)
	}
	c.git("push", "origin", "main:healed")
	if asked := h.seen(preReceive); len(asked) != 1 {
		t.Errorf("%d pushes checked after the hooks were restored, want 1", len(asked))
	}
	if err := os.RemoveAll(filepath.Dir(h.store.hooks)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Dir(h.store.hooks), nil, 0o600); err != nil { // no place for a folder
		t.Fatal(err)
	}
	contains(t, c.refused("push", "origin", "main:unseen"), "503")
	if _, ok, err := h.store.Repo(1).BranchTip(t.Context(), "unseen"); ok || err != nil {
		t.Errorf("a push without hooks moved a ref (%v)", err)
	}
}

func long(s string, n int) string { return strings.Repeat(s, n) }

func TestPush_LargePack_Succeeds(t *testing.T) {
	h := newGitHost(t, Options{})
	c := newClient(t, h.url)
	content := make([]byte, 30<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(content) // does not compress, so the push is chunked
	sha := c.commit("big.bin", string(content))
	c.git("push", "origin", "main")
	if tip, _, err := h.store.Repo(1).BranchTip(t.Context(), "main"); err != nil || tip != sha {
		t.Errorf("tip %s, want %s (%v)", tip, sha, err)
	}
}

func TestPush_PackAboveLimit_Fails(t *testing.T) {
	h := newGitHost(t, Options{MaxPackBytes: 100 << 10})
	c := newClient(t, h.url)
	content := make([]byte, 3<<20)
	random := rand.NewChaCha8([32]byte{2})
	_, _ = random.Read(content)
	c.commit("big.bin", string(content))
	contains(t, c.refused("push", "origin", "main"), "maximum allowed size")
}

// If the client dies during a push, no process, ref or file remains.
func TestPush_ClientDisconnects_LeavesNothing(t *testing.T) {
	h := newGitHost(t, Options{})
	reader, writer := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+"/git-receive-pack", reader)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-git-receive-pack-request")
	done := make(chan struct{})
	go func() {
		defer close(done)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}()
	command := ZeroID + " " + strings.Repeat("a", 40) + " refs/heads/main\x00report-status side-band-64k"
	fmt.Fprintf(writer, "%04x%s0000PACK\x00\x00\x00\x02\x00\x00\x00\x09", len(command)+4, command)
	waitFor(t, "git to start", func() bool { return gitProcesses(t, h.store.path(1)) > 0 })
	cancel()
	_ = writer.CloseWithError(context.Canceled)
	<-done
	waitFor(t, "git to end", func() bool { return gitProcesses(t, h.store.path(1)) == 0 })
	if tips, err := h.store.Repo(1).Tips(t.Context()); err != nil || len(tips) != 0 {
		t.Errorf("tips: %v, %v", tips, err)
	}
	if left, _ := filepath.Glob(filepath.Join(h.store.path(1), "objects", "tmp_*")); len(left) > 0 {
		t.Errorf("remaining files: %v", left)
	}
}

// gitProcesses counts the processes whose working directory is dir.
func gitProcesses(t *testing.T, dir string) int {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, l := range links {
		if where, err := os.Readlink(l); err == nil && where == dir {
			n++
		}
	}
	return n
}

// waitFor polls until the condition holds, for at most a minute.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}

func TestService_InvalidRequests(t *testing.T) {
	h := newGitHost(t, Options{})
	post := func(path, contentType, encoding string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.server.URL+path, strings.NewReader("0000"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("Content-Encoding", encoding)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	for _, c := range []struct {
		path, contentType, encoding string
		want                        int
	}{
		{"/1/git-receive-pack", "text/plain", "", 415},
		{"/1/git-upload-pack", "application/x-git-receive-pack-request", "", 415},
		{"/2/git-upload-pack", "application/x-git-upload-pack-request", "", 404},
		{"/1/git-upload-pack", "application/x-git-upload-pack-request", "gzip", 400},
		{"/1/git-receive-pack", "application/x-git-receive-pack-request", "", 200}, // git's probe
	} {
		if got := post(c.path, c.contentType, c.encoding); got != c.want {
			t.Errorf("POST %s as %q %q = %d, want %d", c.path, c.contentType, c.encoding, got, c.want)
		}
	}
	for query, want := range map[string]int{"": 403, "?service=git-upload-archive": 403, "?service=--help": 403, "?service=git-upload-pack": 200} {
		resp, err := http.Get(h.url + "/info/refs" + query)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("info/refs%s = %d, want %d", query, resp.StatusCode, want)
		}
	}
	out, err := exec.CommandContext(t.Context(), "git", "ls-remote", h.server.URL+"/2").CombinedOutput()
	if err == nil {
		t.Error("a repository that is not there was listed")
	}
	contains(t, string(out), "not found")
}
