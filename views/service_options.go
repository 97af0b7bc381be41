package views

import (
	"context"
	"strconv"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// HeaderRow is one custom header in the service form. Values are never shown.
type HeaderRow struct {
	Name string
	// Stored reports whether a value is stored that an empty field keeps.
	Stored bool
}

// blankHeaders is how many empty rows follow the custom headers of the form.
const blankHeaders = 2

// headerRows returns the rows of custom headers, with empty ones for new headers.
func (f ServiceForm) headerRows() []HeaderRow {
	return append(f.Headers[:len(f.Headers):len(f.Headers)], make([]HeaderRow, blankHeaders)...)
}

// headerID returns the id of the input for a header's name or value.
func headerID(part string, i int) string { return "custom-header-" + part + "-" + strconv.Itoa(i+1) }

// storedPlaceholder says in the field of a value that one is stored.
func storedPlaceholder(ctx context.Context, row HeaderRow) templ.Attributes {
	if !row.Stored {
		return nil
	}
	return templ.Attributes{"placeholder": text.T(ctx, text.KeyChecksHeaderStored)}
}

// invalidGroup returns the attributes of a group with an error, nil without one.
func invalidGroup(id, message string) templ.Attributes {
	if message == "" {
		return nil
	}
	return templ.Attributes{"aria-invalid": "true", "aria-describedby": id + "-error"}
}

// focusCallbackOnly gives the check box the focus if its field has the first error.
func (f ServiceForm) focusCallbackOnly() templ.Attributes {
	if f.CallbackOnlyError == "" {
		return nil
	}
	return f.focus("status-check-callback-only")
}
