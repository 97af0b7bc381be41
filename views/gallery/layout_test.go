package gallery_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/views/gallery"
)

// widths are window widths in CSS pixels: the narrowest, a phone, and both sides of
// the layout's breakpoints.
var widths = []int64{320, 390, 640, 900, 1280}

// japaneseWidths are the widths for Japanese, whose texts are shorter and break
// anywhere. The layout at every breakpoint is checked in both languages elsewhere.
var japaneseWidths = []int64{320, 900}

// layoutFaults is a script that lists layout faults of the page: horizontal
// scrolling, elements that overflow their box, and targets smaller than 24 by 24
// pixels. As in WCAG 2.5.8, a link inside a sentence may be as high as its line,
// and another link may be smaller if a circle of 24 pixels around its centre
// touches no other target. A check box or radio button includes its label.
const layoutFaults = `(() => {
	const faults = [], root = document.documentElement;
	const name = (e) => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + " " + JSON.stringify((e.getAttribute("aria-label") || e.innerText || e.name || "").trim().slice(0, 40));
	if (root.scrollWidth > root.clientWidth) {
		const wide = [...document.body.querySelectorAll("*")].filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > root.clientWidth + 1);
		faults.push("scrolls sideways by " + (root.scrollWidth - root.clientWidth) + " px: " + wide.slice(0, 3).map(name).join(", "));
	}
	const inSentence = (e) => getComputedStyle(e).display === "inline" && [...e.parentElement.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
	const scope = document.querySelector("dialog:modal") ?? document;
	const targets = [];
	for (const e of scope.querySelectorAll("a[href], button, summary, select, textarea, input:not([type=hidden])")) {
		if (!e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) || e.closest(".sr-only, [inert], svg") || e.matches(".skip-link")) continue;
		const rects = [e, ...(e.matches("[type=checkbox], [type=radio]") ? e.labels : [])].map((x) => x.getBoundingClientRect()).filter((r) => r.width > 1 && r.height > 1);
		if (rects.length === 0 || inSentence(e)) continue;
		const left = Math.min(...rects.map((r) => r.left)), right = Math.max(...rects.map((r) => r.right));
		const top = Math.min(...rects.map((r) => r.top)), bottom = Math.max(...rects.map((r) => r.bottom));
		targets.push({ e, left, right, top, bottom, x: (left + right) / 2, y: (top + bottom) / 2, small: right - left < 23.5 || bottom - top < 23.5 });
	}
	for (const e of scope.querySelectorAll(".btn, .badge, .ref, a, p, h2, h3, dd, td, select, input")) {
		const frame = e.closest(".card, .merge-box, .alert");
		if (!frame || !e.checkVisibility() || e.closest(".sr-only, .table-wrap, .diff-wrap, .tabs, .code")) continue;
		const out = e.getBoundingClientRect().right - frame.getBoundingClientRect().right;
		if (out > 1 && e.offsetWidth > 1) faults.push("sticks out of its frame by " + Math.round(out) + " px: " + name(e));
	}
	for (const e of scope.querySelectorAll("tr, li")) {
		if (e.checkVisibility() && e.offsetHeight > 0 && e.offsetHeight < 16 && e.offsetWidth > 1) faults.push("row of " + e.offsetHeight + " px: " + name(e));
	}
	const near = (a, b) => b.small ? Math.hypot(a.x - b.x, a.y - b.y) < 24
		: Math.hypot(a.x - Math.max(b.left, Math.min(a.x, b.right)), a.y - Math.max(b.top, Math.min(a.y, b.bottom))) < 12;
	for (const a of targets) {
		if (!a.small || (a.e.matches("a[href]") && !targets.some((b) => b !== a && !a.e.contains(b.e) && !b.e.contains(a.e) && near(a, b)))) continue;
		faults.push("target of " + Math.round(a.right - a.left) + " by " + Math.round(a.bottom - a.top) + " px: " + name(a.e));
	}
	return faults;
})()`

// requireLayout looks for layout faults in windows of these widths. One theme is enough:
// requireAccessible checks that the other one moves no element.
func requireLayout(t *testing.T, p *browsertest.Page, where string, widths []int64) {
	t.Helper()
	for _, width := range widths {
		p.Size(width, 900)
		for _, fault := range browsertest.Eval[[]string](p, layoutFaults) {
			t.Errorf("%s at %d px: %s", where, width, fault)
		}
	}
}

// outline is the page's structure for assistive technology.
type outline struct {
	Lang     string
	H1       int
	Twice    []string
	Nowhere  []string
	Nameless []string
}

// readOutline is a script that returns the page's outline.
const readOutline = `(() => {
	const all = (css) => [...document.querySelectorAll(css)];
	const ids = all("[id]:not([hx-swap-oob])").map((e) => e.id);
	const nowhere = [];
	for (const attribute of ["aria-labelledby", "aria-describedby", "aria-controls", "for"]) {
		for (const e of all("[" + attribute + "]")) for (const id of e.getAttribute(attribute).split(/\s+/)) if (!document.getElementById(id)) nowhere.push(attribute + "=" + id);
	}
	return {
		Lang: document.documentElement.lang,
		H1: all("h1").filter((e) => !e.closest(".prose")).length,
		Twice: ids.filter((id, i) => ids.indexOf(id) !== i),
		Nowhere: nowhere,
		Nameless: all("input:not([type=hidden]), select, textarea").filter((e) => e.labels.length === 0 && !e.ariaLabel && !e.getAttribute("aria-labelledby")).map((e) => e.outerHTML.slice(0, 120)),
	};
})()`

// requireOutline checks the page's language, that it has one h1, and that ids are
// unique and references resolve. A fragment may refer to ids outside it, and its
// out-of-band elements replace elements of the page with the same id.
func requireOutline(t *testing.T, p *browsertest.Page, entry gallery.Entry, where, language string) {
	t.Helper()
	got := browsertest.Eval[outline](p, readOutline)
	if entry.Section != "" {
		got.Nowhere = nil
	}
	want := outline{Lang: language, H1: 1}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		text, err := json.Marshal(got)
		t.Errorf("%s: %s (%v)", where, text, err)
	}
}

// shape is a script that returns the positions of all elements except toasts.
const shape = `(() => JSON.stringify([...document.body.querySelectorAll("*")].filter((e) => !e.closest("svg, .spinner, #toasts")).map((e) => {
	const r = e.getBoundingClientRect();
	return [e.tagName, r.x, r.y, r.width, r.height].map((v) => typeof v === "number" ? Math.round(v) : v).join(" ");
})))()`
