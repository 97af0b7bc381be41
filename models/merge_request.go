package models

import (
	"errors"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MergeRequestState is the state of a merge request.
type MergeRequestState string

// The states of a merge request, in GitLab's words.
const (
	StateOpened MergeRequestState = "opened"
	StateClosed MergeRequestState = "closed"
	StateMerged MergeRequestState = "merged"
)

// known reports whether the state is one that merge requests can have, or empty.
func (s MergeRequestState) known() bool {
	return s == "" || s == StateOpened || s == StateClosed || s == StateMerged
}

// Limits of a merge request's texts, in characters (GitLab's).
const (
	MaxTitleLength             = 255
	MaxMergeRequestDescription = 1048576
)

// MergeRequest asks to merge one branch into another. HeadSHA is HEAD: the commit that
// responses and the merge rules refer to. It lags behind the branch until the push is
// recorded.
type MergeRequest struct {
	ID                  int64
	ProjectID           int64
	IID                 int64 `gorm:"column:iid"`
	Title               string
	Description         string
	SourceBranch        string
	TargetBranch        string
	AuthorID            *int64
	Author              *User
	State               MergeRequestState
	Draft               bool
	HeadSHA             string `gorm:"column:head_sha"`
	HeadMessage         string
	HeadAuthorName      string
	HeadAuthorEmail     string
	HeadCommittedAt     time.Time
	SourceBranchDeleted bool
	RemoveSourceBranch  bool
	Squash              bool
	MergeCommitSHA      string `gorm:"column:merge_commit_sha"`
	SquashCommitSHA     string `gorm:"column:squash_commit_sha"`
	MergeUserID         *int64
	MergeUser           *User
	MergedAt            *time.Time
	// ChecksRequired is the value of "Status checks must succeed" when the merge
	// request was merged; nil if it is not merged or the value was not recorded.
	ChecksRequired      *bool
	ClosedByID          *int64
	ClosedBy            *User
	ClosedAt            *time.Time
	UpdatedByID         *int64
	LastEditedAt        *time.Time
	LastEditedByID      *int64
	MergingSHA          string `gorm:"column:merging_sha"`
	MergingHeadSHA      string `gorm:"column:merging_head_sha"`
	MergingBaseSHA      string `gorm:"column:merging_base_sha"`
	MergingSquash       bool
	MergingRemoveSource bool
	MergingUserID       *int64
	MergingStartedAt    *time.Time
	// AutoMergeAt is when auto-merge was set, nil if it is not set. AutoMergeSHA is HEAD
	// then. AutoMergeUser is who set it, also after it was aborted.
	AutoMergeAt           *time.Time
	AutoMergeUserID       *int64
	AutoMergeUser         *User
	AutoMergeSHA          string `gorm:"column:auto_merge_sha"`
	AutoMergeSquash       bool
	AutoMergeRemoveSource bool
	AutoMergeMessage      string
	// AutoMergeAttempts counts failed attempts. AutoMergeNextAt is when the next one may
	// start, nil for at once.
	AutoMergeAttempts int
	AutoMergeNextAt   *time.Time
	// AutoMergeAborted is why auto-merge ended without a merge, "" if it did not.
	AutoMergeAborted   AbortReason
	AutoMergeAbortedAt *time.Time
	// Incomplete is what recovery still has to do for the operation that returned this
	// value; nil if nothing. It is not stored.
	Incomplete error `gorm:"-"`
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Approval is one user's approval of a merge request.
type Approval struct {
	ID             int64
	MergeRequestID int64
	UserID         int64
	User           User
	CreatedAt      time.Time
}

// Commit holds what payloads and pages show of a commit.
type Commit struct {
	SHA         string
	Message     string
	AuthorName  string
	AuthorEmail string
	CommittedAt time.Time
}

// Title returns the first line of the message.
func (c Commit) Title() string {
	title, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	return strings.TrimSpace(title)
}

// SuggestedTitle derives a merge request title from the commit's subject and reports
// whether the subject marks a draft. The title has no draft prefix and is short enough
// to get one. It is empty if the subject is.
func (c Commit) SuggestedTitle() (title string, draft bool) {
	title = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(c.Title(), "\uFFFD"))
	title = strings.Join(strings.Fields(title), " ")
	draft = IsDraftTitle(title)
	title = strings.TrimSpace(WithDraft(title, false))
	return strings.TrimSpace(cutText(title, MaxTitleLength-len("Draft: "))), draft
}

// Head returns HEAD as a commit, from the merge request's own row.
func (m MergeRequest) Head() Commit {
	return Commit{
		SHA: m.HeadSHA, Message: m.HeadMessage,
		AuthorName: m.HeadAuthorName, AuthorEmail: m.HeadAuthorEmail, CommittedAt: m.HeadCommittedAt,
	}
}

// maxStoredMessage limits the stored commit message, in bytes.
const maxStoredMessage = 64 << 10

func (m *MergeRequest) setHead(c Commit) {
	m.HeadSHA = c.SHA
	m.HeadMessage = cutBytes(strings.ReplaceAll(strings.ToValidUTF8(c.Message, "\uFFFD"), "\x00", ""), maxStoredMessage)
	m.HeadAuthorName = cutBytes(strings.ReplaceAll(strings.ToValidUTF8(c.AuthorName, "\uFFFD"), "\x00", ""), 1024)
	m.HeadAuthorEmail = cutBytes(strings.ReplaceAll(strings.ToValidUTF8(c.AuthorEmail, "\uFFFD"), "\x00", ""), 1024)
	m.HeadCommittedAt = dbTime(c.CommittedAt)
}

// cutText cuts s to at most n characters.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// cutBytes cuts s to at most n bytes without splitting a character.
func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

var draftPrefix = regexp.MustCompile(`(?i)^\s*(\[draft\]|\(draft\)|draft:)\s*`)

// IsDraftTitle reports whether a title begins with "Draft:", "[Draft]" or "(Draft)", in
// upper or lower case.
func IsDraftTitle(title string) bool { return draftPrefix.MatchString(title) }

// WithDraft returns the title with or without a draft prefix.
func WithDraft(title string, draft bool) string {
	if draft == IsDraftTitle(title) {
		return title
	}
	if draft {
		return "Draft: " + title
	}
	for IsDraftTitle(title) {
		title = draftPrefix.ReplaceAllString(title, "")
	}
	return title
}

// MergeRequestInput creates a merge request.
type MergeRequestInput struct {
	Title              string
	Description        string
	SourceBranch       string
	TargetBranch       string
	Squash             bool
	RemoveSourceBranch bool
}

// MergeRequestUpdate edits a merge request. Nil leaves a field unchanged.
type MergeRequestUpdate struct {
	Title              *string
	Description        *string
	TargetBranch       *string
	Draft              *bool
	Squash             *bool
	RemoveSourceBranch *bool
	// Version is the Version of the merge request that the form showed; "" disables the
	// check for concurrent edits.
	Version string
}

// Validate normalises the input and returns its field errors: title, description,
// source_branch, target_branch.
func (in *MergeRequestInput) Validate() error {
	var f fieldErrors
	in.Title = strings.TrimSpace(in.Title)
	checkTitle(&f, in.Title)
	checkBody(&f, in.Description)
	if in.SourceBranch == "" {
		f.add("source_branch", CodeBlank)
	} else if !ValidBranchName(in.SourceBranch) {
		f.add("source_branch", CodeUnknownBranch)
	}
	if in.TargetBranch == "" {
		f.add("target_branch", CodeBlank)
	} else if !ValidBranchName(in.TargetBranch) {
		f.add("target_branch", CodeUnknownBranch)
	}
	if in.SourceBranch != "" && in.SourceBranch == in.TargetBranch {
		f.add("target_branch", CodeSameBranch)
	}
	return f.err()
}

// Validate normalises the update and returns its field errors: title, description,
// target_branch.
func (in *MergeRequestUpdate) Validate() error {
	var f fieldErrors
	if in.Title != nil {
		title := strings.TrimSpace(*in.Title)
		in.Title = &title
		checkTitle(&f, title)
	}
	if in.Description != nil {
		checkBody(&f, *in.Description)
	}
	if in.TargetBranch != nil {
		if *in.TargetBranch == "" {
			f.add("target_branch", CodeBlank)
		} else if !ValidBranchName(*in.TargetBranch) {
			f.add("target_branch", CodeUnknownBranch)
		}
	}
	return f.err()
}

func checkTitle(f *fieldErrors, title string) {
	switch {
	case title == "":
		f.add("title", CodeBlank)
	case hasControl(title):
		f.add("title", CodeControlCharacter)
	case utf8.RuneCountInString(title) > MaxTitleLength:
		f.add("title", CodeTooLong, "max", "255")
	}
}

func checkBody(f *fieldErrors, text string) {
	if !validText(text) {
		f.add("description", CodeInvalid)
	} else if utf8.RuneCountInString(text) > MaxMergeRequestDescription {
		f.add("description", CodeTooLong, "max", "1048576")
	}
}

// BlockReason is a reason why a merge request cannot be merged.
type BlockReason string

// The reasons why a merge is blocked. Mergeable returns those that the database knows,
// RepositoryReasons the others.
const (
	BlockedNotOpen      BlockReason = "not_open"
	BlockedDraft        BlockReason = "draft_status"
	BlockedSourceGone   BlockReason = "source_branch_gone"
	BlockedTargetGone   BlockReason = "target_branch_gone"
	BlockedNoCommits    BlockReason = "commits_status"
	BlockedConflict     BlockReason = "conflict"
	BlockedUnrelated    BlockReason = "unrelated_histories"
	BlockedTooLarge     BlockReason = "too_large"
	BlockedStatusChecks BlockReason = "status_checks_must_pass"
)

// RepositoryReasons returns the reasons against a merge that only the repository knows,
// and the files in conflict. commits is the number of commits that the target lacks.
// conflicts is called only if there is something to merge. Pages and the API share this
// function; Merge fails for the same reasons.
func RepositoryReasons(targetExists bool, commits int, conflicts func() ([]string, error)) (reasons []BlockReason, files []string, err error) {
	switch {
	case !targetExists:
		return []BlockReason{BlockedTargetGone}, nil, nil
	case commits == 0:
		return []BlockReason{BlockedNoCommits}, nil, nil
	}
	files, err = conflicts()
	var blocked *Error
	switch {
	case errors.As(err, &blocked) && len(blocked.Reasons) > 0:
		return blocked.Reasons, nil, nil
	case err != nil:
		return nil, nil, err
	case len(files) > 0:
		return []BlockReason{BlockedConflict}, files, nil
	}
	return nil, nil, nil
}

// Mergeable returns the reasons, known to the database, why a merge request cannot be
// merged at now. It returns nil if there are none. Pages, the API and the merge itself
// use this function.
func Mergeable(project Project, mr MergeRequest, checks []MergeRequestCheck, now time.Time) []BlockReason {
	reasons := stateReasons(mr)
	if mr.State == StateOpened && project.OnlyAllowMergeIfAllStatusChecksPassed && !allPassed(checks, now) {
		reasons = append(reasons, BlockedStatusChecks)
	}
	return reasons
}

// stateReasons returns the reasons of Mergeable other than checks.
func stateReasons(mr MergeRequest) (reasons []BlockReason) {
	if mr.State != StateOpened {
		return []BlockReason{BlockedNotOpen}
	}
	if mr.Draft {
		reasons = append(reasons, BlockedDraft)
	}
	if mr.SourceBranchDeleted {
		reasons = append(reasons, BlockedSourceGone)
	}
	return reasons
}
