package browsertest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
)

func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }

const form = `<!doctype html><title>Orchard</title><h1>Orchard</h1>
<form method="post"><label for="n">Name</label><input id="n" name="name" value="pear">
<select name="size"><option>small</option><option>large</option></select>
<button>Save <b>changes</b></button></form><noscript><p class="ns">no script</p></noscript>
<div hidden class="gone">hidden</div>`

// site serves a form, the echo of its post, and pages with problems.
func site(t *testing.T) string {
	mux := http.NewServeMux()
	page := func(pattern, html string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Security-Policy", "script-src 'self' 'unsafe-inline'; img-src 'self'; connect-src 'self'")
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, html)
		})
	}
	page("GET /form", form)
	page("GET /console", `<script>console.error("ripe", 3)</script>`)
	page("GET /exception", `<script>nothing.here()</script>`)
	page("GET /policy", `<img src="http://elsewhere.example/x.png">`)
	page("GET /missing", `<script>fetch("/no-such-page")</script>`)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("POST /form", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1"})
		fmt.Fprintf(w, "<h1>Saved</h1><p>%s, %s</p>", r.FormValue("name"), r.FormValue("size"))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestBrowserPage_FillAndPress_PostsForm(t *testing.T) {
	url := site(t)
	p := browsertest.Open(t, url+"/form")
	if p.Count(".gone") != 0 || p.Count("h1") != 1 {
		t.Error("hidden elements are counted")
	}
	p.Fill("#n", "quince é")
	p.Choose("select", "large")
	p.Press("Save changes")
	p.WaitText("h1", "Saved")
	if got := p.Text("p"); got != "quince é, large" {
		t.Errorf("posted %q", got)
	}
	p.WaitURL("/form$")

	// Another tab shares no cookies, and runs no scripts after NoScript.
	other := browsertest.New(t)
	other.NoScript()
	other.Go(url + "/form")
	other.WaitText(".ns", "no script")
	if cookies := browsertest.Eval[string](other, "document.cookie"); cookies != "" {
		t.Errorf("a fresh tab has the cookies %q", cookies)
	}
}

// recorder is a fake testing.TB that records failures.
type recorder struct {
	testing.TB
	cleanups []func()
	errors   []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}
func (r *recorder) Failed() bool     { return len(r.errors) > 0 }
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func TestBrowserProblems_FailTheTest(t *testing.T) {
	url := site(t)
	for path, want := range map[string]string{
		"/console":   `ripe" 3`,
		"/exception": "nothing is not defined",
		"/policy":    "violates the following",
		"/missing":   "404 from " + url + "/no-such-page",
	} {
		t.Run(path[1:], func(t *testing.T) {
			pictures := t.TempDir()
			t.Setenv(browsertest.ScreenshotVariable, pictures)
			r := &recorder{TB: t}
			p := browsertest.Open(r, url+path)
			if path == "/missing" { // its request begins when the page is loaded
				p.WaitFor("the answer", `performance.getEntriesByName("`+url+`/no-such-page").length === 1`)
			}
			for _, cleanup := range r.cleanups {
				cleanup()
			}
			if !strings.Contains(strings.Join(r.errors, "\n"), want) {
				t.Errorf("got %q, want %q in it", r.errors, want)
			}
			if kept, _ := os.ReadDir(pictures); len(kept) != 1 {
				t.Errorf("%d pictures are kept, want 1", len(kept))
			}
		})
	}
}

func TestBrowserAllow_AcceptsMatchingProblems(t *testing.T) {
	p := browsertest.New(t)
	p.Allow("^console: .*ripe")
	p.Go(site(t) + "/console")
	p.WaitURL("/console")
}

// unprefixed is the testing.TB of a test that lacks the prefix TestBrowser.
type unprefixed struct {
	testing.TB
	failure string
}

func (u *unprefixed) Name() string { return "TestWidget" }

func (u *unprefixed) Fatalf(format string, args ...any) {
	u.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestNew_TestNameWithoutPrefix_Fails(t *testing.T) {
	u := &unprefixed{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		browsertest.New(u)
	}()
	<-done
	if !strings.HasPrefix(u.failure, "rename TestWidget") {
		t.Errorf("New fails with %q, want a request to rename the test", u.failure)
	}
}
