package gallery_test

import (
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/views/gallery"
)

// threshold is a breakpoint of style.css. Width is the greatest width of the narrow
// layout, in CSS pixels. It applies to the containers named Container, or to the
// window if that is empty.
type threshold struct {
	Container string
	Width     int64
}

// thresholdRule matches a width query of style.css.
var thresholdRule = regexp.MustCompile(`@(?:container (\w+)|media) \((max|min)-width: (\d+)px\)`)

// anyWidthQuery matches every width query, also those thresholdRule cannot read.
var anyWidthQuery = regexp.MustCompile(`@(container|media)[^{]*width`)

// thresholds returns the breakpoints of style.css.
func thresholds(t *testing.T) []threshold {
	t.Helper()
	css, err := os.ReadFile("../../static/style.css")
	if err != nil {
		t.Fatal(err)
	}
	found := thresholdRule.FindAllSubmatch(css, -1)
	if n := len(anyWidthQuery.FindAll(css, -1)); n == 0 || n != len(found) {
		t.Fatalf("style.css has %d width queries, and the test can read %d of them", n, len(found))
	}
	var all []threshold
	for _, m := range found {
		width, err := strconv.ParseInt(string(m[3]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if string(m[2]) == "min" {
			width--
		}
		if next := (threshold{Container: string(m[1]), Width: width}); !slices.Contains(all, next) {
			all = append(all, next)
		}
	}
	return all
}

// containerWidths is a script that lists name and width of every visible container.
const containerWidths = `[...document.querySelectorAll("body *")].filter((e) => e.offsetWidth && getComputedStyle(e).containerType !== "normal")
	.map((e) => ({ Container: getComputedStyle(e).containerName, Width: Math.floor(e.getBoundingClientRect().width - 2 * parseFloat(getComputedStyle(e).borderLeftWidth) - parseFloat(getComputedStyle(e).paddingLeft) - parseFloat(getComputedStyle(e).paddingRight)) }))`

// brokenWords is a script that lists words of ordinary length that are broken over
// two lines. Ids, branch names and URLs may be broken anywhere.
const brokenWords = `(() => {
	const broken = [], texts = document.createTreeWalker(document.querySelector("dialog[open]") ?? document.body, NodeFilter.SHOW_TEXT);
	const range = document.createRange();
	for (let node = texts.nextNode(); node; node = texts.nextNode()) {
		if (!node.parentElement.checkVisibility() || node.parentElement.closest("code, pre, .ref, .mono, .sr-only, .diff, svg, script, style, noscript, option")) continue;
		for (const word of node.data.matchAll(/(?<![\p{L}\p{N}\/._-])\p{Script=Latin}{2,16}(?![\p{L}\p{N}\/._-])/gu)) {
			range.setStart(node, word.index);
			range.setEnd(node, word.index + word[0].length);
			if (new Set([...range.getClientRects()].map((r) => Math.round(r.top))).size > 1) broken.push(word[0]);
		}
	}
	return broken.map((word) => "breaks inside the word " + word);
})()`

// atThresholds are entries with every kind of table, list, form and box. The other
// entries show the same in other states.
var atThresholds = []string{
	"settings_merge_requests", "settings_merge_requests_long", "branch_rules", "service_page", "delivery_page", "audit_events", "members",
	"access_tokens", "user_settings", "settings_general", "projects", "project", "branches", "merge_requests", "merge_request",
	"merge_request_changes", "merge_request_form", "widget_mixed",
}

// TestBrowserGallery_LayoutThresholds_NothingBreaks checks the layout on both sides
// of every breakpoint of style.css.
func TestBrowserGallery_LayoutThresholds_NothingBreaks(t *testing.T) {
	t.Parallel()
	rules := thresholds(t)
	server := httptest.NewServer(gallery.Handler())
	t.Cleanup(server.Close)
	entries := map[string]bool{}
	for _, entry := range gallery.Entries() {
		entries[entry.Name] = true
	}
	seen := map[threshold]bool{}
	for _, name := range atThresholds {
		if !entries[name] {
			t.Errorf("there is no entry %s", name)
			continue
		}
		for _, language := range []string{"en", "ja"} {
			t.Run(name+" in "+language, func(t *testing.T) {
				p := browsertest.OpenUnpainted(t, server.URL+"/gallery/"+name+"?lang="+language)
				browsertest.Eval[bool](p, stopTimers)
				for _, width := range windowsAt(p, rules, seen) {
					p.Size(width, 900)
					for _, fault := range browsertest.Eval[[]string](p, layoutFaults+".concat("+brokenWords+")") {
						t.Errorf("at %d px: %s", width, fault)
					}
				}
			})
		}
	}
	for _, rule := range rules {
		if !seen[rule] {
			t.Errorf("no entry has a container at the threshold %+v", rule)
		}
	}
}

// windowsAt returns the window widths at which a container of the page is as wide as
// a threshold, and one pixel wider. It adds the thresholds to seen.
func windowsAt(p *browsertest.Page, rules []threshold, seen map[threshold]bool) []int64 {
	const narrowest, widest = 320, 1440
	windows := map[int64]bool{}
	add := func(rule threshold, width int64) {
		if width >= narrowest && width < widest {
			windows[width], windows[width+1], seen[rule] = true, true, true
		}
	}
	for _, rule := range rules {
		if rule.Container == "" {
			add(rule, rule.Width)
		}
	}
	// The difference between the widths of window and container is constant only
	// between breakpoints, so each container is measured several times.
	for _, window := range []int64{400, 760, 940, 1180} {
		p.Size(window, 900)
		for _, c := range browsertest.Eval[[]threshold](p, containerWidths) {
			for _, rule := range rules {
				if rule.Container == c.Container {
					add(rule, rule.Width+window-c.Width)
				}
			}
		}
	}
	var sorted []int64
	for width := range windows {
		sorted = append(sorted, width)
	}
	slices.Sort(sorted)
	return sorted
}
