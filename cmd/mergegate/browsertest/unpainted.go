package browsertest

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// OpenUnpainted is Open for a tab that never draws, for tests of what a page contains and
// where. Drawing takes two thirds of a tab's processor time. Nothing that waits for a frame
// ends: callbacks of requestAnimationFrame, Go, and the screenshot of a failed test. Only
// chromium-headless-shell has such tabs; in another browser, OpenUnpainted is Open.
func OpenUnpainted(t testing.TB, url string) *Page {
	t.Helper()
	parent := unpaintedBrowser.context(t)
	of := chromedp.FromContext(parent).Browser
	own, err := cdp.Call(parent, of, target.CreateBrowserContext, target.CreateBrowserContextParams{})
	if err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	controlled := true
	tab, err := cdp.Call(parent, of, target.CreateTarget, target.CreateTargetParams{
		URL: "about:blank", BrowserContextID: own.BrowserContextID, EnableBeginFrameControl: &controlled,
	})
	if err != nil {
		t.Logf("the tab draws frames: %v", err)
		return Open(t, url)
	}
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithTargetID(tab.TargetID))
	p := newPage(t, ctx, func() {
		cancel()
		_, _ = cdp.Call(parent, of, target.DisposeBrowserContext, target.DisposeBrowserContextParams(own))
	})
	// Navigate would wait for events that may come with a frame only.
	p.do("load "+url, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, page.Navigate, page.NavigateParams{URL: url})
		return err
	}))
	// Some pages finish loading only after a layout. Reading offsetHeight forces one, because
	// no frame does.
	p.WaitFor("the page to load", "document.body?.offsetHeight > 0 && document.readyState === 'complete' && location.href !== 'about:blank'")
	return p
}
