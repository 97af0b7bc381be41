package views

import (
	"context"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// BranchPicker is a field that chooses one of the repository's branches: a
// button that opens a list, which its own request searches. Without script the
// list holds the first branches, and any other one can be typed.
type BranchPicker struct {
	Label text.Key
	// Hint stands under the field; empty for none.
	Hint  string
	Fault FormFault
	// Focus gives the field the focus where it is the first one with a fault.
	Focus templ.Attributes
	// PreviewURL renews the preview of the checks when another branch is chosen;
	// empty when the choice has no such consequence.
	PreviewURL string
	List       BranchChoices
}

// BranchChoices is what a branch picker lists.
type BranchChoices struct {
	// Field is the name of the form's field; ids on the page begin with it.
	Field string
	// Value is the chosen branch, "" for none. It is listed whatever else is.
	Value string
	// Search is what the list was searched for.
	Search string
	// Names are the branches found, at most as many as a list holds, and Total
	// how many there are altogether.
	Names []string
	Total int
	// Default is the project's default branch.
	Default string
	// URL is where a search is answered.
	URL string
	// Failed says that the branches could not be listed.
	Failed bool
}

// button is what the closed picker shows.
func (c BranchChoices) button(ctx context.Context) string {
	if c.Value == "" {
		return text.T(ctx, text.KeyMRSelectBranch)
	}
	return c.Value
}

// listed are the branches in the list: the chosen one among them, first where
// the search did not find it.
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

// cut says that there are more branches than the list holds.
func (c BranchChoices) cut() bool { return c.Total > len(c.Names) }

// note is what the list says about itself; "" when it speaks for itself.
func (c BranchChoices) note(ctx context.Context) string {
	switch {
	case c.Failed:
		return ""
	case c.Total == 0 && c.Search != "":
		return text.T(ctx, text.KeyMRNoBranchMatches, "Query", c.Search)
	case c.Total == 0:
		return text.T(ctx, text.KeyMRNoBranches)
	case c.cut():
		return text.N(ctx, text.KeyMRBranchesCut, c.Total, "Shown", len(c.Names))
	}
	return ""
}

// found is what the live region says after a search.
func (c BranchChoices) found(ctx context.Context) string {
	if note := c.note(ctx); note != "" {
		return note
	}
	return text.N(ctx, text.KeyMRBranchesFound, c.Total)
}

// described names the texts that describe the field, and marks a faulty one.
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

// previews makes the field renew the preview of the checks.
func (p BranchPicker) previews() templ.Attributes {
	if p.PreviewURL == "" {
		return nil
	}
	return templ.Attributes{"hx-get": p.PreviewURL, "hx-trigger": "change", "hx-target": "#checks-preview", "hx-select": "#checks-preview",
		"hx-swap": "outerHTML", "hx-include": "#" + p.List.Field + "-options input:checked", "hx-sync": "this:replace"}
}
