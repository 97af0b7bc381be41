package models

import "time"

// AbortReason is why auto-merge ended without a merge. Besides the values below it can
// be a BlockReason.
type AbortReason string

// The reasons that are not a BlockReason.
const (
	// AbortedByPush: HEAD is no longer the commit for which auto-merge was set.
	AbortedByPush AbortReason = "new_commits"
	// AbortedByClose: the merge request was closed.
	AbortedByClose AbortReason = "closed"
	// AbortedByRetarget: the target branch of the merge request was changed.
	AbortedByRetarget AbortReason = "target_branch_changed"
	// AbortedByUser: the account of the user who set it is blocked or deleted, or the
	// token of the bot that set it has ended.
	AbortedByUser AbortReason = "user_inactive"
	// AbortedByRole: the user who set it may no longer merge into the target.
	AbortedByRole AbortReason = "not_allowed"
	// AbortedByTarget: the target branch moved during every attempt.
	AbortedByTarget AbortReason = "target_moved"
	// AbortedByError: every attempt failed for a technical reason.
	AbortedByError AbortReason = "merge_failed"
)

// HasAutoMerge reports whether auto-merge is set: the merge request is merged as soon
// as all its checks have passed.
func (m MergeRequest) HasAutoMerge() bool { return m.AutoMergeAt != nil }

// setAutoMerge sets auto-merge for HEAD on behalf of a user.
func (m *MergeRequest) setAutoMerge(by User, o MergeOptions, now time.Time) {
	m.endAutoMerge("", now)
	m.AutoMergeAt, m.AutoMergeUserID, m.AutoMergeSHA = &now, ID(by.ID), m.HeadSHA
	m.AutoMergeSquash, m.AutoMergeRemoveSource, m.AutoMergeMessage = o.Squash, o.RemoveSourceBranch, o.Message
}

// endAutoMerge removes auto-merge. With a reason it keeps the user who had set it and
// the reason, which pages show.
func (m *MergeRequest) endAutoMerge(reason AbortReason, now time.Time) {
	m.AutoMergeAt, m.AutoMergeSHA, m.AutoMergeMessage = nil, "", ""
	m.AutoMergeSquash, m.AutoMergeRemoveSource = false, false
	m.AutoMergeAttempts, m.AutoMergeNextAt = 0, nil
	m.AutoMergeAborted, m.AutoMergeAbortedAt = reason, nil
	if reason == "" {
		m.AutoMergeUserID, m.AutoMergeUser = nil, nil
	} else {
		m.AutoMergeAbortedAt = &now
	}
}

// allPassed reports whether every check that is not informational is passed at now. It is
// true without checks.
func allPassed(checks []MergeRequestCheck, now time.Time) bool {
	for _, check := range checks {
		if check.Blocks(now) {
			return false
		}
	}
	return true
}

// AwaitsChecks reports whether an open merge request could be merged if its checks were
// passed, as far as the database knows, and they are not. Then auto-merge can be set.
func AwaitsChecks(mr MergeRequest, checks []MergeRequestCheck, now time.Time) bool {
	return len(stateReasons(mr)) == 0 && !allPassed(checks, now)
}

// autoMergeReasons returns the reasons against an automatic merge at now. Unlike
// Mergeable it requires that all checks have passed in every project.
func autoMergeReasons(mr MergeRequest, checks []MergeRequestCheck, now time.Time) []BlockReason {
	reasons := stateReasons(mr)
	if !allPassed(checks, now) {
		reasons = append(reasons, BlockedStatusChecks)
	}
	return reasons
}

const (
	// autoMergeLease is how long one attempt may take before another process tries.
	autoMergeLease = 30 * time.Second
	// maxAutoMergeAttempts is how many attempts fail before auto-merge is aborted.
	maxAutoMergeAttempts = 8
)

// autoMergeDelay returns the wait after an attempt that failed: 1 s, doubling to 1 min.
func autoMergeDelay(attempts int) time.Duration {
	return min(time.Second<<max(0, min(attempts-1, 10)), time.Minute)
}

// autoMergeOutcome is what follows from an error of an automatic merge.
type autoMergeOutcome int

const (
	// autoMergeOver: there is nothing to merge any more.
	autoMergeOver autoMergeOutcome = iota
	// autoMergeWaits: a check is pending or failed again.
	autoMergeWaits
	// autoMergeRetries: try again later.
	autoMergeRetries
	// autoMergeAborts: give up and show the reason.
	autoMergeAborts
)

// judgeAutoMerge returns what follows from the error of an automatic merge after a
// number of attempts, with the reason for autoMergeAborts.
func judgeAutoMerge(err error, attempts int) (autoMergeOutcome, AbortReason) {
	reasons := reasonsOf(err)
	switch {
	case err == nil, KindOf(err) == KindNotFound, isAutoMergeChanged(err):
		return autoMergeOver, ""
	case len(reasons) > 0 && reasons[0] == BlockedNotOpen:
		return autoMergeOver, ""
	case len(reasons) > 0 && reasons[0] == BlockedStatusChecks:
		return autoMergeWaits, ""
	case len(reasons) > 0:
		return autoMergeAborts, AbortReason(reasons[0])
	case CodeOf(err) == CodeStaleSHA:
		return autoMergeAborts, AbortedByPush
	case CodeOf(err) == CodeUserInactive:
		return autoMergeAborts, AbortedByUser
	case KindOf(err) == KindForbidden:
		return autoMergeAborts, AbortedByRole
	case attempts < maxAutoMergeAttempts:
		return autoMergeRetries, ""
	case CodeOf(err) == CodeTargetMoved:
		return autoMergeAborts, AbortedByTarget
	}
	return autoMergeAborts, AbortedByError
}
