package views

import (
	"context"
	"io"
	"strings"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// mark encloses the name of a component in a translated sentence. No text
// contains the character.
const mark = "\x1f"

// Compose renders the text of a key whose placeholders are components, such as a
// link or a time. parts are alternating names and templ.Component values. Each
// language decides the order of the parts.
func Compose(key text.Key, parts ...any) templ.Component {
	return composed(func(ctx context.Context, args ...any) string { return text.T(ctx, key, args...) }, parts)
}

// ComposeN is Compose for a text with plural forms.
func ComposeN(key text.Key, n int, parts ...any) templ.Component {
	return composed(func(ctx context.Context, args ...any) string { return text.N(ctx, key, n, args...) }, parts)
}

func composed(translate func(context.Context, ...any) string, parts []any) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		args := make([]any, 0, len(parts))
		components := make(map[string]templ.Component, len(parts)/2)
		for i := 0; i+1 < len(parts); i += 2 {
			name := parts[i].(string)
			args = append(args, name, mark+name+mark)
			components[name] = parts[i+1].(templ.Component)
		}
		for i, piece := range strings.Split(translate(ctx, args...), mark) {
			component, isPart := components[piece]
			if i%2 == 0 || !isPart {
				if _, err := io.WriteString(w, templ.EscapeString(piece)); err != nil {
					return err
				}
				continue
			}
			if err := component.Render(ctx, w); err != nil {
				return err
			}
		}
		return nil
	})
}

// sentences renders texts separated by text.SentenceGap. A template would always
// add a space, which is wrong in Japanese.
func sentences(parts ...templ.Component) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		for i, part := range parts {
			if i > 0 {
				if _, err := io.WriteString(w, text.SentenceGap(ctx)); err != nil {
					return err
				}
			}
			if err := part.Render(ctx, w); err != nil {
				return err
			}
		}
		return nil
	})
}

// maxNamed is how many names a sentence lists; it counts the others.
const maxNamed = 8

// isolatedNames renders a list of names in a sentence. Each is in a <bdi>, so
// that right-to-left text or direction marks do not affect the text around it.
func isolatedNames(names []string) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		shown := names
		if len(names) > maxNamed+1 {
			shown = names[:maxNamed]
		}
		marked := make([]string, 0, len(shown)+1)
		for _, name := range shown {
			marked = append(marked, "<bdi>"+templ.EscapeString(name)+"</bdi>")
		}
		if more := len(names) - len(shown); more > 0 {
			marked = append(marked, templ.EscapeString(text.N(ctx, text.KeyMRConflictMore, more)))
		}
		_, err := io.WriteString(w, strings.Join(marked, templ.EscapeString(text.T(ctx, text.KeyMRListSeparator))))
		return err
	})
}
