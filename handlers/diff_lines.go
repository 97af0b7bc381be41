package handlers

import (
	"fmt"
	"strings"

	"github.com/mergegate/mergegate/views"
)

// diffLines numbers the lines of a file's hunks, limit at most.
func diffLines(patch string, limit int) []views.DiffLine {
	var lines []views.DiffLine
	oldNo, newNo := 0, 0
	with, without := false, false // of a carriage return, among the changed lines
	for line := range strings.Lines(patch) {
		if len(lines) >= limit {
			break
		}
		line = strings.TrimSuffix(line, "\n")
		text, ends := strings.CutSuffix(line, "\r")
		if line == "" {
			continue
		}
		row := views.DiffLine{Text: visible(text[min(1, len(text)):]), Return: ends}
		switch line[0] {
		case '@':
			oldNo, newNo = hunkStart(line)
			row = views.DiffLine{Kind: views.LineHunk, Text: visible(text)}
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
		// All alike: the ends of the lines are no change.
		for i := range lines {
			lines[i].Return = false
		}
	}
	return lines
}

// directions are the characters that change the direction of the text around
// them. In code they can make a line read as what it is not, so they are shown.
var directions = strings.NewReplacer(
	"\u202a", "⟦U+202A⟧", "\u202b", "⟦U+202B⟧", "\u202c", "⟦U+202C⟧", "\u202d", "⟦U+202D⟧", "\u202e", "⟦U+202E⟧",
	"\u2066", "⟦U+2066⟧", "\u2067", "⟦U+2067⟧", "\u2068", "⟦U+2068⟧", "\u2069", "⟦U+2069⟧",
)

// visible is a line without characters that hide what it says.
func visible(line string) string { return directions.Replace(line) }

// hunkStart reads the first line numbers from a hunk's head, such as
// "@@ -12,7 +12,9 @@ func main()"; zeros when there are none.
func hunkStart(head string) (oldNo, newNo int) {
	fields := strings.Fields(head)
	if len(fields) < 3 {
		return 0, 0
	}
	// A missing number leaves a zero, which is not drawn.
	_, _ = fmt.Sscanf(fields[1], "-%d", &oldNo)
	_, _ = fmt.Sscanf(fields[2], "+%d", &newNo)
	return oldNo, newNo
}
