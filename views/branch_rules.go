package views

import (
	"time"

	"github.com/a-h/templ"
)

// BranchRules is the page of a project's protected branches and the services
// that apply to each.
type BranchRules struct {
	Page   Page
	AddURL string
	Rules  BranchRuleList
}

// BranchRuleList is the part of the page that a saved form renews.
type BranchRuleList struct {
	// Failed: the services could not be read; the rules themselves are shown.
	Failed     bool
	RefreshURL string
	OutOfBand  bool
	Rules      []BranchRule
	// Unprotected are the names that services apply to and no rule has any more.
	Unprotected []UnprotectedRule
	All         AllBranchesRule
	Now         time.Time
}

// UnprotectedRule is a name or pattern in the scope of services that is no
// longer protected.
type UnprotectedRule struct {
	Name     string
	Services []ServiceRow
	// ProtectURL opens the form that protects the name again.
	ProtectURL string
}

// BranchRule is one protected branch.
type BranchRule struct {
	ID      int64
	Name    string
	Default bool
	// Matches is the number of existing branches the rule covers, -1 when git could not be asked.
	Matches int
	// Push and Merge are the roles in words.
	Push, Merge    string
	AllowForcePush bool
	EditURL        string
	UnprotectURL   string
	// AddServiceURL opens the service form with this branch chosen.
	AddServiceURL string
	// Services are those scoped to this branch; Inherited those of all branches.
	Services  []ServiceRow
	Inherited []ServiceRow
}

// maxInherited is how many services of all branches each rule names: a page of
// many rules would otherwise say the same long list once per rule.
const maxInherited = 6

// shownInherited is how many of n services of all branches a rule names. There
// is no "1 more", whose name would take as much room.
func shownInherited(n int) int {
	if n <= maxInherited {
		return n
	}
	return maxInherited - 1
}

// AllBranchesRule lists the services that apply to every branch.
type AllBranchesRule struct {
	AddServiceURL string
	Services      []ServiceRow
}

// ProtectedBranchForm protects a branch or changes who may push and merge.
type ProtectedBranchForm struct {
	Page     Page
	ID       int64
	Drawer   bool
	SaveURL  string
	CloseURL string
	Name     string
	// Suggestions are branch names that exist and are not protected.
	Suggestions          []string
	Push, Merge          int
	AllowForcePush       bool
	NameError, PushError string
	MergeError           string
	// Version is what the form edits; Changed is what was changed meanwhile, nil
	// for nothing.
	Version string
	Changed []CurrentValue
	Levels  []LevelOption
}

// focus is for the first control with a message, else for the name.
func (f ProtectedBranchForm) focus(id string) templ.Attributes {
	return focusOn(id, "protected-branch-name", fieldFault{"protected-branch-name", f.NameError},
		fieldFault{"merge-level", f.MergeError}, fieldFault{"push-level", f.PushError})
}

// LevelOption is a role that a protected branch can allow.
type LevelOption struct {
	Value int
	Label string
}

// Unprotection is the question before a branch rule is removed.
type Unprotection struct {
	Page     Page
	Dialog   bool
	Name     string
	URL      string
	CloseURL string
	// Services are the names of those that keep applying to the name.
	Services []string
}
