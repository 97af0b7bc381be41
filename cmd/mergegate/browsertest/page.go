package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

const (
	// patience is the maximum time for an action or a wait.
	patience = 40 * time.Second
	// glance is the interval at which a wait checks the page.
	glance = 25 * time.Millisecond
)

// ScreenshotVariable is the environment variable for the folder of screenshots of
// failed tests. The default is mergegate-screenshots in the temporary folder.
const ScreenshotVariable = "MERGEGATE_TEST_SCREENSHOTS"

// Page is a tab of the browser. Its methods fail the test at once on an error. A CSS
// selector means its first visible match.
type Page struct {
	t        testing.TB
	ctx      context.Context
	problems *problems
}

// New opens an empty tab and closes it at the end of the test. The test fails if the
// page had problems. If the test has failed, a screenshot is saved.
func New(t testing.TB) *Page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser.context(t), chromedp.WithNewBrowserContext())
	return newPage(t, ctx, cancel)
}

func newPage(t testing.TB, ctx context.Context, cancel func()) *Page {
	t.Helper()
	p := &Page{t: t, ctx: ctx, problems: &problems{loading: map[network.RequestID]string{}}}
	if err := chromedp.Listen(ctx, p.problems.observe); err != nil {
		cancel()
		t.Fatalf("open a tab: %v", err)
	}
	t.Cleanup(func() {
		for _, problem := range p.problems.unexpected() {
			t.Errorf("the page had a problem: %s", problem)
		}
		if t.Failed() {
			p.keepPicture()
		}
		cancel()
	})
	return p
}

// Open calls New and Go.
func Open(t testing.TB, url string) *Page {
	t.Helper()
	p := New(t)
	p.Go(url)
	return p
}

// Go opens url and waits until the page is loaded.
func (p *Page) Go(url string) {
	p.t.Helper()
	p.do("load "+url, chromedp.Navigate(url))
}

// Reload reloads the page.
func (p *Page) Reload() {
	p.t.Helper()
	p.do("reload", chromedp.Reload())
}

// Back goes back in the history. It does not wait, because the browser may restore
// the page without loading it. It does not run history.back() either: then the page may
// end before it has answered.
func (p *Page) Back() {
	p.t.Helper()
	p.do("go back", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		history, err := cdp.Call(ctx, target, page.GetNavigationHistory, cdp.Empty{})
		if err != nil {
			return err
		}
		if history.CurrentIndex == 0 {
			return errors.New("this is the first page")
		}
		_, err = cdp.Call(ctx, target, page.NavigateToHistoryEntry,
			page.NavigateToHistoryEntryParams{EntryID: history.Entries[history.CurrentIndex-1].ID})
		return err
	}))
}

// Allow accepts the problems that match the regular expression pattern, such
// as "422 from .*/external_status_checks".
func (p *Page) Allow(pattern string) { p.problems.allow(pattern) }

// URL returns the address of the page.
func (p *Page) URL() string {
	p.t.Helper()
	return Eval[string](p, "location.href")
}

// Text returns the visible text of the element.
func (p *Page) Text(css string) string {
	p.t.Helper()
	p.Wait(css)
	return strings.TrimSpace(Eval[string](p, visible(css)+".innerText"))
}

// Count returns the number of visible elements that match.
func (p *Page) Count(css string) int {
	p.t.Helper()
	return Eval[int](p, "[...document.querySelectorAll("+quote(css)+")].filter(e => e.checkVisibility()).length")
}

// Wait waits until the element is visible.
func (p *Page) Wait(css string) {
	p.t.Helper()
	p.WaitFor(css+" to appear", "!!"+visible(css))
}

// WaitGone waits until no visible element matches.
func (p *Page) WaitGone(css string) {
	p.t.Helper()
	p.WaitFor(css+" to go", "!"+visible(css))
}

// WaitText waits until the text of a matching element contains want.
func (p *Page) WaitText(css, want string) {
	p.t.Helper()
	p.WaitFor(fmt.Sprintf("%q in %s", want, css), "[...document.querySelectorAll("+quote(css)+
		")].some(e => e.checkVisibility() && e.innerText.includes("+quote(want)+"))")
}

// WaitURL waits until the address of the page matches the regular expression.
func (p *Page) WaitURL(pattern string) {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	p.until("the address to match "+pattern, func() bool {
		url, err := look[string](p, "location.href")
		return err == nil && re.MatchString(url)
	})
}

// WaitFor waits until the JavaScript expression is true, even if the page changes in
// between. what completes the error message "waited for …".
func (p *Page) WaitFor(what, expression string) {
	p.t.Helper()
	p.until(what, func() bool {
		ok, err := look[bool](p, expression)
		return err == nil && ok
	})
}

// Eval evaluates a JavaScript expression into a value. It waits for a promise.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	value, err := look[T](p, expression)
	if err != nil {
		p.t.Fatalf("evaluate %s: %v", expression, err)
	}
	return value
}

func look[T any](p *Page, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

func (p *Page) until(what string, done func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(glance) {
		if time.Now().After(deadline) {
			url, _ := look[string](p, "location.href")
			text, _ := look[string](p, "document.body.innerText")
			state, _ := look[string](p, "document.readyState")
			p.t.Fatalf("timed out waiting for %s at %s (%s, requests in progress: %q), which reads:\n%s", what, url, state, p.problems.stillLoading(), text)
		}
	}
}

func (p *Page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

// Screenshot writes a PNG image of the whole page.
func (p *Page) Screenshot(path string) {
	p.t.Helper()
	if err := p.picture(path); err != nil {
		p.t.Fatalf("screenshot: %v", err)
	}
}

func (p *Page) picture(path string) error {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return err
	}
	return os.WriteFile(path, png, 0o600)
}

func (p *Page) keepPicture() {
	dir := os.Getenv(ScreenshotVariable)
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "mergegate-screenshots")
	}
	path := filepath.Join(dir, strings.ReplaceAll(p.t.Name(), "/", "-")+".png")
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = p.picture(path)
	}
	if err != nil {
		p.t.Logf("no picture of the page: %v", err)
		return
	}
	p.t.Logf("screenshot: %s", path)
}

// visible returns a JavaScript expression for the first visible match.
func visible(css string) string {
	return "[...document.querySelectorAll(" + quote(css) + ")].find(e => e.checkVisibility())"
}

// quote is s as a JavaScript string.
func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil { // strings always can
		panic(err)
	}
	return string(text)
}
