package models

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestAutoMergeReasons(t *testing.T) {
	check := func(status Status) MergeRequestCheck {
		return MergeRequestCheck{Status: status, PendingSince: noon, TimeoutSeconds: 120}
	}
	passed, pending, failed := check(StatusPassed), check(StatusPending), check(StatusFailed)
	open := MergeRequest{State: StateOpened}
	tests := []struct {
		name   string
		mr     MergeRequest
		checks []MergeRequestCheck
		want   []BlockReason
		awaits bool
	}{
		{"no checks", open, nil, nil, false},
		{"all passed", open, []MergeRequestCheck{passed, passed}, nil, false},
		{"one pending", open, []MergeRequestCheck{passed, pending}, []BlockReason{BlockedStatusChecks}, true},
		{"one failed", open, []MergeRequestCheck{failed, passed}, []BlockReason{BlockedStatusChecks}, true},
		{"draft", MergeRequest{State: StateOpened, Draft: true}, []MergeRequestCheck{passed},
			[]BlockReason{BlockedDraft}, false},
		{"draft and pending", MergeRequest{State: StateOpened, Draft: true}, []MergeRequestCheck{pending},
			[]BlockReason{BlockedDraft, BlockedStatusChecks}, false},
		{"source deleted", MergeRequest{State: StateOpened, SourceBranchDeleted: true}, []MergeRequestCheck{passed},
			[]BlockReason{BlockedSourceGone}, false},
		{"closed", MergeRequest{State: StateClosed}, []MergeRequestCheck{passed}, []BlockReason{BlockedNotOpen}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := autoMergeReasons(test.mr, test.checks, noon); !slices.Equal(got, test.want) {
				t.Errorf("autoMergeReasons = %v, want %v", got, test.want)
			}
			if got := AwaitsChecks(test.mr, test.checks, noon); got != test.awaits {
				t.Errorf("AwaitsChecks = %v, want %v", got, test.awaits)
			}
		})
	}
}

func TestJudgeAutoMerge(t *testing.T) {
	technical := errors.New("git failed")
	tests := []struct {
		name     string
		err      error
		attempts int
		want     autoMergeOutcome
		reason   AbortReason
	}{
		{"merged", nil, 1, autoMergeOver, ""},
		{"cancelled or set again", fmt.Errorf("wrapped: %w", errAutoMergeChanged), 1, autoMergeOver, ""},
		{"merged by somebody else", blocked(BlockedNotOpen), 1, autoMergeOver, ""},
		{"project deleted", notFound("merge request"), 1, autoMergeOver, ""},
		{"check failed again", blocked(BlockedStatusChecks), 1, autoMergeWaits, ""},
		{"draft, and check failed", blocked(BlockedDraft, BlockedStatusChecks), 1,
			autoMergeAborts, AbortReason(BlockedDraft)},
		{"conflict", &Error{Code: CodeConflicts, Reasons: []BlockReason{BlockedConflict}}, 1,
			autoMergeAborts, AbortReason(BlockedConflict)},
		{"no commits", blocked(BlockedNoCommits), 1, autoMergeAborts, AbortReason(BlockedNoCommits)},
		{"other HEAD", conflict(CodeStaleSHA), 1, autoMergeAborts, AbortedByPush},
		{"user blocked", forbidden(CodeUserInactive), 1, autoMergeAborts, AbortedByUser},
		{"no right", forbidden(CodeProtectedBranch), 1, autoMergeAborts, AbortedByRole},
		{"target moved", conflict(CodeTargetMoved), 7, autoMergeRetries, ""},
		{"target moved, last attempt", conflict(CodeTargetMoved), 8, autoMergeAborts, AbortedByTarget},
		{"technical error", technical, 7, autoMergeRetries, ""},
		{"technical error, last attempt", technical, 8, autoMergeAborts, AbortedByError},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got, reason := judgeAutoMerge(test.err, test.attempts); got != test.want || reason != test.reason {
				t.Errorf("got %v, %q; want %v, %q", got, reason, test.want, test.reason)
			}
		})
	}
}

func TestAutoMergeDelay(t *testing.T) {
	for attempts, want := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second, 7: time.Minute, 100: time.Minute,
	} {
		if got := autoMergeDelay(attempts); got != want {
			t.Errorf("after %d attempts: %s, want %s", attempts, got, want)
		}
	}
}
