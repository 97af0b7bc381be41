package views

import (
	"context"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// BranchPicker is a field that selects one of the repository's branches: a
// button that opens a list with a search. Without JavaScript the list holds the
// first branches, and another name can be typed.
type BranchPicker struct {
	Label text.Key
	// Hint is the text under the field, empty for none.
	Hint  string
	Fault FormFault
	// Focus holds autofocus if the field is the first one with an error.
	Focus templ.Attributes
	// PreviewURL reloads the preview of the checks when another branch is
	// selected; empty if there is no preview.
	PreviewURL string
	List       BranchChoices
}

// BranchChoices is the list of a branch picker.
type BranchChoices struct {
	// Field is the name of the form field and the prefix of the elements' ids.
	Field string
	// Value is the selected branch, empty for none. It is always listed.
	Value string
	// Search is the search term.
	Search string
	// Names are the first branches that match, Total is the number of matches.
	Names []string
	Total int
	// Default is the project's default branch.
	Default string
	// URL is the address of the search.
	URL string
	// Failed reports whether the branches could not be read.
	Failed bool
}

// button returns the text of the closed picker.
func (c BranchChoices) button(ctx context.Context) string {
	if c.Value == "" {
		return text.T(ctx, text.KeyMRSelectBranch)
	}
	return c.Value
}

// listed returns the branches in the list. The selected one comes first if it is
// not among those found.
func (c BranchChoices) listed() []string {
	if c.Value == "" {
		return c.Names
	}
	for _, name := range c.Names {
		if name == c.Value {
			return c.Names
		}
	}
	return append([]string{c.Value}, c.Names...)
}

// isTruncated reports whether more branches match than are listed.
func (c BranchChoices) isTruncated() bool { return c.Total > len(c.Names) }

// note returns a remark about an empty or truncated list, or an empty string.
func (c BranchChoices) note(ctx context.Context) string {
	switch {
	case c.Failed:
		return ""
	case c.Total == 0 && c.Search != "":
		return text.T(ctx, text.KeyMRNoBranchMatches, "Query", c.Search)
	case c.Total == 0:
		return text.T(ctx, text.KeyMRNoBranches)
	case c.isTruncated():
		return text.N(ctx, text.KeyMRBranchesCut, c.Total, "Shown", len(c.Names))
	}
	return ""
}

// found returns the text of the live region after a search.
func (c BranchChoices) found(ctx context.Context) string {
	if note := c.note(ctx); note != "" {
		return note
	}
	return text.N(ctx, text.KeyMRBranchesFound, c.Total)
}

// described returns the ARIA attributes for the field's hint and error, or nil.
func (p BranchPicker) described() templ.Attributes {
	ids := ""
	if p.Fault.Text != "" {
		ids = p.List.Field + "-error"
	}
	if p.Hint != "" {
		if ids != "" {
			ids += " "
		}
		ids += p.List.Field + "-hint"
	}
	if ids == "" {
		return nil
	}
	attributes := templ.Attributes{"aria-describedby": ids}
	if p.Fault.Text != "" {
		attributes["aria-invalid"] = "true"
	}
	return attributes
}

// previews returns the htmx attributes that reload the preview of the checks, or
// nil if there is none.
func (p BranchPicker) previews() templ.Attributes {
	if p.PreviewURL == "" {
		return nil
	}
	return templ.Attributes{"hx-get": p.PreviewURL, "hx-trigger": "change", "hx-target": "#checks-preview", "hx-select": "#checks-preview",
		"hx-swap": "outerHTML", "hx-include": "#" + p.List.Field + "-options input:checked", "hx-sync": "this:replace"}
}
