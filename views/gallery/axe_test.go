package gallery_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/views/gallery"
)

// finishAnimations is a script that puts all finite animations at their end.
const finishAnimations = `for (const a of document.getAnimations()) if (a.effect.getTiming().iterations !== Infinity) a.finish()`

// stopTimers is a script that cancels the page's timers (countdowns, toasts that
// disappear), so that the positions in both themes can be compared. Timer ids are
// consecutive numbers.
const stopTimers = `for (let id = setTimeout(() => {}); id > 0; id--) clearTimeout(id); true`

// The axe rules for a page, and those that depend on colours. Only colours differ
// between the themes, so the second theme needs only these.
const (
	allRules    = `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`
	colourRules = `["color-contrast", "link-in-text-block"]`
)

// requireNoViolations runs axe-core, which must be loaded, inside the first element
// that matches css.
func requireNoViolations(t *testing.T, p *browsertest.Page, where, css, rules string) {
	t.Helper()
	browsertest.Eval[bool](p, finishAnimations+fmt.Sprintf(`; window.found = null;
		axe.run(document.querySelector(%q), { runOnly: %s, resultTypes: ["violations"] }).then((r) => {
			window.found = r.violations.flatMap((v) => v.nodes.map((n) => v.id + " " + n.target.join(" ") + ": " + n.failureSummary));
		}); true`, css, rules))
	p.WaitFor("the result of axe", "!!window.found")
	for _, found := range browsertest.Eval[[]string](p, "window.found") {
		t.Errorf("%s: %s", where, found)
	}
}

// TestBrowserGallery_Entries_AreAccessible opens every entry in both languages: the
// outline is complete, and no window width needs horizontal scrolling or has targets
// that are too small. In English, axe-core finds no violation in either theme, and the
// theme moves no element. The languages share one markup, so axe-core would find the
// same in Japanese. Fragments share one page around them, which other entries check.
func TestBrowserGallery_Entries_AreAccessible(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile("testdata/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gallery.Handler())
	t.Cleanup(server.Close)
	for _, language := range []string{"en", "ja"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			p := browsertest.New(t)
			for _, entry := range gallery.Entries() {
				where := entry.Name + " in " + language
				p.Size(1280, 900)
				p.Prefer("light")
				p.Go(server.URL + "/gallery/" + entry.Name + "?lang=" + language)
				requireOutline(t, p, entry, where, language)
				if language == "en" {
					requireAccessible(t, p, entry, string(axe))
				}
				requireLayout(t, p, where)
			}
		})
	}
}

// requireAccessible runs axe-core on the page of an entry in both themes, and checks
// that all elements have the same positions in both.
func requireAccessible(t *testing.T, p *browsertest.Page, entry gallery.Entry, axe string) {
	t.Helper()
	css := "html"
	if entry.Section != "" {
		css = "main"
	}
	browsertest.Eval[bool](p, stopTimers)
	browsertest.Eval[bool](p, axe+"; true")
	requireNoViolations(t, p, entry.Name+", light", css, allRules)
	light := browsertest.Eval[string](p, shape)
	p.Prefer("dark")
	p.WaitFor("dark colours", `matchMedia("(prefers-color-scheme: dark)").matches`)
	requireNoViolations(t, p, entry.Name+", dark", css, colourRules)
	if browsertest.Eval[string](p, shape) != light {
		t.Errorf("%s: elements have other positions in the dark theme", entry.Name)
	}
}
