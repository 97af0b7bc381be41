package views

import (
	"net/url"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// Form is what somebody typed into a form and what is wrong with it.
type Form struct {
	// Values are by field name, as a browser sends them.
	Values url.Values
	// Errors are the messages, by field name.
	Errors map[string]string
	// Problem is a message about the form as a whole, "" for none.
	Problem string
	// Changed is what was changed meanwhile; nil for nothing.
	Changed []CurrentValue
}

// CurrentValue is what is saved in a field that somebody changed while a form
// was edited.
type CurrentValue struct {
	Label text.Key
	Text  string
}

// Value is what stands in a field.
func (f Form) Value(name string) string { return f.Values.Get(name) }

// Has reports whether a choice with this value is made in a field.
func (f Form) Has(name, value string) bool {
	for _, v := range f.Values[name] {
		if v == value {
			return true
		}
	}
	return false
}

// fieldFault is a control, by its id, and the message about it.
type fieldFault struct{ id, message string }

// focusOn gives the focus to the control id if it has the first message of
// faults, or is the usual one and there is none.
func focusOn(id, usual string, faults ...fieldFault) templ.Attributes {
	for _, fault := range faults {
		if fault.message != "" {
			return templ.Attributes{"autofocus": id == fault.id}
		}
	}
	return templ.Attributes{"autofocus": id == usual}
}

// Option is one choice of a select, radio group or list of check boxes. Code
// sets its text as a word for programs.
type Option struct {
	Value, Text, Hint string
	Code              bool
}
