package views

import (
	"context"
	"maps"
	"strings"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// statusKey returns the key of a check status's name.
func statusKey(status string) text.Key {
	switch status {
	case "passed":
		return text.KeyStatusPassed
	case "failed":
		return text.KeyStatusFailed
	}
	return text.KeyStatusPending
}

// statusIcon returns the icon of a check status.
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

// alertRole returns role=alert for errors, so that screen readers announce them.
func alertRole(kind string) templ.Attributes {
	if kind == "danger" {
		return templ.Attributes{"role": "alert"}
	}
	return nil
}

// current returns aria-current=page if is is true.
func current(is bool) templ.Attributes {
	if is {
		return templ.Attributes{"aria-current": "page"}
	}
	return nil
}

// themeAttribute returns the attribute for a theme, or nil to follow the system.
func themeAttribute(theme string) templ.Attributes {
	if theme == "" {
		return nil
	}
	return templ.Attributes{"data-theme": theme}
}

// tickingTexts returns data attributes with the singular and plural texts of a unit
// of time for app.js. {n} is the placeholder of the number.
func tickingTexts(ctx context.Context, unit string, key text.Key) templ.OrderedAttributes {
	return templ.OrderedAttributes{
		{Key: "data-" + unit + "-one", Value: text.N(ctx, key, 1)},
		{Key: "data-" + unit, Value: text.N(ctx, key, 2, "Count", "{n}")},
	}
}

// hasSidebar reports whether the page has the navigation of a project or the admin area.
func (p Page) hasSidebar() bool { return p.AdminArea || p.Project != nil && !p.Wide }

// openNavKey returns the key of the button that opens the sidebar on small screens.
func (p Page) openNavKey() text.Key {
	if p.AdminArea {
		return text.KeyAdminOpenNav
	}
	return text.KeyOpenNav
}

// described returns the ARIA attributes for a control's error and hint. Every
// control with an error has autofocus; browsers focus the first one.
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

// unlessRejected removes autofocus from attrs if the form has errors, so that the
// first control with an error gets the focus.
func unlessRejected(f Form, attrs templ.Attributes) templ.Attributes {
	if _, focused := attrs["autofocus"]; !focused || len(f.Errors) == 0 {
		return attrs
	}
	kept := maps.Clone(attrs)
	delete(kept, "autofocus")
	return kept
}

// group is like described for a group of choices. A group cannot have the focus, so
// autofocus is on its first choice instead.
func group(f Form, name string) templ.Attributes {
	attrs := described(f, name, "")
	delete(attrs, "autofocus")
	return attrs
}

// hinted returns the attributes of a choice: its hint and, if focus is true,
// autofocus.
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

// rejected returns the attributes of the controls of a form with an error that
// concerns the whole form.
func rejected(f Form) templ.Attributes {
	if f.Problem == "" {
		return nil
	}
	return templ.Attributes{"aria-invalid": "true", "aria-describedby": "form-error"}
}

// filterAttributes returns the htmx attributes of a filter form. Every change
// reloads the elements with the ids list and status; the status tells screen
// readers the number of results.
func filterAttributes(url, list, status string) templ.Attributes {
	return templ.Attributes{
		"hx-get": url, "hx-target": "#" + list, "hx-select": "#" + list, "hx-swap": "outerHTML", "hx-select-oob": "#" + status,
		"hx-replace-url": "true", "hx-trigger": "submit, input delay:300ms", "hx-sync": "this:replace",
	}
}

// Prose is Markdown rendered to sanitized HTML.
type Prose struct {
	HTML string
	// Cut reports whether the text was truncated or its formatting simplified.
	Cut bool
}
