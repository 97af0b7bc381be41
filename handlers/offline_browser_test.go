package handlers

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// restartableServer serves the site with the session of v. It keeps its address
// while it is stopped.
type restartableServer struct {
	v       visitor
	address string
	server  *http.Server
}

// serveRestartable starts a server that the test can stop and start again.
func (v visitor) serveRestartable() *restartableServer {
	w := &restartableServer{v: v, address: "127.0.0.1:0"}
	w.start()
	v.t.Cleanup(w.stop)
	return w
}

func (w *restartableServer) start() {
	w.v.t.Helper()
	listener, err := net.Listen("tcp", w.address)
	if err != nil {
		w.v.t.Fatal(err)
	}
	w.address = listener.Addr().String()
	w.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.Header.Add("Cookie", w.v.cookie)
		w.v.site.handler.ServeHTTP(rw, r)
	})}
	go func(server *http.Server) { _ = server.Serve(listener) }(w.server)
}

func (w *restartableServer) stop() { _ = w.server.Close() }

// cachedPages is a JavaScript expression for the addresses in the cache of the
// service worker, one per line.
const cachedPages = `(async () => {
	const all = [];
	for (const name of await caches.keys()) for (const kept of await (await caches.open(name)).keys()) all.push(kept.url);
	window.kept = all.join("\n");
})(), window.kept ?? ""`

// While the server is stopped, every page shows the offline page in the reader's
// language and theme. Once the server is back, the requested page loads by
// itself.
func TestBrowserOffline_ServerStops_ShowsOfflinePageUntilItReturns(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	mr := s.openMergeRequest("topic")
	server := s.as(s.Owner).serveRestartable()
	base := "http://" + server.address
	p := browsertest.Open(t, base+"/")
	p.Allow("503 from .*")
	p.Allow("request failed: net::ERR_CONNECTION_REFUSED")
	p.WaitFor("the offline page to be cached", "("+cachedPages+`).includes("lang=en&release=")`)

	server.stop()
	p.Go(base + s.mrPath(mr, ""))
	p.WaitText("h1", "Mergegate cannot be reached")
	if got := browsertest.Eval[string](p, `document.documentElement.lang + " " + getComputedStyle(document.querySelector("h1")).textAlign`); got != "en center" {
		t.Errorf("language and style %q", got)
	}
	p.Press("Try again")
	p.WaitText("h1", "Mergegate cannot be reached")
	server.start()
	p.WaitText("h1", mr.Title)
	if got := p.URL(); got != base+s.mrPath(mr, "") {
		t.Errorf("the page loaded is %s", got)
	}

	// With another language and theme the page is fetched again and replaces the old one.
	if err := s.Store.SetTheme(t.Context(), s.Owner.ID, "dark", "ja"); err != nil {
		t.Fatal(err)
	}
	p.Reload()
	p.WaitFor("the offline page to be cached in Japanese", "("+cachedPages+`).includes("lang=ja")`)
	p.WaitFor("the English page to be gone", "!("+cachedPages+`).includes("lang=en")`)
	if kept := browsertest.Eval[string](p, "window.kept"); strings.Contains(kept, "\n") || !strings.HasPrefix(kept, base+offlinePath+"?") || !strings.HasSuffix(kept, "&theme=dark") {
		t.Errorf("the cache holds %q", kept)
	}
	server.stop()
	p.Go(base + "/olga/pear/-/branches?search=ma#content")
	p.WaitText("h1", "Mergegateに接続できません")
	if got := browsertest.Eval[string](p, `document.documentElement.lang + " " + getComputedStyle(document.documentElement).colorScheme`); got != "ja dark" {
		t.Errorf("language and colours %q", got)
	}
	// For addresses of API and git the browser shows its own error page.
	for _, path := range []string{"/api/v4/version", "/olga/pear.git/info/refs"} {
		browsertest.Eval[bool](p, `setTimeout(() => location.href = "`+path+`"), true`)
		p.WaitURL("^chrome-error:")
		p.Go(base + "/olga/pear/-/branches?search=ma#content")
	}
	server.start()
	p.WaitText("#content h1", "ブランチ")
	if got := p.URL(); got != base+"/olga/pear/-/branches?search=ma#content" {
		t.Errorf("the page loaded is %s", got)
	}
}

// The theme button also renews the cached offline page. Error responses of the
// server are shown unchanged.
func TestBrowserOffline_ThemeButton_UpdatesCachedPage(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.setVisibility(models.VisibilityPublic)
	server := s.as(s.Owner).serveRestartable()
	base := "http://" + server.address
	p := browsertest.Open(t, base+pearPath)
	p.Allow("404 from .*/nothing")
	p.WaitFor("the offline page to be cached", "("+cachedPages+`).includes("theme=")`)
	p.Click("#user-menu summary")
	p.Click("#user-menu [data-theme-toggle]")
	p.WaitFor("the dark offline page to be cached", "("+cachedPages+`).endsWith("theme=dark")`)
	p.Go(base + "/olga/nothing")
	p.WaitText("h1", "Page not found")
	p.Press("Go to projects")
	p.WaitText("h1", "Projects")
}
