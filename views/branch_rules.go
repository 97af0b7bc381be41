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

// BranchRuleList is the part of the page that is replaced when a form is saved.
type BranchRuleList struct {
	// Failed reports whether the services could not be read. The rules are shown
	// without them.
	Failed     bool
	RefreshURL string
	OutOfBand  bool
	Rules      []BranchRule
	// Unprotected are names in the scope of services that are no longer protected.
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
	// Matches is the number of existing branches that match, -1 if unknown.
	Matches int
	// Push and Merge name the roles that may push and merge.
	Push, Merge    string
	AllowForcePush bool
	EditURL        string
	UnprotectURL   string
	// AddServiceURL opens the service form with this branch selected.
	AddServiceURL string
	// Services are scoped to this branch. Inherited apply to all branches.
	Services  []ServiceRow
	Inherited []ServiceRow
}

// maxInherited is how many services of all branches a rule names, so that the
// page does not repeat a long list for each rule.
const maxInherited = 6

// shownInherited returns how many of n services of all branches a rule names. It
// leaves out either none or at least two: "1 more" would be as long as a name.
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

// ProtectedBranchForm is the form that protects a branch or changes its rule.
type ProtectedBranchForm struct {
	Page     Page
	ID       int64
	Drawer   bool
	SaveURL  string
	CloseURL string
	Name     string
	// Suggestions are existing branches that are not protected.
	Suggestions          []string
	Push, Merge          int
	AllowForcePush       bool
	NameError, PushError string
	MergeError           string
	// Version is the version of the rule that the form edits. Changed are the
	// values that somebody else has saved since, nil for none.
	Version string
	Changed []CurrentValue
	Levels  []LevelOption
}

// focus returns autofocus for the first control with an error, or for the name.
func (f ProtectedBranchForm) focus(id string) templ.Attributes {
	return focusOn(id, "protected-branch-name", fieldFault{"protected-branch-name", f.NameError},
		fieldFault{"merge-level", f.MergeError}, fieldFault{"push-level", f.PushError})
}

// LevelOption is an access level that a protected branch can require.
type LevelOption struct {
	Value int
	Label string
}

// Unprotection asks for confirmation before a branch rule is removed.
type Unprotection struct {
	Page     Page
	Dialog   bool
	Name     string
	URL      string
	CloseURL string
	// Services are the names of services that continue to apply to the branch.
	Services []string
}
