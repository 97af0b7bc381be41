package gallery_test

import (
	"net/http/httptest"
	"os"
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/views/gallery"
)

// settle ends what is still sliding or fading in.
const settle = `for (const a of document.getAnimations()) if (a.effect.getTiming().iterations !== Infinity) a.finish()`

// runAxe leaves in the page what axe finds with some rules: rule, element,
// reason.
func runAxe(rules string) string {
	return `window.found = null; axe.run(document, { runOnly: ` + rules + `, resultTypes: ["violations"] })
		.then((r) => { window.found = r.violations.flatMap((v) => v.nodes.map((n) => v.id + " " + n.target.join(" ") + ": " + n.failureSummary)); }); true`
}

// rules are those of axe by theme: all, and those that colours alone can break.
// The other theme is other colours, so that only these have to look again.
var rules = map[string]string{"light": allRules, "dark": colourRules}

const (
	allRules    = `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`
	colourRules = `["color-contrast", "link-in-text-block"]`
)

// standStill ends what a page does by itself, such as counting down and taking
// toasts away, so that the themes can be compared. Timers are numbered in turn.
const standStill = `for (let id = setTimeout(() => {}); id > 0; id--) clearTimeout(id); true`

// TestBrowserGallery_Entries_AreAccessible looks at every entry in both languages and both
// themes: axe-core finds nothing, the outline is whole, windows of all widths
// show it without scrolling sideways, with targets large enough, and the theme
// moves nothing. The console and the policy are held by browsertest. A page is
// loaded once per language; its theme follows the system's.
func TestBrowserGallery_Entries_AreAccessible(t *testing.T) {
	axe, err := os.ReadFile("testdata/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gallery.Handler())
	t.Cleanup(server.Close)
	p := browsertest.New(t)
	for _, entry := range gallery.Entries() {
		for _, language := range []string{"en", "ja"} {
			where := entry.Name + " in " + language
			p.Size(1280, 900)
			p.Prefer("light")
			p.Go(server.URL + "/gallery/" + entry.Name + "?lang=" + language)
			requireOutline(t, p, entry, where, language)
			browsertest.Eval[bool](p, standStill)
			browsertest.Eval[bool](p, string(axe)+"; true")
			shapes := map[string]bool{}
			for _, scheme := range []string{"light", "dark"} {
				p.Prefer(scheme)
				p.WaitFor(scheme+" colours", `matchMedia("(prefers-color-scheme: `+scheme+`)").matches`)
				browsertest.Eval[bool](p, settle+"; "+runAxe(rules[scheme]))
				p.WaitFor("axe to have looked", "!!window.found")
				for _, found := range browsertest.Eval[[]string](p, "window.found") {
					t.Errorf("%s, %s: %s", where, scheme, found)
				}
				shapes[browsertest.Eval[string](p, shape)] = true
			}
			if len(shapes) != 1 {
				t.Errorf("%s: things are elsewhere in the dark", where)
			}
			requireLayout(t, p, where)
		}
	}
}
