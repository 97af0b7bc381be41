package handlers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"html/template"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extensionast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/util"

	"github.com/mergegate/mergegate/views"
)

// markdownRenderer renders Markdown as safe HTML. markdown_limits.go limits the cost of a
// text.
type markdownRenderer struct {
	markdown goldmark.Markdown
	policy   *bluemonday.Policy
	cache    *markdownCache
	// rendering is a semaphore of maxRendering.
	rendering chan struct{}
}

func newMarkdownRenderer() *markdownRenderer {
	policy := bluemonday.UGCPolicy()
	policy.AllowElements("del")
	policy.AllowAttrs("align").OnElements("th", "td")
	policy.RequireNoFollowOnLinks(true)
	policy.RequireNoReferrerOnLinks(true)
	return &markdownRenderer{
		markdown: goldmark.New(
			goldmark.WithParser(limitedParser()),
			goldmark.WithRenderer(renderer.NewRenderer(renderer.WithNodeRenderers(
				util.Prioritized(html.NewRenderer(), 1000),
				util.Prioritized(extension.NewStrikethroughHTMLRenderer(), 500),
				util.Prioritized(extension.NewTableHTMLRenderer(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)), 500),
				util.Prioritized(picturesAsLinks{}, 100), util.Prioritized(tasksAsText{}, 100), util.Prioritized(lowerHeadings{}, 100),
			))),
		),
		policy:    policy,
		cache:     newMarkdownCache(maxKeptMarkdown),
		rendering: make(chan struct{}, maxRendering),
	}
}

// picturesAsLinks renders an image as a link to it. Images of other servers would reveal who
// reads the page, and the Content-Security-Policy blocks them.
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

// lowerHeadings renders headings one level lower, because the page has its own first level.
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

// tasksAsText renders the check box of a task as a character. A disabled input would need a
// label.
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

// render returns sanitised HTML for a Markdown text. A text beyond the limits is cut or shown
// without formatting, and Prose.Cut is set. The only error is that of ctx.
func (m *markdownRenderer) render(ctx context.Context, source string) (views.Prose, error) {
	if source == "" {
		return views.Prose{}, nil
	}
	short := source
	if len(source) > maxMarkdown {
		short = strings.ToValidUTF8(source[:maxMarkdown], "")
	}
	key := markdownKey(sha256.Sum256([]byte(source)))
	if prose, ok := m.cache.get(key); ok {
		return prose, nil
	}
	select {
	case m.rendering <- struct{}{}:
		defer func() { <-m.rendering }()
	case <-ctx.Done():
		return views.Prose{}, ctx.Err()
	}
	work := newMarkdownWork()
	pc := parser.NewContext()
	pc.Set(markdownWorkKey, work)
	var out bytes.Buffer
	prose := views.Prose{Cut: len(short) < len(source)}
	if err := m.markdown.Convert([]byte(short), &limitedWriter{to: &out, left: maxMarkdownHTML}, parser.WithContext(pc)); err != nil {
		// The text is shown without formatting.
		prose.HTML, prose.Cut = "<p>"+template.HTMLEscapeString(short)+"</p>", true
	} else {
		prose.HTML = string(m.policy.SanitizeBytes(out.Bytes()))
		prose.Cut = prose.Cut || work.exceeded
	}
	// Results after the deadline depend on the load of the machine and are not cached.
	if !work.late {
		m.cache.add(key, prose)
	}
	return prose, nil
}
