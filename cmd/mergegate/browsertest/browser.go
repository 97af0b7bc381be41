// Package browsertest drives a real browser in tests.
//
// A package of tests shares one Chromium; every test gets a tab in a context
// of its own, with neither cookies nor cache of another test. What a page
// should never do fails the test by itself: an error in the console, a
// violation of the content security policy, a request that fails or is
// answered 4xx or 5xx. A test that provokes one says so with Page.Allow.
//
//	func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }
//
//	func TestBrowserSignIn(t *testing.T) {
//		p := browsertest.Open(t, server.URL+"/users/sign_in")
//		p.Fill("#username", "mona")
//		p.Press("Sign in")
//		p.WaitText("h1", "Projects")
//	}
package browsertest

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/mergegate/mergegate/models/modelstest"
)

// startLimit is how long the browser may take until it can be driven. The
// first start on a machine reads some 400 MB from its disk.
const startLimit = 60 * time.Second

// browser is the one Chromium of the process and the function that ends it.
var browser struct {
	sync.Mutex
	ctx  context.Context
	stop func()
}

// Main runs the tests of a package and then ends what they share: the browser
// and the PostgreSQL server.
func Main(m *testing.M) int {
	defer func() {
		browser.Lock()
		defer browser.Unlock()
		if browser.stop != nil {
			browser.stop()
		}
	}()
	return modelstest.Main(m)
}

// shared is the chromedp context of the browser, started by the first caller.
func shared() (context.Context, error) {
	browser.Lock()
	defer browser.Unlock()
	if browser.ctx != nil {
		return browser.ctx, nil
	}
	path, err := program()
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.WSURLReadTimeout(startLimit),
		chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("lang", "en-GB"),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	// The first run decides how long the browser lives, so no time-out here.
	if err := chromedp.Do(ctx); err != nil {
		stop()
		return nil, err
	}
	browser.ctx = ctx
	browser.stop = func() {
		_ = chromedp.Cancel(ctx)
		stop()
	}
	return ctx, nil
}

func program() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("these tests need a browser: install the Debian package chromium")
}

// testPrefix begins the name of every test that opens the browser. It lets the
// CI run these tests on their own, without the race detector.
const testPrefix = "TestBrowser"

// browserContext returns the chromedp context of the shared browser. It fails
// a test whose name lacks testPrefix.
func browserContext(t testing.TB) context.Context {
	t.Helper()
	if !strings.HasPrefix(t.Name(), testPrefix) {
		t.Fatalf("rename %s: tests that open the browser are named %s…", t.Name(), testPrefix)
	}
	ctx, err := shared()
	if err != nil {
		t.Fatalf("start a browser: %v", err)
	}
	return ctx
}
