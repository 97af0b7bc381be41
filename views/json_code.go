package views

import (
	"context"
	"io"
	"regexp"
	"strings"

	"github.com/a-h/templ"
)

// jsonTokens matches the highlighted tokens of JSON: strings, with the colon after
// a key, numbers and literals.
var jsonTokens = regexp.MustCompile(`"(?:[^"\\\n]|\\.)*"(?:\s*:)?|-?\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b|\b(?:true|false|null)\b`)

// maxHighlighted is the size in bytes up to which JSON is highlighted. Larger texts
// would make the page slow.
const maxHighlighted = 32 << 10

// jsonCode renders JSON with syntax highlighting. It renders other text unchanged.
func jsonCode(code string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		trimmed := strings.TrimSpace(code)
		if !strings.HasPrefix(trimmed, "{") && !strings.HasPrefix(trimmed, "[") || len(code) > maxHighlighted {
			_, err := io.WriteString(w, templ.EscapeString(code))
			return err
		}
		var out strings.Builder
		end := 0
		for _, at := range jsonTokens.FindAllStringIndex(code, -1) {
			out.WriteString(templ.EscapeString(code[end:at[0]]))
			token, rest := code[at[0]:at[1]], ""
			class := "n"
			if key := strings.TrimRight(strings.TrimSuffix(token, ":"), " \t"); token[0] == '"' && key != token {
				class, token, rest = "k", key, token[len(key):]
			} else if token[0] == '"' {
				class = "s"
			}
			out.WriteString(`<span class="` + class + `">` + templ.EscapeString(token) + `</span>` + rest)
			end = at[1]
		}
		out.WriteString(templ.EscapeString(code[end:]))
		_, err := io.WriteString(w, out.String())
		return err
	})
}
