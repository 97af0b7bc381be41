package handlers

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	markdowntext "github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// Limits of rendering Markdown. The parser takes quadratic time for some inputs, and some
// small inputs produce very large HTML.
const (
	// maxMarkdown is the size in bytes up to which a text is rendered.
	maxMarkdown = 256 << 10
	// maxMarkdownHTML is the maximum size of the HTML in bytes. References to a long link and
	// rows of a wide table produce much HTML from few bytes.
	maxMarkdownHTML = 2 << 20
	// maxMarkdownNesting is the maximum number of nested blocks; a list counts as two. Deeper
	// markers are shown as text.
	maxMarkdownNesting = 24
	// maxMarkdownWork is the number of bytes that the inline parsers may read. Each of them
	// may read its paragraph to the end. The rest of the text is shown without links and
	// emphasis.
	maxMarkdownWork = 128 << 20
	// maxMarkdownTime is the deadline of the inline parsers.
	maxMarkdownTime = time.Second
	// maxParagraphLines is the number of lines up to which a paragraph is searched for link
	// definitions and tables. maxTableCells limits the cells of such a table, because short
	// rows are filled up.
	maxParagraphLines = 2000
	maxTableCells     = 20_000
	// maxRendering is the number of texts that are rendered concurrently.
	maxRendering = 2
)

// markdownWork counts the cost of rendering one text.
type markdownWork struct {
	left     int
	deadline time.Time
	// exceeded means that a limit was reached, late that it was the deadline.
	exceeded, late bool
}

// markdownWorkKey is the key of the markdownWork in the parser's context.
var markdownWorkKey = parser.NewContextKey()

func newMarkdownWork() *markdownWork {
	return &markdownWork{left: maxMarkdownWork, deadline: time.Now().Add(maxMarkdownTime)}
}

// spend subtracts n bytes and reports whether that many were left.
func (w *markdownWork) spend(n int) bool {
	if w.left <= 0 || w.late {
		return false
	}
	w.left -= n
	w.late = time.Now().After(w.deadline)
	w.exceeded = w.exceeded || w.left <= 0 || w.late
	return w.left > 0 && !w.late
}

func workOf(pc parser.Context) *markdownWork { return pc.Get(markdownWorkKey).(*markdownWork) }

// limitedParser returns a parser for CommonMark with tables, strikethrough, task lists and
// autolinks that respects the limits.
func limitedParser() parser.Parser {
	inline := append(parser.DefaultInlineParsers(), util.Prioritized(extension.NewLinkifyParser(), 999),
		util.Prioritized(extension.NewStrikethroughParser(), 500), util.Prioritized(extension.NewTaskCheckBoxParser(), 0))
	for i, p := range inline {
		inline[i].Value = limitedInline{p.Value.(parser.InlineParser)}
	}
	blocks := parser.DefaultBlockParsers()
	for i, p := range blocks {
		if p.Value == parser.NewBlockquoteParser() || p.Value == parser.NewListParser() {
			blocks[i].Value = limitedBlock{p.Value.(parser.BlockParser)}
		}
	}
	return parser.NewParser(
		parser.WithBlockParsers(blocks...),
		parser.WithInlineParsers(inline...),
		parser.WithParagraphTransformers(
			util.Prioritized(limitedParagraph{parser.LinkReferenceParagraphTransformer}, 100),
			util.Prioritized(limitedParagraph{extension.NewTableParagraphTransformer()}, 200)),
		parser.WithASTTransformers(util.Prioritized(extension.NewTableASTTransformer(), 0)),
	)
}

// limitedInline counts each call of a parser as the rest of its paragraph, which the parser
// may read.
type limitedInline struct{ parser.InlineParser }

// Parse implements parser.InlineParser.
func (l limitedInline) Parse(parent ast.Node, block markdowntext.Reader, pc parser.Context) ast.Node {
	_, segment := block.PeekLine()
	rest := segment.Len()
	if lines := parent.Lines(); lines.Len() > 0 {
		rest = max(rest, lines.At(lines.Len()-1).Stop-segment.Start)
	}
	if !workOf(pc).spend(rest) {
		return nil
	}
	return l.InlineParser.Parse(parent, block, pc)
}

// CloseBlock implements parser.CloseBlocker for those parsers that have it.
func (l limitedInline) CloseBlock(parent ast.Node, block markdowntext.Reader, pc parser.Context) {
	if closer, ok := l.InlineParser.(parser.CloseBlocker); ok {
		closer.CloseBlock(parent, block, pc)
	}
}

// limitedBlock limits the nesting of quotes and lists.
type limitedBlock struct{ parser.BlockParser }

// Open implements parser.BlockParser.
func (l limitedBlock) Open(parent ast.Node, reader markdowntext.Reader, pc parser.Context) (ast.Node, parser.State) {
	line, position := reader.Position()
	node, state := l.BlockParser.Open(parent, reader, pc)
	if node != nil && len(pc.OpenedBlocks()) >= maxMarkdownNesting {
		workOf(pc).exceeded = true
		reader.SetPosition(line, position)
		return nil, parser.NoChildren
	}
	return node, state
}

// limitedParagraph skips paragraphs with too many lines, or with too many cells as a table.
type limitedParagraph struct{ parser.ParagraphTransformer }

// Transform implements parser.ParagraphTransformer.
func (l limitedParagraph) Transform(node *ast.Paragraph, reader markdowntext.Reader, pc parser.Context) {
	columns, lines := 1, node.Lines()
	for i := range lines.Len() {
		segment := lines.At(i)
		columns = max(columns, 1+bytes.Count(segment.Value(reader.Source()), []byte("|")))
	}
	if lines.Len() <= maxParagraphLines && columns*lines.Len() <= maxTableCells {
		l.ParagraphTransformer.Transform(node, reader, pc)
		return
	}
	first := lines.At(0)
	definesLinks := bytes.HasPrefix(first.Value(reader.Source()), []byte("["))
	if columns > 1 || definesLinks {
		workOf(pc).exceeded = true
	}
}

// errTooMuchHTML ends rendering at maxMarkdownHTML.
var errTooMuchHTML = errors.New("the text becomes too much HTML")

// limitedWriter fails with errTooMuchHTML after left bytes.
type limitedWriter struct {
	to   io.Writer
	left int
}

// Write implements io.Writer.
func (w *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return 0, errTooMuchHTML
	}
	w.left -= len(p)
	return w.to.Write(p)
}
