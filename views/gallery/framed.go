package gallery

import (
	"context"
	"io"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views"
)

// Render draws the page around the component.
func (f framed) Render(ctx context.Context, w io.Writer) error {
	return views.Layout(f.page).Render(templ.WithChildren(ctx, f.inside), w)
}
