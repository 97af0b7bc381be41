package gallery

import (
	"bytes"
	"context"
	"html"
	"io"
	"strings"

	"github.com/a-h/templ"
)

// framed renders a fragment inside a page: dialogs in the element from which app.js
// opens them, other fragments without a heading of their own under one for screen
// readers.
type framed struct {
	frame  func(templ.Component) templ.Component
	title  string
	inside templ.Component
}

// modalRoot is the start tag of the element that contains dialogs.
const modalRoot = `<div id="modal-root">`

// Render renders the page with the component.
func (f framed) Render(ctx context.Context, w io.Writer) error {
	var inside bytes.Buffer
	if err := f.inside.Render(templ.ClearChildren(ctx), &inside); err != nil {
		return err
	}
	heading := ""
	if !bytes.Contains(inside.Bytes(), []byte("<h1")) {
		heading = `<h1 class="sr-only">` + html.EscapeString(f.title) + `</h1>`
	}
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
