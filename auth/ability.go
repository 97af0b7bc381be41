package auth

import "github.com/mergegate/mergegate/models"

// Ability names an operation that a user may be allowed to do. Its text
// appears in logs and tests, not on pages.
type Ability string

// Abilities on a project.
const (
	// ReadProject allows seeing that the project exists, its name and overview.
	ReadProject Ability = "read project"
	// ReadCode allows viewing and fetching branches, commits and merge requests.
	ReadCode Ability = "read code"
	// ReadStatusChecks allows viewing the status checks of merge requests and
	// all text derived from them.
	ReadStatusChecks Ability = "read status checks"
	// ReadServiceURL allows viewing a service's URL outside the settings,
	// without its query string and user info. Others get an empty string.
	ReadServiceURL Ability = "read service url"

	CreateMergeRequest Ability = "create merge request"
	// UpdateMergeRequest allows editing, closing and reopening.
	UpdateMergeRequest Ability = "update merge request"
	// Approve allows approving a merge request and revoking one's approval,
	// also for the author.
	Approve Ability = "approve merge request"
	// Merge allows merging into unprotected branches. For a protected branch
	// the branch's rule must allow it, too.
	Merge Ability = "merge merge request"
	// PushCode allows pushing to unprotected branches. For a protected branch
	// the branch's rule must allow it, too.
	PushCode Ability = "push code"
	// RetryStatusCheck allows setting a failed check back to pending.
	RetryStatusCheck Ability = "retry status check"
	// SetStatus allows setting a check's status through the API.
	SetStatus Ability = "set status of status check"

	// ManageStatusChecks allows listing, adding, editing and removing
	// services, and sending test deliveries.
	ManageStatusChecks Ability = "manage status checks"
	// ManageProtectedBranches allows listing and changing protected branches.
	ManageProtectedBranches Ability = "manage protected branches"
	// ManageMembers allows adding, changing and removing members below Owner.
	ManageMembers Ability = "manage members"
	// ManageTokens allows listing, creating and revoking project access tokens.
	ManageTokens Ability = "manage project access tokens"
	// ManageMergeChecks allows changing "Status checks must succeed".
	ManageMergeChecks Ability = "manage merge checks"
	// ReadDeliveries allows reading delivery logs and redelivering.
	ReadDeliveries Ability = "read deliveries"
	// ReadAuditEvents allows reading the project's audit events.
	ReadAuditEvents Ability = "read audit events"

	// AdminProject allows renaming and deleting the project and changing its
	// visibility.
	AdminProject Ability = "administer project"
	// ManageOwners allows adding and removing Owners.
	ManageOwners Ability = "manage owners"
)

// Abilities on the instance. They do not depend on a subject's Role and
// Visibility.
const (
	// CreateProject allows creating a project in the user's own namespace.
	CreateProject Ability = "create project"
	// CreateNamespace allows creating a namespace that is no user's, and
	// projects in it.
	CreateNamespace Ability = "create namespace"
	// ManageUsers allows listing, creating and changing users.
	ManageUsers Ability = "manage users"
	// AdminInstance allows everything else in the admin area.
	AdminInstance Ability = "administer instance"
)

// Subject is a user or visitor in relation to one project.
type Subject struct {
	// SignedIn is false for visitors. Admin and Role are then ignored.
	SignedIn bool
	// Admin reports whether the user administers the instance. Administrators
	// have every ability.
	Admin bool
	// Role is the user's role on the project, models.RoleNone without one.
	Role models.Role
	// Visibility is that of the project.
	Visibility models.Visibility
}

// SubjectOf returns the subject of an access.
func SubjectOf(a models.Access) Subject {
	return Subject{SignedIn: a.SignedIn, Admin: a.Admin, Role: a.Role, Visibility: a.Project.Visibility}
}

// Verdict is the result of [Decide].
type Verdict int

// The verdicts.
const (
	// Hidden means that the subject must not learn that the resource exists
	// (404).
	Hidden Verdict = iota
	// Forbidden means that the subject may see the resource, but may not do
	// this to it (403).
	Forbidden
	// Allowed means that the subject has the ability.
	Allowed
)

// rule states who has an ability. One matching field is enough.
type rule struct {
	// role is the lowest role that has the ability. With RoleNone no role
	// grants it.
	role models.Role
	// internal grants it to every signed-in user if the project is internal.
	internal bool
	// public grants it to everybody if the project is public.
	public bool
	// signedIn grants it to every signed-in user.
	signedIn bool
	// visibleTo is the ability with which a refusal is Forbidden instead of
	// Hidden. If it is empty, a refusal is always Hidden; for abilities on the
	// instance it is always Forbidden.
	visibleTo Ability
}

// rules is the table of abilities. Administrators have all of them.
var rules = map[Ability]rule{
	ReadProject:      {role: models.RoleGuest, internal: true, public: true},
	ReadCode:         {role: models.RoleReporter, internal: true, public: true},
	ReadStatusChecks: {role: models.RoleReporter, internal: true},
	ReadServiceURL:   {role: models.RoleDeveloper},

	CreateMergeRequest: {role: models.RoleDeveloper, visibleTo: ReadCode},
	UpdateMergeRequest: {role: models.RoleDeveloper, visibleTo: ReadCode},
	Approve:            {role: models.RoleDeveloper, visibleTo: ReadCode},
	Merge:              {role: models.RoleDeveloper, visibleTo: ReadCode},
	PushCode:           {role: models.RoleDeveloper, visibleTo: ReadCode},
	RetryStatusCheck:   {role: models.RoleDeveloper, visibleTo: ReadCode},
	SetStatus:          {role: models.RoleDeveloper, visibleTo: ReadCode},

	ManageStatusChecks:      {role: models.RoleMaintainer, visibleTo: ReadProject},
	ManageProtectedBranches: {role: models.RoleMaintainer, visibleTo: ReadProject},
	ManageMembers:           {role: models.RoleMaintainer, visibleTo: ReadProject},
	ManageTokens:            {role: models.RoleMaintainer, visibleTo: ReadProject},
	ManageMergeChecks:       {role: models.RoleMaintainer, visibleTo: ReadProject},
	ReadDeliveries:          {role: models.RoleMaintainer, visibleTo: ReadProject},
	ReadAuditEvents:         {role: models.RoleMaintainer, visibleTo: ReadProject},

	AdminProject: {role: models.RoleOwner, visibleTo: ReadProject},
	ManageOwners: {role: models.RoleOwner, visibleTo: ReadProject},

	CreateProject:   {signedIn: true},
	CreateNamespace: {},
	ManageUsers:     {},
	AdminInstance:   {},
}

// instanceAbilities do not concern a project, so there is nothing to hide from
// subjects that lack them.
var instanceAbilities = map[Ability]bool{CreateProject: true, CreateNamespace: true, ManageUsers: true, AdminInstance: true}

// Can reports whether the subject has the ability. It returns false for an
// ability that is not in the table.
func Can(s Subject, a Ability) bool {
	r, known := rules[a]
	if !known {
		return false
	}
	if r.public && s.Visibility == models.VisibilityPublic {
		return true
	}
	if !s.SignedIn {
		return false
	}
	switch {
	case s.Admin, r.signedIn:
		return true
	case r.internal && s.Visibility == models.VisibilityInternal:
		return true
	}
	return r.role != models.RoleNone && s.Role >= r.role
}

// Decide returns Allowed if the subject has the ability. Otherwise it returns
// Forbidden if the subject may see the resource, and Hidden if it may not.
func Decide(s Subject, a Ability) Verdict {
	switch {
	case Can(s, a):
		return Allowed
	case instanceAbilities[a]:
		return Forbidden
	case rules[a].visibleTo != "" && Can(s, rules[a].visibleTo):
		return Forbidden
	}
	return Hidden
}
