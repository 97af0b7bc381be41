// Package browsertest drives a real browser in tests.
//
// The tests of a package share one Chromium, or two with OpenUnpainted. Each test has a tab
// in its own browser context, without cookies and cache of other tests. A test fails if the
// page logs an error in the console, violates the content security policy, or if a request
// fails or its status is 4xx or 5xx. Page.Allow accepts such a problem.
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

// startLimit is the maximum time for the start of the browser. The first start on a
// machine reads about 400 MB from the disk.
const startLimit = 60 * time.Second

// chromium is a browser of this process and the function that stops it.
type chromium struct {
	sync.Mutex
	// flags are those that only this browser has.
	flags []string
	ctx   context.Context
	stop  func()
}

// The browsers are that of New and that of OpenUnpainted, which draws frames only when it is
// asked to.
var (
	browser          = &chromium{}
	unpaintedBrowser = &chromium{flags: []string{"enable-begin-frame-control"}}
)

// Main runs the tests of a package and then stops the browser and the PostgreSQL
// server that they share. It returns the exit code.
func Main(m *testing.M) int {
	defer stopBrowsers()
	return modelstest.Main(m)
}

// MainWithPlans is Main with the check of modelstest.MainWithPlans.
func MainWithPlans(m *testing.M, allowed map[string]string) int {
	defer stopBrowsers()
	return modelstest.MainWithPlans(m, allowed)
}

// stopBrowsers ends the browsers that tests have started.
func stopBrowsers() {
	for _, b := range []*chromium{browser, unpaintedBrowser} {
		b.Lock()
		defer b.Unlock()
		if b.stop != nil {
			b.stop()
		}
	}
}

// start returns the chromedp context of the browser. The first call starts it.
func (b *chromium) start() (context.Context, error) {
	b.Lock()
	defer b.Unlock()
	if b.ctx != nil {
		return b.ctx, nil
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
	for _, flag := range b.flags {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	// The context of the first run limits the life of the browser, so it has no
	// time-out.
	if err := chromedp.Do(ctx); err != nil {
		stop()
		return nil, err
	}
	b.ctx = ctx
	b.stop = func() {
		_ = chromedp.Cancel(ctx)
		stop()
	}
	return ctx, nil
}

// program returns the path of the browser. The headless shell is Chromium without
// the windows around the pages; it needs two thirds of the processor time.
func program() (string, error) {
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no browser found: install the Debian package chromium-headless-shell or chromium")
}

// testPrefix begins the name of every test that opens the browser. It lets the
// CI run these tests on their own, without the race detector.
const testPrefix = "TestBrowser"

// context returns the chromedp context of the browser. It fails a test whose name lacks
// testPrefix.
func (b *chromium) context(t testing.TB) context.Context {
	t.Helper()
	if !strings.HasPrefix(t.Name(), testPrefix) {
		t.Fatalf("rename %s: tests that open the browser are named %s…", t.Name(), testPrefix)
	}
	ctx, err := b.start()
	if err != nil {
		t.Fatalf("start a browser: %v", err)
	}
	return ctx
}
