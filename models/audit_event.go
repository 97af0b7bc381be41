package models

import "time"

// AuditAction names what an audit event records.
type AuditAction string

// The audited actions.
const (
	AuditSignedIn             AuditAction = "signed_in"
	AuditSignInFailed         AuditAction = "sign_in_failed"
	AuditSignedOut            AuditAction = "signed_out"
	AuditSessionEnded         AuditAction = "session_ended"
	AuditUserCreated          AuditAction = "user_created"
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
	AuditResponse             AuditAction = "status_check_response"
	AuditRetry                AuditAction = "status_check_retried"
	AuditTimeout              AuditAction = "status_check_timed_out"
	AuditMergeRequestMerged   AuditAction = "merge_request_merged"
	AuditMergeRequestClosed   AuditAction = "merge_request_closed"
	AuditMergeRequestReopened AuditAction = "merge_request_reopened"
)

// TargetsMergeRequest reports whether TargetID of such an event is the iid of the
// merge request that it happened on.
func (a AuditAction) TargetsMergeRequest() bool {
	switch a {
	case AuditResponse, AuditRetry, AuditTimeout, AuditMergeRequestMerged, AuditMergeRequestClosed, AuditMergeRequestReopened:
		return true
	}
	return false
}

// AuditChange is one value before and after; "" where there was none.
type AuditChange struct {
	Field string `json:"field"`
	From  string `json:"from,omitempty"`
	To    string `json:"to,omitempty"`
}

// AuditEvent says who did what. Names are text: it outlives its subject.
type AuditEvent struct {
	ID        int64
	ProjectID *int64
	UserID    *int64
	// User is nil once the account has gone; UserName stays.
	User     *User
	UserName string
	Action   AuditAction
	// Target is the name of what was changed, TargetID its id or iid.
	Target   string
	TargetID int64
	Details  []AuditChange `gorm:"serializer:json"`
	// IP is where the person or service came from; "" for what happens by
	// itself.
	IP        string
	CreatedAt time.Time
}

// AuditKind is a group of audited actions that belong together.
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
)

// auditKinds are the actions of each kind; every action has one.
var auditKinds = map[AuditKind][]AuditAction{
	AuditKindStatusChecks: {
		AuditStatusCheckAdded, AuditStatusCheckUpdated, AuditStatusCheckRemoved, AuditStatusCheckApplied, AuditResponse, AuditRetry, AuditTimeout,
	},
	AuditKindMergeRequests: {AuditMergeRequestMerged, AuditMergeRequestClosed, AuditMergeRequestReopened},
	AuditKindMembers:       {AuditMemberAdded, AuditMemberChanged, AuditMemberRemoved},
	AuditKindTokens:        {AuditTokenCreated, AuditTokenRevoked},
	AuditKindBranches:      {AuditBranchProtected, AuditBranchChanged, AuditBranchUnprotected},
	AuditKindProject:       {AuditProjectCreated, AuditProjectUpdated, AuditProjectRemoved},
	AuditKindSignIns:       {AuditSignedIn, AuditSignInFailed, AuditSignedOut, AuditSessionEnded, AuditPasswordChanged},
	AuditKindUsers:         {AuditUserCreated},
}

// AuditKindsOf are the kinds that a project's audit events are of, or with
// projectID 0 those outside projects.
func AuditKindsOf(projectID int64) []AuditKind {
	if projectID == 0 {
		return []AuditKind{AuditKindSignIns, AuditKindUsers, AuditKindTokens, AuditKindProject}
	}
	return []AuditKind{AuditKindStatusChecks, AuditKindMergeRequests, AuditKindMembers, AuditKindTokens, AuditKindBranches, AuditKindProject}
}

// AuditFilter narrows a list of audit events; the zero value is all of them.
type AuditFilter struct {
	// Kind is "" for every kind. An unknown one matches nothing.
	Kind AuditKind
	// From is the first moment, Before the first one after the last; zero for
	// no limit.
	From, Before time.Time
}
