package gallery

import (
	"bytes"
	"context"
	"html"
	"io"
	"strings"

	"github.com/a-h/templ"
)

// framed is a component inside the frame of a page: dialogs stand where the
// script opens them, all else under a heading that only screen readers meet.
type framed struct {
	frame  func(templ.Component) templ.Component
	title  string
	inside templ.Component
}

// modalRoot is the element of every page that dialogs arrive in.
const modalRoot = `<div id="modal-root">`

// Render draws the page around the component.
func (f framed) Render(ctx context.Context, w io.Writer) error {
	var inside bytes.Buffer
	if err := f.inside.Render(templ.ClearChildren(ctx), &inside); err != nil {
		return err
	}
	heading := `<h1 class="sr-only">` + html.EscapeString(f.title) + `</h1>`
	if !bytes.HasPrefix(bytes.TrimSpace(inside.Bytes()), []byte("<dialog")) {
		return f.frame(templ.Raw(heading+inside.String())).Render(ctx, w)
	}
	var whole bytes.Buffer
	if err := f.frame(templ.Raw(heading)).Render(ctx, &whole); err != nil {
		return err
	}
	_, err := io.WriteString(w, strings.Replace(whole.String(), modalRoot, modalRoot+inside.String(), 1))
	return err
}
