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

// The elements that axe-core examines, as scripts.
const (
	wholePage = `document.documentElement`
	content   = `(document.querySelector("dialog:modal") ?? document.querySelector("main"))`
)

// frame is a script that returns the elements around the content, without their text.
const frame = `[...document.querySelectorAll("body *")].filter((e) => !e.closest("main, dialog, svg, #toasts"))
	.map((e) => e.tagName + "." + e.className + e.getAttributeNames().join(" ")).join("\n")`

// replacePage is a script that shows the page at an address in place of the current
// one, as if it were loaded. Unlike a load, it keeps what the tab has compiled, axe-core
// above all, which takes longer to start than to run. It returns false if the page must be
// loaded, because it has other style sheets or axe-core is missing.
const replacePage = `async (address) => {
	` + stopTimers + `;
	const styles = (page) => [...page.querySelectorAll("link[rel=stylesheet], style")].map((e) => e.outerHTML).join();
	const next = new DOMParser().parseFromString(await (await fetch(address)).text(), "text/html");
	if (!window.axe || styles(document) !== styles(next)) return false;
	const root = document.documentElement, program = document.querySelector("script[src*='/app']").src;
	for (const name of root.getAttributeNames()) root.removeAttribute(name);
	for (const { name, value } of next.documentElement.attributes) root.setAttribute(name, value);
	document.title = next.title;
	document.body.replaceWith(document.adoptNode(next.body));
	const script = document.createElement("script");
	script.src = program;
	await new Promise((resolve) => { script.onload = resolve; document.head.append(script); });
	script.remove();
	scrollTo(0, 0);
	return true;
}`

// show shows the page at an address, with axe-core, in p or in a new tab.
func show(t *testing.T, p *browsertest.Page, address, axe string) *browsertest.Page {
	t.Helper()
	if !browsertest.Eval[bool](p, fmt.Sprintf("(%s)(%q)", replacePage, address)) {
		p = browsertest.OpenUnpainted(t, address)
		browsertest.Eval[bool](p, axe+"; true")
	}
	return p
}

// requireNoViolations runs axe-core, which must be loaded, inside an element.
func requireNoViolations(t *testing.T, p *browsertest.Page, where, element, rules string) {
	t.Helper()
	script := finishAnimations + fmt.Sprintf(`; axe.run(%s, { runOnly: %s, resultTypes: ["violations"] }).then((r) =>
		r.violations.flatMap((v) => v.nodes.map((n) => v.id + " " + n.target.join(" ") + ": " + n.failureSummary)))`, element, rules)
	for _, found := range browsertest.Eval[[]string](p, script) {
		t.Errorf("%s: %s", where, found)
	}
}

// TestBrowserGallery_Entries_AreAccessible opens every entry in both languages: the
// outline is complete, and no window width needs horizontal scrolling or has targets
// that are too small. In English, axe-core finds no violation in either theme, and the
// theme moves no element. The languages share one markup, so axe-core would find the
// same in Japanese. What surrounds the content is examined once for each frame.
func TestBrowserGallery_Entries_AreAccessible(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile("testdata/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gallery.Handler())
	t.Cleanup(server.Close)
	// English has most of the work, so two tabs share its entries.
	for _, part := range []struct {
		name, language string
		first, step    int
		widths         []int64
	}{
		{"en", "en", 0, 2, widths}, {"en, other half", "en", 1, 2, widths}, {"ja", "ja", 0, 1, japaneseWidths},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			p := browsertest.OpenUnpainted(t, server.URL)
			frames := map[string]bool{}
			entries := gallery.Entries()
			for i := part.first; i < len(entries); i += part.step {
				where := entries[i].Name + " in " + part.language
				p.Prefer("light")
				p = show(t, p, server.URL+"/gallery/"+entries[i].Name+"?lang="+part.language, string(axe))
				p.Size(1280, 900)
				requireOutline(t, p, entries[i], where, part.language)
				if part.language == "en" {
					requireAccessible(t, p, entries[i], frames)
				}
				requireLayout(t, p, where, part.widths)
			}
		})
	}
}

// requireAccessible runs axe-core on the page of an entry in both themes, and checks
// that all elements have the same positions in both. It examines the whole page if
// the frame is not yet among those seen.
func requireAccessible(t *testing.T, p *browsertest.Page, entry gallery.Entry, seen map[string]bool) {
	t.Helper()
	element := wholePage
	if around := browsertest.Eval[string](p, frame); seen[around] {
		element = content
	} else {
		seen[around] = true
	}
	browsertest.Eval[bool](p, stopTimers)
	requireNoViolations(t, p, entry.Name+", light", element, allRules)
	light := browsertest.Eval[string](p, shape)
	p.Prefer("dark")
	p.WaitFor("dark colours", `matchMedia("(prefers-color-scheme: dark)").matches`)
	requireNoViolations(t, p, entry.Name+", dark", element, colourRules)
	if browsertest.Eval[string](p, shape) != light {
		t.Errorf("%s: elements have other positions in the dark theme", entry.Name)
	}
}
