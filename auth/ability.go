package auth

import "github.com/mergegate/mergegate/models"

// Ability names one thing that a person can be allowed to do. Its text is for
// logs and tests, never for people.
type Ability string

// Abilities on a project.
const (
	// ReadProject is seeing that the project exists: its name and overview.
	ReadProject Ability = "read project"
	// ReadCode is seeing and fetching branches, commits and merge requests.
	ReadCode Ability = "read code"
	// ReadStatusChecks is seeing the status checks of merge requests, and
	// every text derived from them.
	ReadStatusChecks Ability = "read status checks"
	// ReadServiceURL is seeing a service's URL, without its query string and
	// user info, outside the settings. Others get an empty string.
	ReadServiceURL Ability = "read service url"

	CreateMergeRequest Ability = "create merge request"
	// UpdateMergeRequest is editing, closing and reopening.
	UpdateMergeRequest Ability = "update merge request"
	// Approve is approving a merge request and taking the approval back; the
	// author may, too.
	Approve Ability = "approve merge request"
	// Merge is merging into branches that are not protected. Into a protected
	// branch the branch's own rule decides as well.
	Merge Ability = "merge merge request"
	// PushCode is pushing to branches that are not protected. To a protected
	// branch the branch's own rule decides as well.
	PushCode Ability = "push code"
	// RetryStatusCheck is setting a failed check back to pending.
	RetryStatusCheck Ability = "retry status check"
	// SetStatus is answering for a service through the API.
	SetStatus Ability = "set status of status check"

	// ManageStatusChecks is listing, adding, editing and removing services,
	// and sending a test delivery.
	ManageStatusChecks Ability = "manage status checks"
	// ManageProtectedBranches is listing and changing protected branches.
	ManageProtectedBranches Ability = "manage protected branches"
	// ManageMembers is adding, changing and removing members below Owner.
	ManageMembers Ability = "manage members"
	// ManageTokens is listing, making and revoking project access tokens.
	ManageTokens Ability = "manage project access tokens"
	// ManageMergeChecks is switching "Status checks must succeed".
	ManageMergeChecks Ability = "manage merge checks"
	// ReadDeliveries is reading delivery logs and redelivering.
	ReadDeliveries Ability = "read deliveries"
	// ReadAuditEvents is reading who changed what in the project.
	ReadAuditEvents Ability = "read audit events"

	// AdminProject is renaming and deleting the project and changing its
	// visibility.
	AdminProject Ability = "administer project"
	// ManageOwners is making and unmaking Owners.
	ManageOwners Ability = "manage owners"
)

// Abilities on the instance. A subject's role and visibility do not matter for
// them.
const (
	// CreateProject is making a project in one's own namespace.
	CreateProject Ability = "create project"
	// CreateNamespace is making a free namespace, and projects in it.
	CreateNamespace Ability = "create namespace"
	// ManageUsers is listing, making and changing users.
	ManageUsers Ability = "manage users"
)

// Subject is somebody, as seen from one project.
type Subject struct {
	// SignedIn is false for visitors; every other right of theirs is ignored.
	SignedIn bool
	// Admin is the administrator of the instance, who may do everything.
	Admin bool
	// Role is the membership on the project, RoleNone without one.
	Role models.Role
	// Visibility is the project's.
	Visibility models.Visibility
}

// Verdict is the answer to somebody who wants to do something.
type Verdict int

// The verdicts.
const (
	// Hidden: the subject may not even know of the thing (404).
	Hidden Verdict = iota
	// Forbidden: the thing may be seen, but not this done to it (403).
	Forbidden
	// Allowed: go on.
	Allowed
)

// rule says who has an ability. Any one of the ways suffices.
type rule struct {
	// role is the weakest role that has the ability; RoleNone stands for no
	// role: members as such do not have it.
	role models.Role
	// internal gives it to every signed-in user where the project is internal.
	internal bool
	// public gives it to everybody where the project is public.
	public bool
	// signedIn gives it to every signed-in user, whatever the project.
	signedIn bool
	// seen is the ability that decides between Hidden and Forbidden for those
	// who lack this one. Empty: what cannot be done is hidden or, for
	// abilities on the instance, forbidden.
	seen Ability
}

// rules is the table. Administrators have every ability in it.
var rules = map[Ability]rule{
	ReadProject:      {role: models.RoleGuest, internal: true, public: true},
	ReadCode:         {role: models.RoleReporter, internal: true, public: true},
	ReadStatusChecks: {role: models.RoleReporter, internal: true},
	ReadServiceURL:   {role: models.RoleDeveloper},

	CreateMergeRequest: {role: models.RoleDeveloper, seen: ReadCode},
	UpdateMergeRequest: {role: models.RoleDeveloper, seen: ReadCode},
	Approve:            {role: models.RoleDeveloper, seen: ReadCode},
	Merge:              {role: models.RoleDeveloper, seen: ReadCode},
	PushCode:           {role: models.RoleDeveloper, seen: ReadCode},
	RetryStatusCheck:   {role: models.RoleDeveloper, seen: ReadCode},
	SetStatus:          {role: models.RoleDeveloper, seen: ReadCode},

	ManageStatusChecks:      {role: models.RoleMaintainer, seen: ReadProject},
	ManageProtectedBranches: {role: models.RoleMaintainer, seen: ReadProject},
	ManageMembers:           {role: models.RoleMaintainer, seen: ReadProject},
	ManageTokens:            {role: models.RoleMaintainer, seen: ReadProject},
	ManageMergeChecks:       {role: models.RoleMaintainer, seen: ReadProject},
	ReadDeliveries:          {role: models.RoleMaintainer, seen: ReadProject},
	ReadAuditEvents:         {role: models.RoleMaintainer, seen: ReadProject},

	AdminProject: {role: models.RoleOwner, seen: ReadProject},
	ManageOwners: {role: models.RoleOwner, seen: ReadProject},

	CreateProject:   {signedIn: true},
	CreateNamespace: {},
	ManageUsers:     {},
}

// onInstance holds the abilities that concern no project, so there is nothing
// to hide from those who lack them.
var onInstance = map[Ability]bool{CreateProject: true, CreateNamespace: true, ManageUsers: true}

// Can reports whether the subject has the ability. It is pure: everything that
// decides is in the subject. An ability that is not in the table is nobody's.
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

// Decide is Can with the reason for a refusal: what the subject may not see is
// Hidden, what it may see but not do is Forbidden.
func Decide(s Subject, a Ability) Verdict {
	switch {
	case Can(s, a):
		return Allowed
	case onInstance[a]:
		return Forbidden
	case rules[a].seen != "" && Can(s, rules[a].seen):
		return Forbidden
	}
	return Hidden
}
