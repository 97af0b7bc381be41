package handlers

import (
	"fmt"
	"strings"

	"github.com/mergegate/mergegate/views"
)

// diffLines numbers the lines of a file's hunks.
func diffLines(patch string) []views.DiffLine {
	var lines []views.DiffLine
	oldNo, newNo := 0, 0
	for line := range strings.Lines(patch) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "@@"):
			oldNo, newNo = hunkStart(line)
			lines = append(lines, views.DiffLine{Kind: views.LineHunk, Text: line})
		case strings.HasPrefix(line, "+"):
			lines = append(lines, views.DiffLine{Kind: views.LineAdded, New: newNo, Text: line[1:]})
			newNo++
		case strings.HasPrefix(line, "-"):
			lines = append(lines, views.DiffLine{Kind: views.LineDeleted, Old: oldNo, Text: line[1:]})
			oldNo++
		case strings.HasPrefix(line, " "):
			lines = append(lines, views.DiffLine{Kind: views.LineContext, Old: oldNo, New: newNo, Text: line[1:]})
			oldNo++
			newNo++
		case strings.HasPrefix(line, `\`): // "No newline at end of file"
			lines = append(lines, views.DiffLine{Kind: views.LineHunk, Text: line})
		}
	}
	return lines
}

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
