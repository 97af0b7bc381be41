package browsertest

import (
	"context"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// byName is JavaScript that finds the visible and enabled link, button, summary,
// label, tab or option with exactly this text or accessible name. While a dialog is
// open, it searches only the dialog.
const byName = `(text => {
	const name = e => (e.getAttribute("aria-label") || e.innerText || e.value || "").replace(/\s+/g, " ").trim();
	return [...(document.querySelector("dialog:modal") ?? document).querySelectorAll("a, button, summary, label, input[type=submit], [role=button], [role=tab], [role=option]")]
		.find(e => e.checkVisibility() && !e.disabled && name(e) === text);
})`

// middleOf is JavaScript that scrolls an element into view and returns its middle. It
// returns null while another element covers it or the page is still loading, because
// the style sheet moves elements.
const middleOf = `(e => {
	if (document.readyState !== "complete") return null;
	e.scrollIntoView({block: "center", behavior: "instant"});
	const r = e.getClientRects()[0], x = r.left + r.width / 2, y = r.top + r.height / 2;
	const hit = document.elementFromPoint(x, y);
	return hit && (e.contains(hit) || hit.contains(e)) ? [x, y] : null;
})`

// Press clicks the link or button with exactly this text, or with this
// accessible name.
func (p *Page) Press(text string) {
	p.t.Helper()
	p.clickAt(text, "(text => { const middle = "+middleOf+"; const found = "+byName+"(text); return found ? middle(found) : null })("+quote(text)+")")
}

// Click clicks the middle of the first visible element that matches.
func (p *Page) Click(css string) {
	p.t.Helper()
	p.clickAt(css, "(() => { const found = "+visible(css)+"; return found ? "+middleOf+"(found) : null })()")
}

// ClickTwice clicks the middle of the element twice without waiting.
func (p *Page) ClickTwice(css string) {
	p.t.Helper()
	at := p.pointOf(css, "(() => { const found = "+visible(css)+"; return found ? "+middleOf+"(found) : null })()")
	p.do("click "+css+" twice", chromedp.MouseClickXY(at[0], at[1]), chromedp.MouseClickXY(at[0], at[1]))
}

func (p *Page) clickAt(what, point string) {
	p.t.Helper()
	at := p.pointOf(what, point)
	p.do("click "+what, chromedp.MouseClickXY(at[0], at[1]))
}

// pointOf waits until a JavaScript expression returns a point to click.
func (p *Page) pointOf(what, point string) (at []float64) {
	p.t.Helper()
	p.until(what+" to be clickable", func() bool {
		var err error
		at, err = look[[]float64](p, point)
		return err == nil && len(at) == 2
	})
	return at
}

// Fill replaces the content of a text field by typing value.
func (p *Page) Fill(css, value string) {
	p.t.Helper()
	p.Wait(css)
	Eval[bool](p, "(e => { e.focus(); e.select?.(); return true })("+visible(css)+")")
	if value == "" {
		p.do("empty "+css, chromedp.KeyEvent(kb.Delete))
		return
	}
	p.do("type into "+css, chromedp.KeyEvent(value))
}

// Choose selects the option with this text in a select field.
func (p *Page) Choose(css, text string) {
	p.t.Helper()
	p.Wait(css)
	if !Eval[bool](p, "((e, text) => { const o = [...e.options].find(o => o.text.trim() === text); if (!o) return false;"+
		" o.selected = true; e.dispatchEvent(new Event('input', {bubbles: true})); e.dispatchEvent(new Event('change', {bubbles: true}));"+
		" return true })("+visible(css)+", "+quote(text)+")") {
		p.t.Fatalf("%s has no option %q", css, text)
	}
}

// Key presses keys, given as constants of chromedp/kb or plain text, on the focused
// element. If the page prevents a key press, the key types nothing.
func (p *Page) Key(keys string) {
	p.t.Helper()
	for _, r := range keys {
		events := kb.Encode(r)
		if down := *events[0]; len(events) == 3 {
			down.Text, down.UnmodifiedText = events[1].Text, events[1].UnmodifiedText
			events = []*input.DispatchKeyEventParams{&down, events[2]}
		}
		for _, event := range events {
			p.do("press a key", call(input.DispatchKeyEvent, *event))
		}
	}
}

// Size sets the size of the window in CSS pixels.
func (p *Page) Size(width, height int64) {
	p.t.Helper()
	p.do("resize", chromedp.EmulateViewport(width, height))
}

// Prefer sets the preferred colour scheme to "light" or "dark".
func (p *Page) Prefer(scheme string) {
	p.t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	p.do("prefer "+scheme, call(emulation.SetEmulatedMedia, media))
}

// TimeZone sets the time zone of the browser, such as "Asia/Tokyo", for pages that are loaded
// afterwards.
func (p *Page) TimeZone(name string) {
	p.t.Helper()
	p.do("time zone "+name, call(emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: name}))
}

// NoScript turns JavaScript off for pages that are loaded afterwards.
func (p *Page) NoScript() {
	p.t.Helper()
	p.do("turn scripts off", call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
}

// call returns an action for a protocol command without a result.
func call[P any](command cdp.Command[P, cdp.Empty], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, command, params)
		return err
	})
}
