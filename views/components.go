package views

import (
	"context"
	"maps"
	"strings"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// statusKey is the word for a check's status.
func statusKey(status string) text.Key {
	switch status {
	case "passed":
		return text.KeyStatusPassed
	case "failed":
		return text.KeyStatusFailed
	}
	return text.KeyStatusPending
}

// statusIcon is the shape for a check's status.
func statusIcon(status string) string {
	switch status {
	case "passed":
		return "status-success"
	case "failed":
		return "status-failed"
	}
	return "status-neutral"
}

func alertIcon(kind string) string {
	switch kind {
	case "success":
		return "check-circle"
	case "warning":
		return "warning"
	case "danger":
		return "error"
	}
	return "information-o"
}

// alertRole makes screen readers speak a failure as soon as it is shown.
func alertRole(kind string) templ.Attributes {
	if kind == "danger" {
		return templ.Attributes{"role": "alert"}
	}
	return nil
}

// current marks the link to the page that is shown.
func current(is bool) templ.Attributes {
	if is {
		return templ.Attributes{"aria-current": "page"}
	}
	return nil
}

// themeAttribute chooses a theme against the system's; "" leaves it alone.
func themeAttribute(theme string) templ.Attributes {
	if theme == "" {
		return nil
	}
	return templ.Attributes{"data-theme": theme}
}

// tickingTexts are the words of a time that app.js goes on counting: for one
// unit of it, and for {n}.
func tickingTexts(ctx context.Context, unit string, key text.Key) templ.OrderedAttributes {
	return templ.OrderedAttributes{
		{Key: "data-" + unit + "-one", Value: text.N(ctx, key, 1)},
		{Key: "data-" + unit, Value: text.N(ctx, key, 2, "Count", "{n}")},
	}
}

// hasSidebar reports whether p is a page with project navigation.
func (p Page) hasSidebar() bool { return p.Project != nil && !p.Wide }

// described connects a control with its message and hint for screen readers.
// Every rejected control asks for the focus: browsers give it to the first one,
// with script and without.
func described(f Form, name string, hint text.Key) templ.Attributes {
	attrs := templ.Attributes{}
	var by []string
	if f.Errors[name] != "" {
		attrs["aria-invalid"], attrs["autofocus"] = "true", true
		by = append(by, name+"-error")
	}
	if hint != "" {
		by = append(by, name+"-hint")
	}
	if len(by) > 0 {
		attrs["aria-describedby"] = strings.Join(by, " ")
	}
	return attrs
}

// unlessRejected are the attributes of a control that has the focus on a fresh
// form; on a rejected one the first fault has it.
func unlessRejected(f Form, attrs templ.Attributes) templ.Attributes {
	if _, focused := attrs["autofocus"]; !focused || len(f.Errors) == 0 {
		return attrs
	}
	kept := maps.Clone(attrs)
	delete(kept, "autofocus")
	return kept
}

// group connects a group of choices with its message. The group itself cannot
// have the focus; its first choice asks for it.
func group(f Form, name string) templ.Attributes {
	attrs := described(f, name, "")
	delete(attrs, "autofocus")
	return attrs
}

// hinted connects a choice with its hint; the first one of a rejected group
// has the focus.
func hinted(name string, o Option, focus bool) templ.Attributes {
	attrs := templ.Attributes{}
	if o.Hint != "" {
		attrs["aria-describedby"] = name + "-" + o.Value + "-hint"
	}
	if focus {
		attrs["autofocus"] = true
	}
	return attrs
}

// rejected marks the controls of a form that was refused as a whole.
func rejected(f Form) templ.Attributes {
	if f.Problem == "" {
		return nil
	}
	return templ.Attributes{"aria-invalid": "true", "aria-describedby": "form-error"}
}

// filterAttributes make a form of filters follow every change of them with
// script: the list with the id is drawn anew, and the status beside it, which
// tells screen readers how much was found.
func filterAttributes(url, list, status string) templ.Attributes {
	return templ.Attributes{
		"hx-get": url, "hx-target": "#" + list, "hx-select": "#" + list, "hx-swap": "outerHTML", "hx-select-oob": "#" + status,
		"hx-replace-url": "true", "hx-trigger": "submit, input delay:300ms", "hx-sync": "this:replace",
	}
}

// Prose is a Markdown text as HTML, rendered and sanitised.
type Prose struct {
	HTML string
	// Cut says that the text is longer or has more formatting than is shown.
	Cut bool
}
