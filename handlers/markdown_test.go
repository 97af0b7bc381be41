package handlers

import (
	"strings"
	"testing"
)

func TestMarkdownIsSafe(t *testing.T) {
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
		if got := strings.TrimSpace(string(m.render(source))); got != want {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}

func TestMarkdownIsCut(t *testing.T) {
	out := string(newMarkdownRenderer().render("a" + strings.Repeat("é", maxMarkdown)))
	if len(out) > maxMarkdown+100 || strings.Contains(out, "\uFFFD") {
		t.Errorf("%d bytes; broken letters: %v", len(out), strings.Contains(out, "\uFFFD"))
	}
}
