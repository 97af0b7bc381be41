package handlers

import (
	"bytes"
	"fmt"
	"html/template"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extensionast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"
)

// maxMarkdown is how much of a text is rendered, in bytes: rendering costs time,
// and nobody reads more.
const maxMarkdown = 256 << 10

// markdownRenderer turns what people write into HTML that is safe to show.
type markdownRenderer struct {
	markdown goldmark.Markdown
	policy   *bluemonday.Policy
}

func newMarkdownRenderer() *markdownRenderer {
	policy := bluemonday.UGCPolicy()
	policy.AllowElements("del")
	policy.AllowAttrs("align").OnElements("th", "td")
	policy.RequireNoFollowOnLinks(true)
	policy.RequireNoReferrerOnLinks(true)
	return &markdownRenderer{
		markdown: goldmark.New(
			goldmark.WithExtensions(
				extension.Linkify, extension.Strikethrough, extension.TaskList,
				extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)),
			),
			goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(picturesAsLinks{}, 100), util.Prioritized(tasksAsText{}, 100),
				util.Prioritized(lowerHeadings{}, 100))),
		),
		policy: policy,
	}
}

// picturesAsLinks draws a picture as a link to it: one from elsewhere would
// tell others who reads here, and the security policy refuses it.
type picturesAsLinks struct{}

// RegisterFuncs implements renderer.NodeRenderer.
func (picturesAsLinks) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindImage, func(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
		image := node.(*ast.Image)
		if !entering {
			_, err := w.WriteString("</a>")
			return ast.WalkContinue, err
		}
		_, err := fmt.Fprintf(w, `<a href="%s">`, util.EscapeHTML(util.URLEscape(image.Destination, true)))
		return ast.WalkContinue, err
	})
}

// lowerHeadings draws headings a level lower than they are written: the page
// has its own first one.
type lowerHeadings struct{}

// RegisterFuncs implements renderer.NodeRenderer.
func (lowerHeadings) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindHeading, func(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
		level := min(node.(*ast.Heading).Level+1, 6)
		format := "</h%d>\n"
		if entering {
			format = "<h%d>"
		}
		_, err := fmt.Fprintf(w, format, level)
		return ast.WalkContinue, err
	})
}

// tasksAsText draws the box of a task as a character: nobody can tick it, and a
// check box would need a name to be told by.
type tasksAsText struct{}

// RegisterFuncs implements renderer.NodeRenderer.
func (tasksAsText) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(extensionast.KindTaskCheckBox, func(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
		box := ""
		switch {
		case entering && node.(*extensionast.TaskCheckBox).IsChecked:
			box = "☑ "
		case entering:
			box = "☐ "
		}
		_, err := w.WriteString(box)
		return ast.WalkContinue, err
	})
}

// render is the HTML for a Markdown text: sanitised, with nothing that runs,
// styles the page, or pretends to be part of it.
func (m *markdownRenderer) render(source string) template.HTML {
	if len(source) > maxMarkdown {
		source = strings.ToValidUTF8(source[:maxMarkdown], "")
	}
	var out bytes.Buffer
	if err := m.markdown.Convert([]byte(source), &out); err != nil {
		return template.HTML("<p>" + template.HTMLEscapeString(source) + "</p>")
	}
	return template.HTML(m.policy.SanitizeBytes(out.Bytes()))
}
