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

// runAxe is a promise of what axe finds on the page: rule, element, reason.
const runAxe = `axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"] })
	.then((r) => { window.found = r.violations.flatMap((v) => v.nodes.map((n) => v.id + " " + n.target.join(" ") + ": " + n.failureSummary)); })`

// TestAxe lets axe-core look at every entry, in English and light colours and
// in Japanese and dark ones.
func TestAxe(t *testing.T) {
	axe, err := os.ReadFile("testdata/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gallery.Handler())
	t.Cleanup(server.Close)
	p := browsertest.New(t)
	for _, entry := range gallery.Entries() {
		for _, how := range []string{"?theme=light&lang=en", "?theme=dark&lang=ja"} {
			p.Go(server.URL + "/gallery/" + entry.Name + how)
			browsertest.Eval[bool](p, string(axe)+"; "+settle+"; "+runAxe+"; true")
			p.WaitFor("axe to have looked", "!!window.found")
			for _, found := range browsertest.Eval[[]string](p, "window.found") {
				t.Errorf("%s%s: %s", entry.Name, how, found)
			}
		}
	}
}
