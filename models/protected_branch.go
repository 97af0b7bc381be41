package models

import (
	"time"
	"unicode/utf8"
)

// ProtectedBranch is a rule for the branches that match its name or pattern.
type ProtectedBranch struct {
	ID               int64
	ProjectID        int64
	Name             string
	PushAccessLevel  Role
	MergeAccessLevel Role
	AllowForcePush   bool
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

// Matches reports whether the rule applies to a branch.
func (b ProtectedBranch) Matches(branch string) bool { return MatchBranch(b.Name, branch) }

// ProtectedBranchInput creates or changes a protected branch. Levels are RoleNone (no
// one), RoleDeveloper or RoleMaintainer.
type ProtectedBranchInput struct {
	Name             string
	PushAccessLevel  Role
	MergeAccessLevel Role
	AllowForcePush   bool
	// Version is the Version of the protected branch that the form showed; "" disables
	// the check for concurrent edits.
	Version string
}

// Validate normalises the input and returns its field errors: name, push_access_level,
// merge_access_level.
func (in *ProtectedBranchInput) Validate() error {
	var f fieldErrors
	in.Name = cleanName(in.Name)
	switch {
	case in.Name == "":
		f.add("name", CodeBlank)
	case utf8.RuneCountInString(in.Name) > MaxNameLength:
		f.add("name", CodeTooLong, "max", "255")
	case !validBranchPattern(in.Name):
		f.add("name", CodeInvalid)
	}
	if !validProtectionLevel(in.PushAccessLevel) {
		f.add("push_access_level", CodeInvalid)
	}
	if !validProtectionLevel(in.MergeAccessLevel) {
		f.add("merge_access_level", CodeInvalid)
	}
	return f.err()
}

func validProtectionLevel(r Role) bool {
	return r == RoleNone || r == RoleDeveloper || r == RoleMaintainer
}

// BranchAction is a change of a branch.
type BranchAction int

// The changes that protected branches restrict.
const (
	ActionPush BranchAction = iota
	ActionForcePush
	ActionDelete
	ActionMerge
)

// BranchRefusal says why a branch must not be changed.
type BranchRefusal struct {
	// Rule is the name of the protected branch that refuses; "" if the role or the
	// default branch is the reason.
	Rule          string
	Action        BranchAction
	DefaultBranch bool
}

// DecideBranch returns nil if a member with this role may change a branch, else the
// reason. If several rules match, the most permissive one applies. Pass RoleOwner for
// administrators.
func DecideBranch(project Project, rules []ProtectedBranch, role Role, branch string, action BranchAction) *BranchRefusal {
	var matching []ProtectedBranch
	for _, rule := range rules {
		if rule.Matches(branch) {
			matching = append(matching, rule)
		}
	}
	if action == ActionDelete && branch == project.DefaultBranch {
		return &BranchRefusal{Action: action, DefaultBranch: true}
	}
	if len(matching) == 0 {
		if role >= RoleDeveloper {
			return nil
		}
		return &BranchRefusal{Action: action}
	}
	for _, rule := range matching {
		if rule.allows(role, action) {
			return nil
		}
	}
	return &BranchRefusal{Rule: matching[0].Name, Action: action}
}

func (b ProtectedBranch) allows(role Role, action BranchAction) bool {
	meets := func(level Role) bool { return level != RoleNone && role >= level }
	switch action {
	case ActionPush:
		return meets(b.PushAccessLevel)
	case ActionForcePush:
		return b.AllowForcePush && meets(b.PushAccessLevel)
	case ActionMerge:
		return meets(b.MergeAccessLevel)
	}
	return false
}
