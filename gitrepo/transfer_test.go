package gitrepo

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestPathFilter(t *testing.T) {
	packet := func(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }
	const path = "/srv/data/repositories/7.git"
	in := packet("\x02error: "+path+"/refs/heads/x.lock is in "+path+"\n") + "0000" + packet("\x01"+path) + "0001" +
		packet("ERR in "+path+"\n") + packet("\x02") + packet("NAK\n") + "PACK\x00\x00" + path
	want := packet("\x02error: refs/heads/x.lock is in the repository\n") + "0000" + packet("\x01"+path) + "0001" +
		packet("ERR in the repository\n") + packet("\x02") + packet("NAK\n") + "PACK\x00\x00" + path
	for size := 1; size <= len(in); size++ {
		var out bytes.Buffer
		f := pathFilter{w: &out, paths: [][]byte{[]byte(path)}}
		for rest := []byte(in); len(rest) > 0; {
			n, err := f.Write(rest[:min(size, len(rest))])
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if out.String() != want {
			t.Fatalf("in writes of %d bytes:\n%q\nwant\n%q", size, out.String(), want)
		}
	}
}

// A client that sends too slowly gets a 408, one that reads too slowly is
// disconnected; in both cases the git process ends.
func TestService_SlowClients_AreDisconnected(t *testing.T) {
	h := newGitHost(t, Options{TransferRate: TransferRate{Bytes: 1000, Window: 300 * time.Millisecond}})
	noise := make([]byte, 30<<20)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(noise)
	tip := write(t, h.store.Repo(1), "main", "", "Large", map[string]string{"noise": string(noise)})

	conn, err := net.Dial("tcp", strings.TrimPrefix(h.server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /1/git-receive-pack HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-git-receive-pack-request\r\nContent-Length: 5000\r\n\r\n00")
	begin := time.Now()
	if err := conn.SetDeadline(begin.Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(answer), "408")

	want := fmt.Sprintf("0032want %s\n00000009done\n", tip)
	r, err := http.Post(h.url+"/git-upload-pack", "application/x-git-upload-pack-request", strings.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close() // and nothing is read
	waitFor(t, "the fetch to end", func() bool { return gitProcesses(t, h.store.path(1)) == 0 })
	if got, err := io.ReadAll(r.Body); err == nil && len(got) >= len(noise) {
		t.Errorf("all of %d bytes came", len(got))
	}
}

// An invalid request is a 400, a damaged repository is an error for the log.
func TestService_MalformedRequests_AreBadRequest(t *testing.T) {
	h := newGitHost(t, Options{})
	tip := write(t, h.store.Repo(1), "main", "", "First", map[string]string{"a": "1"})
	want := "0032want " + tip + "\n"
	post := func(service, protocol, body string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/"+service, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-"+service+"-request")
		req.Header.Set("Git-Protocol", protocol)
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		_, _ = io.Copy(io.Discard, r.Body)
		return r.StatusCode
	}
	bodies := []string{"x", "zzzz", "0003", "ffff", "0032want x\n", "0009done\n", want + "0032have", "\x00\x00\x00\x00", "{\"a\":1}",
		"0014command=fetch\n0001zzzz", "0014command=none!\n0000", strings.Repeat("0", 100), strings.Repeat("a", 70_000)}
	for _, service := range []string{UploadPack, ReceivePack} {
		for _, protocol := range []string{"", "version=1", "version=2", "version=9:x"} {
			for _, body := range bodies {
				if got := post(service, protocol, body); got != http.StatusBadRequest && got != http.StatusOK {
					t.Errorf("%s %q %.20q answers %d", service, protocol, body, got)
				}
			}
			if got := post(service, protocol, "zzzz"); got != http.StatusBadRequest {
				t.Errorf("%s %q answers %d to garbage", service, protocol, got)
			}
		}
	}
}
