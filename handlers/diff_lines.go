package handlers

import (
	"fmt"
	"strings"

	"github.com/mergegate/mergegate/views"
)

// diffLines returns at most limit numbered lines of a file's hunks.
func diffLines(patch string, limit int) []views.DiffLine {
	var lines []views.DiffLine
	oldNo, newNo := 0, 0
	with, without := false, false // changed lines with and without a carriage return
	for line := range strings.Lines(patch) {
		if len(lines) >= limit {
			break
		}
		line = strings.TrimSuffix(line, "\n")
		text, ends := strings.CutSuffix(line, "\r")
		if line == "" {
			continue
		}
		row := views.DiffLine{Text: showDirections(text[min(1, len(text)):]), Return: ends}
		switch line[0] {
		case '@':
			oldNo, newNo = hunkStart(line)
			row = views.DiffLine{Kind: views.LineHunk, Text: showDirections(text)}
		case '+':
			row.Kind, row.New = views.LineAdded, newNo
			newNo++
		case '-':
			row.Kind, row.Old = views.LineDeleted, oldNo
			oldNo++
		case ' ':
			row.Kind, row.Old, row.New = views.LineContext, oldNo, newNo
			oldNo++
			newNo++
		case '\\': // "No newline at end of file"
			row = views.DiffLine{Kind: views.LineNoNewline}
		default:
			continue
		}
		if row.Kind == views.LineAdded || row.Kind == views.LineDeleted {
			with, without = with || ends, without || !ends
		}
		lines = append(lines, row)
	}
	if !with || !without {
		// If all changed lines agree, line endings did not change and the carriage returns are
		// not shown.
		for i := range lines {
			lines[i].Return = false
		}
	}
	return lines
}

// directions replaces the characters that change the direction of text. In code they can make
// a line look different from what it does.
var directions = strings.NewReplacer(
	"\u202a", "⟦U+202A⟧", "\u202b", "⟦U+202B⟧", "\u202c", "⟦U+202C⟧", "\u202d", "⟦U+202D⟧", "\u202e", "⟦U+202E⟧",
	"\u2066", "⟦U+2066⟧", "\u2067", "⟦U+2067⟧", "\u2068", "⟦U+2068⟧", "\u2069", "⟦U+2069⟧",
)

// showDirections returns the line with its direction characters made visible.
func showDirections(line string) string { return directions.Replace(line) }

// hunkStart returns the first line numbers of a hunk's head, such as "@@ -12,7 +12,9 @@ func
// main()". They are 0 if the head has none.
func hunkStart(head string) (oldNo, newNo int) {
	fields := strings.Fields(head)
	if len(fields) < 3 {
		return 0, 0
	}
	// A missing number stays 0, which is not drawn.
	_, _ = fmt.Sscanf(fields[1], "-%d", &oldNo)
	_, _ = fmt.Sscanf(fields[2], "+%d", &newNo)
	return oldNo, newNo
}
