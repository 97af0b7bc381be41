package models

import (
	"slices"
	"time"
)

// AuditAction names what an audit event records.
type AuditAction string

// The audited actions.
const (
	AuditSignedIn             AuditAction = "signed_in"
	AuditSignInFailed         AuditAction = "sign_in_failed"
	AuditSignedOut            AuditAction = "signed_out"
	AuditSessionEnded         AuditAction = "session_ended"
	AuditUserCreated          AuditAction = "user_created"
	AuditUserUpdated          AuditAction = "user_updated"
	AuditUserBlocked          AuditAction = "user_blocked"
	AuditUserUnblocked        AuditAction = "user_unblocked"
	AuditUserRemoved          AuditAction = "user_removed"
	AuditUserInvited          AuditAction = "user_invited"
	AuditInvitationAccepted   AuditAction = "invitation_accepted"
	AuditPasswordReset        AuditAction = "password_reset"
	AuditNamespaceCreated     AuditAction = "namespace_created"
	AuditNamespaceRemoved     AuditAction = "namespace_removed"
	AuditRecoveryRequested    AuditAction = "recovery_requested"
	AuditPasswordChanged      AuditAction = "password_changed"
	AuditProjectCreated       AuditAction = "project_created"
	AuditProjectUpdated       AuditAction = "project_updated"
	AuditProjectRemoved       AuditAction = "project_removed"
	AuditMemberAdded          AuditAction = "member_added"
	AuditMemberChanged        AuditAction = "member_changed"
	AuditMemberRemoved        AuditAction = "member_removed"
	AuditTokenCreated         AuditAction = "token_created"
	AuditTokenRevoked         AuditAction = "token_revoked"
	AuditBranchProtected      AuditAction = "branch_protected"
	AuditBranchChanged        AuditAction = "protected_branch_changed"
	AuditBranchUnprotected    AuditAction = "branch_unprotected"
	AuditStatusCheckAdded     AuditAction = "status_check_added"
	AuditStatusCheckUpdated   AuditAction = "status_check_updated"
	AuditStatusCheckRemoved   AuditAction = "status_check_removed"
	AuditStatusCheckApplied   AuditAction = "status_check_applied"
	AuditBreakerOpened        AuditAction = "circuit_breaker_opened"
	AuditBreakerClosed        AuditAction = "circuit_breaker_closed"
	AuditResponse             AuditAction = "status_check_response"
	AuditRetry                AuditAction = "status_check_retried"
	AuditTimeout              AuditAction = "status_check_timed_out"
	AuditRedelivered          AuditAction = "deliveries_redelivered"
	AuditMergeRequestMerged   AuditAction = "merge_request_merged"
	AuditMergeRequestClosed   AuditAction = "merge_request_closed"
	AuditMergeRequestReopened AuditAction = "merge_request_reopened"
	AuditAutoMergeSet         AuditAction = "auto_merge_set"
	AuditAutoMergeCancelled   AuditAction = "auto_merge_cancelled"
	AuditAutoMergeAborted     AuditAction = "auto_merge_aborted"
)

// TargetsMergeRequest reports whether TargetID of the event is the iid of a merge
// request.
func (a AuditAction) TargetsMergeRequest() bool {
	switch a {
	case AuditResponse, AuditRetry, AuditTimeout, AuditMergeRequestMerged, AuditMergeRequestClosed, AuditMergeRequestReopened,
		AuditAutoMergeSet, AuditAutoMergeCancelled, AuditAutoMergeAborted:
		return true
	}
	return false
}

// AuditChange is the value of one field before and after a change. "" means no value.
type AuditChange struct {
	Field string `json:"field"`
	From  string `json:"from,omitempty"`
	To    string `json:"to,omitempty"`
}

// AuditEvent records who did what. It stores names as text, because it outlives the
// user and the target.
type AuditEvent struct {
	ID        int64
	ProjectID *int64
	UserID    *int64
	// User is nil if the account was deleted; UserName stays.
	User     *User
	UserName string
	Action   AuditAction
	// Target is the name of what was changed, TargetID its id or iid.
	Target   string
	TargetID int64
	Details  []AuditChange `gorm:"serializer:json"`
	// IP is the address of the client; "" for events that no request caused.
	IP        string
	CreatedAt time.Time
}

// AuditKind is a group of related audit actions.
type AuditKind string

// The kinds of a project's audit events, and those that happen outside one.
const (
	AuditKindStatusChecks  AuditKind = "status_checks"
	AuditKindMergeRequests AuditKind = "merge_requests"
	AuditKindMembers       AuditKind = "members"
	AuditKindTokens        AuditKind = "tokens"
	AuditKindBranches      AuditKind = "branches"
	AuditKindProject       AuditKind = "project"
	AuditKindSignIns       AuditKind = "sign_ins"
	AuditKindUsers         AuditKind = "users"
	AuditKindInstance      AuditKind = "instance"
)

// auditKinds maps each kind to its actions. Every action belongs to one kind.
var auditKinds = map[AuditKind][]AuditAction{
	AuditKindStatusChecks: {
		AuditStatusCheckAdded, AuditStatusCheckUpdated, AuditStatusCheckRemoved, AuditStatusCheckApplied, AuditResponse, AuditRetry, AuditTimeout,
		AuditBreakerOpened, AuditBreakerClosed, AuditRedelivered,
	},
	AuditKindMergeRequests: {
		AuditMergeRequestMerged, AuditMergeRequestClosed, AuditMergeRequestReopened,
		AuditAutoMergeSet, AuditAutoMergeCancelled, AuditAutoMergeAborted,
	},
	AuditKindMembers:  {AuditMemberAdded, AuditMemberChanged, AuditMemberRemoved},
	AuditKindTokens:   {AuditTokenCreated, AuditTokenRevoked},
	AuditKindBranches: {AuditBranchProtected, AuditBranchChanged, AuditBranchUnprotected},
	AuditKindProject:  {AuditProjectCreated, AuditProjectUpdated, AuditProjectRemoved},
	AuditKindSignIns:  {AuditSignedIn, AuditSignInFailed, AuditSignedOut, AuditSessionEnded, AuditPasswordChanged},
	AuditKindUsers: {
		AuditUserCreated, AuditUserUpdated, AuditUserBlocked, AuditUserUnblocked, AuditUserRemoved, AuditUserInvited,
		AuditInvitationAccepted, AuditPasswordReset,
	},
	AuditKindInstance: {AuditNamespaceCreated, AuditNamespaceRemoved, AuditRecoveryRequested},
}

// AuditKindsOf returns the kinds of a project's audit events or, if projectID is 0, the
// kinds of events outside projects.
func AuditKindsOf(projectID int64) []AuditKind {
	if projectID == 0 {
		return []AuditKind{AuditKindSignIns, AuditKindUsers, AuditKindTokens, AuditKindProject, AuditKindInstance}
	}
	return []AuditKind{AuditKindStatusChecks, AuditKindMergeRequests, AuditKindMembers, AuditKindTokens, AuditKindBranches, AuditKindProject}
}

// AllAuditKinds returns the kinds of events in and outside projects.
func AllAuditKinds() []AuditKind {
	kinds := AuditKindsOf(0)
	for _, kind := range AuditKindsOf(1) {
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// AuditFilter narrows a list of audit events. The zero value selects all of them.
type AuditFilter struct {
	// Kind is "" for all kinds. An unknown kind matches nothing.
	Kind AuditKind
	// From is inclusive and Before exclusive; zero means no limit.
	From, Before time.Time
	// Everywhere selects events of all projects and those outside projects, instead of
	// those of one project.
	Everywhere bool
	// Author, unless empty, is the user name of who did it.
	Author string
	// Entity, unless empty, is what the events concern, and EntityID, unless 0, its id.
	Entity   AuditEntity
	EntityID int64
}

// AuditEntity is what an audit event concerns, in GitLab's words.
type AuditEntity string

// The entities. Events outside projects concern a user or the instance.
const (
	AuditEntityProject  AuditEntity = "Project"
	AuditEntityUser     AuditEntity = "User"
	AuditEntityInstance AuditEntity = "Gitlab::Audit::InstanceScope"
)

// userActions are the actions outside projects whose target is a user.
var userActions = slices.Concat(auditKinds[AuditKindUsers], auditKinds[AuditKindSignIns])

// Entity returns what the event concerns, and its id.
func (e AuditEvent) Entity() (AuditEntity, int64) {
	switch {
	case e.ProjectID != nil:
		return AuditEntityProject, *e.ProjectID
	case slices.Contains(userActions, e.Action):
		return AuditEntityUser, e.TargetID
	}
	return AuditEntityInstance, 1
}
