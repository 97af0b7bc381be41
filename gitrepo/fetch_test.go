package gitrepo

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestShallowAndPartialClone(t *testing.T) {
	h := newGitHost(t, Options{})
	c := newClient(t, h.url)
	for i := range 3 {
		c.commit("a.txt", strconv.Itoa(i))
	}
	c.git("push", "origin", "main")
	for _, version := range []string{"0", "2"} {
		v := "protocol.version=" + version
		shallow := client{t, filepath.Join(t.TempDir(), "shallow")}
		c.git("-c", v, "clone", "--quiet", "--depth=1", h.url, shallow.dir)
		if n := shallow.git("rev-list", "--count", "HEAD"); n != "1" {
			t.Errorf("protocol %s: shallow clone has %s commits", version, n)
		}
		shallow.git("-c", v, "fetch", "--quiet", "--deepen=1")
		if n := shallow.git("rev-list", "--count", "HEAD"); n != "2" {
			t.Errorf("protocol %s: deepened clone has %s commits", version, n)
		}
		partial := client{t, filepath.Join(t.TempDir(), "partial")}
		c.git("-c", v, "clone", "--quiet", "--filter=blob:none", h.url, partial.dir)
		if missing := partial.git("rev-list", "--objects", "--all", "--missing=print"); !strings.Contains(missing, "?") {
			t.Errorf("protocol %s: a partial clone has everything", version)
		}
		if old := partial.git("-c", v, "show", "HEAD~2:a.txt"); old != "0" {
			t.Errorf("protocol %s: fetched later: %q", version, old)
		}
	}
}

func TestKeepHead_CanBeFetched(t *testing.T) {
	h := newGitHost(t, Options{})
	r := h.store.Repo(1)
	first := write(t, r, "main", "", "First", map[string]string{"a": "1"})
	kept := write(t, r, "topic", first, "Kept", map[string]string{"a": "2"})
	if err := r.KeepHead(t.Context(), 3, kept); err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteRef(t.Context(), "refs/heads/topic", kept); err != nil {
		t.Fatal(err)
	}
	if err := r.UpdateRef(t.Context(), "refs/mergegate/secret", kept, ZeroID); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, h.url)
	refs := c.git("ls-remote", "origin")
	contains(t, refs, kept+"\trefs/merge-requests/3/head")
	if strings.Contains(refs, "refs/mergegate") {
		t.Errorf("private refs are shown:\n%s", refs)
	}
	c.git("fetch", "--quiet", "origin", "refs/merge-requests/3/head")
	if got := c.git("rev-parse", "FETCH_HEAD"); got != kept {
		t.Errorf("fetched %s", got)
	}
}

// Without full duplex this fetch fails, because the client still sends "have" lines
// when the response begins. git itself shows this only with thousands of commits,
// so the test sends the request itself.
func TestFetch_ManyHaves_Succeeds(t *testing.T) {
	h := newGitHost(t, Options{})
	r := h.store.Repo(1)
	var stream strings.Builder
	const common = 1500
	for i := range common + 1 {
		message := "c" + strconv.Itoa(i)
		fmt.Fprintf(&stream, "commit refs/heads/main\ncommitter A <a@b> %d +0000\ndata %d\n%s\n", 1700000000+i, len(message), message)
	}
	if _, err := r.gitInput(t.Context(), stream.String(), "fast-import", "--quiet"); err != nil {
		t.Fatal(err)
	}
	out, err := r.git(t.Context(), "rev-list", "main")
	if err != nil {
		t.Fatal(err)
	}
	ids := strings.Fields(string(out))

	var body bytes.Buffer
	line := func(s string) { fmt.Fprintf(&body, "%04x%s", len(s)+4, s) }
	line("want " + ids[0] + " multi_ack_detailed no-done side-band-64k thin-pack ofs-delta\n")
	body.WriteString("0000")
	for _, id := range ids[1:] {
		line("have " + id + "\n")
	}
	line("done\n")
	for _, packed := range []bool{false, true} {
		payload := bytes.Clone(body.Bytes())
		if packed {
			var z bytes.Buffer
			w := gzip.NewWriter(&z)
			_, _ = w.Write(payload)
			_ = w.Close()
			payload = z.Bytes()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+"/git-upload-pack", bytes.NewReader(payload))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
		if packed {
			req.Header.Set("Content-Encoding", "gzip")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("gzip %v: status %d: %v", packed, resp.StatusCode, err)
		}
		if n := bytes.Count(answer, []byte(" common\n")); n < common/2 {
			t.Errorf("gzip %v: %d commits acknowledged", packed, n)
		}
		if !bytes.Contains(answer, []byte("PACK")) || !bytes.HasSuffix(answer, []byte("0000")) {
			t.Errorf("gzip %v: the answer of %d bytes has no pack or no end", packed, len(answer))
		}
	}
}
