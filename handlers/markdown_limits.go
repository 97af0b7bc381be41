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

// Limits of rendering Markdown. The parser has inputs whose cost grows with the
// square of their size, and small inputs whose HTML is huge.
const (
	// maxMarkdown is how much of a text is rendered, in bytes.
	maxMarkdown = 256 << 10
	// maxMarkdownHTML is how much HTML a text may become, in bytes. A reference
	// to a long link, or a row of a wide table, costs few bytes and makes many.
	maxMarkdownHTML = 2 << 20
	// maxMarkdownNesting is how many blocks may be open inside one another; a
	// list counts as two. Deeper markers are shown as text.
	maxMarkdownNesting = 24
	// maxMarkdownWork is how many bytes the inline parsers may look through, as
	// each of them may read its paragraph to the end. What follows is shown
	// without links and emphasis.
	maxMarkdownWork = 128 << 20
	// maxMarkdownTime is the deadline of the inline parsers.
	maxMarkdownTime = time.Second
	// maxParagraphLines is up to how many lines a paragraph is searched for link
	// definitions and tables, and maxTableCells how many cells such a table may
	// have: short rows are filled up.
	maxParagraphLines = 2000
	maxTableCells     = 20_000
	// maxRendering is how many texts are rendered at once.
	maxRendering = 2
)

// markdownWork counts what rendering one text costs.
type markdownWork struct {
	left     int
	deadline time.Time
	// exceeded says that a limit was reached, late that it was the deadline.
	exceeded, late bool
}

// markdownWorkKey is where the parser's context holds the text's markdownWork.
var markdownWorkKey = parser.NewContextKey()

func newMarkdownWork() *markdownWork {
	return &markdownWork{left: maxMarkdownWork, deadline: time.Now().Add(maxMarkdownTime)}
}

// spend takes n bytes of the work that is left and reports whether there were
// that many.
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

// limitedParser parses CommonMark with tables, strikethrough, tasks and bare
// links, within the limits.
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

// limitedInline charges every call for the rest of the paragraph, which the
// parser may read.
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

// limitedBlock opens quotes and lists only to a certain depth.
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

// limitedParagraph leaves a paragraph as it is when it has very many lines, or
// as a table would have very many cells.
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

// errTooMuchHTML stops rendering.
var errTooMuchHTML = errors.New("the text becomes too much HTML")

// limitedWriter fails once more than left bytes are written.
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
