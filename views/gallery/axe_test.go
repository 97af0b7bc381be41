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

// The rules of axe: all, and those that colours alone can break. The other
// theme is other colours, so that only these have to look again.
const (
	allRules    = `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`
	colourRules = `["color-contrast", "link-in-text-block"]`
)

// TestAxe lets axe-core look at every entry in both languages and both themes.
// A page is loaded once per language; its theme follows the system's.
func TestAxe(t *testing.T) {
	axe, err := os.ReadFile("testdata/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gallery.Handler())
	t.Cleanup(server.Close)
	p := browsertest.New(t)
	for _, entry := range gallery.Entries() {
		for _, language := range []string{"en", "ja"} {
			p.Go(server.URL + "/gallery/" + entry.Name + "?lang=" + language)
			browsertest.Eval[bool](p, string(axe)+"; true")
			for scheme, rules := range map[string]string{"light": allRules, "dark": colourRules} {
				p.Prefer(scheme)
				p.WaitFor(scheme+" colours", `matchMedia("(prefers-color-scheme: `+scheme+`)").matches`)
				browsertest.Eval[bool](p, settle+"; "+runAxe(rules))
				p.WaitFor("axe to have looked", "!!window.found")
				for _, found := range browsertest.Eval[[]string](p, "window.found") {
					t.Errorf("%s in %s, %s: %s", entry.Name, language, scheme, found)
				}
			}
		}
	}
}
