package handlers

import (
	"strings"
	"testing"
)

func TestMarkdownRender_HTML_IsSanitized(t *testing.T) {
	m := newMarkdownRenderer()
	for source, want := range map[string]string{
		"# Title":                       "<h2>Title</h2>",
		"###### Small":                  "<h6>Small</h6>",
		"a ~~b~~ https://example.com":   `<p>a <del>b</del> <a href="https://example.com" rel="nofollow noreferrer">https://example.com</a></p>`,
		"![alt](https://x.example/y)":   `<p><a href="https://x.example/y" rel="nofollow noreferrer">alt</a></p>`,
		"[x](javascript:alert(1))":      "<p>x</p>",
		"<b onclick=x>bold</b>":         "<p>bold</p>",
		"<img src=x onerror=alert(1)>":  "",
		"- [x] done":                    "<ul>\n<li>☑ done</li>\n</ul>",
		"- [ ] open":                    "<ul>\n<li>☐ open</li>\n</ul>",
		"<input type=text>":             "",
		"# Fake {#modal-root .alert}":   "<h2>Fake {#modal-root .alert}</h2>",
		"a < b & c":                     "<p>a &lt; b &amp; c</p>",
		"|a|\n|:-:|\n|1|":               "<table>\n<thead>\n<tr>\n<th align=\"center\">a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td align=\"center\">1</td>\n</tr>\n</tbody>\n</table>",
		"<https://x.example/\"onclick>": `<p><a href="https://x.example/%22onclick" rel="nofollow noreferrer">https://x.example/&#34;onclick</a></p>`,
	} {
		prose, err := m.render(t.Context(), source)
		if got := strings.TrimSpace(prose.HTML); err != nil || prose.Cut || got != want {
			t.Errorf("%s (cut %v, error %v)\n got %s\nwant %s", source, prose.Cut, err, got, want)
		}
	}
}

func TestMarkdownRender_LongText_IsCut(t *testing.T) {
	prose, err := newMarkdownRenderer().render(t.Context(), "a"+strings.Repeat("é", maxMarkdown))
	if err != nil || !prose.Cut || len(prose.HTML) > maxMarkdown+100 || strings.Contains(prose.HTML, "\uFFFD") {
		t.Errorf("%d bytes; cut %v; broken letters: %v; error %v", len(prose.HTML), prose.Cut, strings.Contains(prose.HTML, "\uFFFD"), err)
	}
}
