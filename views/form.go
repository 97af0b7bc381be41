package views

import (
	"net/url"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// Form holds the submitted values of a form and its errors.
type Form struct {
	// Values are the values by field name, as submitted.
	Values url.Values
	// Errors are the error messages by field name.
	Errors map[string]string
	// Problem is an error of the whole form, empty for none.
	Problem string
	// Changed are the values that somebody else has saved since the form was
	// loaded, nil for none.
	Changed []CurrentValue
}

// CurrentValue is the saved value of a field that somebody else changed while the
// form was edited.
type CurrentValue struct {
	Label text.Key
	Text  string
}

// Value returns the first value of a field, empty for none.
func (f Form) Value(name string) string { return f.Values.Get(name) }

// Has reports whether a field has this value among its values.
func (f Form) Has(name, value string) bool {
	for _, v := range f.Values[name] {
		if v == value {
			return true
		}
	}
	return false
}

// fieldFault is the id of a control and its error message, empty for none.
type fieldFault struct{ id, message string }

// focusOn returns autofocus=true if id is the first control in faults with a
// message, or if there is none and id is usual.
func focusOn(id, usual string, faults ...fieldFault) templ.Attributes {
	for _, fault := range faults {
		if fault.message != "" {
			return templ.Attributes{"autofocus": id == fault.id}
		}
	}
	return templ.Attributes{"autofocus": id == usual}
}

// Option is a choice of a select element, radio group or list of check boxes. Code
// renders its text as code.
type Option struct {
	Value, Text, Hint string
	Code              bool
}
