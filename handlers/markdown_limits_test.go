package handlers

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// costlyMarkdown returns texts that make a Markdown parser without limits slow
// or its output huge.
func costlyMarkdown() map[string]string {
	r := strings.Repeat
	var references, backticks strings.Builder
	for i := range 12000 {
		fmt.Fprintf(&references, "[%d]: /x\n", i)
	}
	for i := 1; i < 700; i++ {
		backticks.WriteString("e" + r("`", i))
	}
	return map[string]string{
		"unclosed links":            r("[a](b", 43000),
		"unclosed link titles":      r("[a](b \"", 33000),
		"unclosed destinations":     r("[a](<b", 43000),
		"nested brackets":           r("[", 131000) + "a" + r("]", 131000),
		"brackets":                  r("[", 262144),
		"links over lines":          r("a](b\n[", 37000),
		"nested quotes":             r("> ", 131000) + "a",
		"deep quotes in many lines": r(r(">", 500)+"a\n\n", 500),
		"nested lists":              r("- ", 131000) + "a",
		"nested numbered lists":     r("1. ", 87000) + "a",
		"deep lists in many lines":  r(r("- ", 50)+"a\n", 2500),
		"emphasis":                  r("_a __a ", 37000) + r("*_", 20),
		"nested emphasis":           r("*_", 60000) + "a" + r("_*", 60000),
		"strikethrough":             r("~~a ~b ", 37000),
		"backticks":                 backticks.String(),
		"references":                references.String() + r("[1]", 30000),
		"unclosed definitions":      r("[a]:\n", 52000),
		"unclosed reference titles": r("[a]: b '\n", 29000),
		"long link referenced":      "[a]: /" + r("x", 100000) + "\n\n" + r("[a]", 50000),
		"short rows of wide table":  r("|a", 5000) + "\n" + r("|-", 5000) + "\n" + r("|x\n", 70000),
		"wide table":                r("|a", 60000) + "\n" + r("|-", 60000) + "\n",
		"tags":                      r("<b>", 87000),
		"unclosed tags":             r("<a ", 87000),
		"unclosed attributes":       "a" + r("<a b=\"", 40000),
		"comments":                  "a" + r("<!--", 65000),
		"bare links":                "http://a.b/" + r("(", 250000),
		"entities":                  r("&", 262144),
		"many megabytes":            r("a [b](c) *d*\n\n", 1<<19),
	}
}

// renderCost returns the lowest time and memory of up to three tries, as other
// processes may slow down some of them. It stops after a try that takes at most
// enough.
func renderCost(t *testing.T, source string, enough time.Duration) (least time.Duration, memory uint64) {
	t.Helper()
	var before, after runtime.MemStats
	for try := range 3 {
		m := newMarkdownRenderer()
		runtime.ReadMemStats(&before)
		start := time.Now()
		if _, err := m.render(t.Context(), source); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if try == 0 || took < least {
			least, memory = took, after.TotalAlloc-before.TotalAlloc
		}
		if least <= enough {
			break
		}
	}
	return least, memory
}

// TestExhaustiveMarkdownRender_CostlyText_StaysCheap compares with an ordinary text of the
// largest size, because machines differ in speed.
func TestExhaustiveMarkdownRender_CostlyText_StaysCheap(t *testing.T) {
	ordinary := strings.Repeat("Some *text* with `code`, a [link](https://a.example/) and **more**.\n\n> quoted\n\n- item\n\n", maxMarkdown/90)
	baseline, _ := renderCost(t, ordinary, 0)
	limit := 8 * baseline
	for name, source := range costlyMarkdown() {
		took, memory := renderCost(t, source, limit)
		if took > limit {
			t.Errorf("%s takes %v, an ordinary text %v", name, took, baseline)
		}
		if memory > 256<<20 {
			t.Errorf("%s takes %d MB, want at most 256", name, memory>>20)
		}
	}
}

func TestExhaustiveMarkdownRender_OverLimit_IsMarkedAsCut(t *testing.T) {
	m, texts := newMarkdownRenderer(), costlyMarkdown()
	for _, name := range []string{
		"unclosed links", "nested quotes", "nested lists", "references", "long link referenced", "wide table", "many megabytes",
	} {
		prose, err := m.render(t.Context(), texts[name])
		if err != nil || !prose.Cut || prose.HTML == "" || len(prose.HTML) > 2*maxMarkdownHTML {
			t.Errorf("%s: cut %v, %d bytes, error %v", name, prose.Cut, len(prose.HTML), err)
		}
	}
	for name, source := range map[string]string{
		"quotes":     strings.Repeat("> ", maxMarkdownNesting-1) + "a",
		"lists":      strings.Repeat("- ", maxMarkdownNesting/2) + "a",
		"long text":  strings.Repeat("A line of text.\n", maxParagraphLines+1),
		"references": "[a][b]\n\n" + strings.Repeat("[b]: /c\n", maxParagraphLines),
	} {
		if prose, err := m.render(t.Context(), source); err != nil || prose.Cut {
			t.Errorf("%s at the limit: cut %v, error %v", name, prose.Cut, err)
		}
	}
}

func TestMarkdownRender_SameText_IsCached(t *testing.T) {
	m := newMarkdownRenderer()
	first, err := m.render(t.Context(), "# a")
	if err != nil {
		t.Fatal(err)
	}
	m.markdown = nil // a second rendering would panic
	again, err := m.render(t.Context(), "# a")
	if err != nil || again != first {
		t.Errorf("second rendering %+v, want %+v (%v)", again, first, err)
	}
}

func TestMarkdownRender_NoFreeSlot_WaitsUntilContextEnds(t *testing.T) {
	m := newMarkdownRenderer()
	for range maxRendering {
		m.rendering <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.render(ctx, "a"); err != context.Canceled {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestMarkdownWork_DeadlinePassed_StopsFormatting(t *testing.T) {
	work := newMarkdownWork()
	work.deadline = time.Now().Add(-time.Second)
	if work.spend(1) || !work.exceeded || !work.late {
		t.Errorf("work went on after its deadline: %+v", work)
	}
}
