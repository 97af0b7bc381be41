package handlers

import (
	"context"

	"github.com/mergegate/mergegate/models"
)

// MergeRequestGit is the part of Git that the pages of a merge request need.
// All ids are whole commit ids.
type MergeRequestGit interface {
	// MergeBase is where two commits parted; ok is false where they never were
	// one.
	MergeBase(ctx context.Context, projectID int64, a, b string) (sha string, ok bool, err error)
	// Commits lists the commits of to that from lacks, newest first, from offset
	// on, limit at most.
	Commits(ctx context.Context, projectID int64, from, to string, offset, limit int) ([]models.Commit, error)
	// CountFiles counts the files that differ between two commits, as Changes
	// does in TotalFiles; all is false where there are too many to count.
	CountFiles(ctx context.Context, projectID int64, base, head string) (n int, all bool, err error)
	// Changes compares two commits; an empty base stands for no files. What is
	// too large is cut, and says so.
	Changes(ctx context.Context, projectID int64, base, head string) (Changes, error)
	// BranchStamp is a text that changes when a branch moves, comes or goes. It
	// may change without that, and costs next to nothing.
	BranchStamp(projectID int64, branch string) string
	// Conflicts names the files that a merge of source into target could not
	// merge; none when it could. What else prevents the merge is a *models.Error
	// with its Reasons.
	Conflicts(ctx context.Context, projectID int64, targetSHA, sourceSHA string) ([]string, error)
}

// Changes is what differs between two commits.
type Changes struct {
	Files []FileChange
	// TotalFiles counts all changed files, listed or not.
	TotalFiles int
	// MoreFiles says that there are more than TotalFiles, too many to count.
	MoreFiles            bool
	Additions, Deletions int
}

// FileChange is one changed file.
type FileChange struct {
	// Path is the file's name now; OldPath the one before.
	Path, OldPath string
	// Status is git's letter: A, D, M, R or T.
	Status string
	// OldMode and NewMode are git's modes, octal; they say who may run a file and
	// what is a link.
	OldMode, NewMode     string
	Additions, Deletions int
	Binary               bool
	// Patch holds the file's hunks, beginning with "@@", in valid UTF-8.
	Patch string
	// Cut says that Patch ends early for the file's size, LeftOut that it is
	// missing because the changes together were too large.
	Cut, LeftOut bool
}
