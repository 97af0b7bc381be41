package models

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kind classifies a failure. Each entry point (pages, API, git) maps kinds to its own
// status codes and texts.
type Kind int

// The kinds of failure.
const (
	KindInternal Kind = iota
	KindInvalid
	KindNotFound
	KindForbidden
	KindConflict
	KindUnprocessable
	// KindUnavailable is a temporary lack of resources: try again later.
	KindUnavailable
)

// Code identifies a particular failure, so that each entry point can word it. Users
// never see codes.
type Code string

// Codes of field errors and of whole operations.
const (
	CodeBlank            Code = "blank"
	CodeTooLong          Code = "too_long"
	CodeTooShort         Code = "too_short"
	CodeInvalid          Code = "invalid"
	CodeTaken            Code = "taken"
	CodeControlCharacter Code = "control_character"
	CodeReserved         Code = "reserved"
	CodeNotFound         Code = "not_found"
	CodeUnknownBranch    Code = "unknown_branch"
	CodeForeignBranch    Code = "foreign_branch"
	CodeImmutable        Code = "immutable"
	CodeSameBranch       Code = "same_branch"
	CodeNoCommits        Code = "no_commits"
	CodeAlreadyOpen      Code = "already_open"
	CodeTooFar           Code = "too_far"
	CodeInPast           Code = "in_past"
	CodeOutOfRange       Code = "out_of_range"
	CodeTooMany          Code = "too_many"
	CodeInvalidValue     Code = "invalid_value"
	CodeGivenAgain       Code = "given_again"
	CodeNotEncrypted     Code = "not_encrypted"
	CodeOutlivesToken    Code = "outlives_token"

	CodeStaleSHA         Code = "stale_sha"
	CodeCallbackOnly     Code = "callback_only"
	CodeNotOpen          Code = "not_open"
	CodeNotClosed        Code = "not_closed"
	CodeNotFailed        Code = "not_failed"
	CodeNotApproved      Code = "not_approved"
	CodeMergeBlocked     Code = "merge_blocked"
	CodeTargetMoved      Code = "target_moved"
	CodeConflicts        Code = "conflicts"
	CodeMemberExists     Code = "member_exists"
	CodeFormUsed         Code = "form_used"
	CodeLastOwner        Code = "last_owner"
	CodeOwnerOnly        Code = "owner_only"
	CodeRoleTooHigh      Code = "role_too_high"
	CodeBotMember        Code = "bot_member"
	CodeTokenEnded       Code = "token_ended"
	CodeProtectedBranch  Code = "protected_branch"
	CodeSourceBranchGone Code = "source_branch_gone"
	CodeTargetBranchGone Code = "target_branch_gone"
	CodeAlreadyProtected Code = "already_protected"
	CodeChangedMeanwhile Code = "changed_meanwhile"
	CodeGitTooLarge      Code = "git_too_large"
	CodeGitBusy          Code = "git_busy"
	CodeNoAutoMerge      Code = "no_auto_merge"
	CodeUserInactive     Code = "user_inactive"
	CodeLastAdmin        Code = "last_admin"
	CodeOwnAccount       Code = "own_account"
	CodeOnlyOwner        Code = "only_owner"
	CodeBotUser          Code = "bot_user"
	CodeNotEmpty         Code = "not_empty"
)

// FieldError is an error of one input field. Params are the values for its text.
type FieldError struct {
	Field  string
	Code   Code
	Params map[string]string
}

// Error is a failure that the caller can handle.
type Error struct {
	Kind   Kind
	Code   Code
	Fields []FieldError
	// Params holds facts for the text, such as "head" for a stale SHA.
	Params map[string]string
	// List holds facts that can be many: the files in conflict.
	List []string
	// Reasons says why a merge is blocked.
	Reasons []BlockReason
	Err     error
}

// Error returns one line for logs. Users see the text of their entry point instead.
func (e *Error) Error() string {
	var facts []string
	if e.Code != "" {
		facts = append(facts, string(e.Code))
	}
	for _, f := range e.Fields {
		facts = append(facts, fmt.Sprintf("%s=%s", f.Field, f.Code))
	}
	for _, k := range slices.Sorted(maps.Keys(e.Params)) {
		facts = append(facts, fmt.Sprintf("%s=%q", k, e.Params[k]))
	}
	line := []string{"models"}
	if len(facts) > 0 {
		line = append(line, strings.Join(facts, " "))
	}
	if e.Err != nil {
		line = append(line, e.Err.Error())
	}
	return strings.Join(line, ": ")
}

// Unwrap returns the cause, nil if there is none.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of err: that of an *Error, KindUnavailable if the database is
// down or busy, else KindInternal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	if isUnavailable(err) {
		return KindUnavailable
	}
	return KindInternal
}

// CodeOf returns the code of err, "" if it has none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// reasonsOf returns the reasons of a blocked merge, nil if err has none.
func reasonsOf(err error) []BlockReason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reasons
	}
	return nil
}

// FieldErrorsOf returns the field errors of err, nil if it has none.
func FieldErrorsOf(err error) []FieldError {
	var e *Error
	if errors.As(err, &e) {
		return e.Fields
	}
	return nil
}

// notFound is the error for something that does not exist or belongs to another
// project.
func notFound(what string) error {
	return &Error{Kind: KindNotFound, Code: CodeNotFound, Params: map[string]string{"what": what}}
}

func conflict(code Code) error      { return &Error{Kind: KindConflict, Code: code} }
func unprocessable(code Code) error { return &Error{Kind: KindUnprocessable, Code: code} }
func forbidden(code Code) error     { return &Error{Kind: KindForbidden, Code: code} }

// fieldErrors collects the field errors of an input.
type fieldErrors []FieldError

// add appends an error; params are pairs of name and value.
func (f *fieldErrors) add(field string, code Code, params ...string) {
	fe := FieldError{Field: field, Code: code}
	for i := 0; i+1 < len(params); i += 2 {
		if fe.Params == nil {
			fe.Params = map[string]string{}
		}
		fe.Params[params[i]] = params[i+1]
	}
	*f = append(*f, fe)
}

func (f fieldErrors) has(field string) bool {
	for _, fe := range f {
		if fe.Field == field {
			return true
		}
	}
	return false
}

// err returns all errors as one KindInvalid error, nil if there are none.
func (f fieldErrors) err() error {
	if len(f) == 0 {
		return nil
	}
	return &Error{Kind: KindInvalid, Code: CodeInvalid, Fields: f}
}
