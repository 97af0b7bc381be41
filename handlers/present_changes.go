package handlers

import (
	"fmt"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
)

const (
	// maxFileLines limits the lines that are shown of one file, maxLines those of all files.
	maxFileLines = 2000
	maxLines     = 5_000
)

// presentChanges returns the content of the Changes tab.
func presentChanges(diff gitrepo.Diff) views.ChangeList {
	v := views.ChangeList{
		Additions: diff.Additions, Deletions: diff.Deletions,
		MoreFiles: diff.TotalFiles - len(diff.Files), Uncounted: diff.MoreFiles,
	}
	statuses := map[gitrepo.FileStatus]views.FileStatus{
		gitrepo.FileAdded: views.FileAdded, gitrepo.FileDeleted: views.FileDeleted, gitrepo.FileRenamed: views.FileRenamed,
	}
	left := maxLines
	for i, file := range diff.Files {
		status, special := statuses[file.Status]
		if !special {
			status = views.FileModified
		}
		row := views.ChangedFile{
			ID: fmt.Sprintf("file-%d", i+1), Path: file.NewPath, Status: status, Additions: file.Additions, Deletions: file.Deletions,
			Binary: file.Binary, Cut: file.TooLarge || file.Truncated,
		}
		if file.OldPath != file.NewPath {
			row.OldPath = file.OldPath
		}
		if file.Status != gitrepo.FileAdded && file.Status != gitrepo.FileDeleted && file.OldMode != file.NewMode {
			row.OldMode, row.NewMode = file.OldMode, file.NewMode
		}
		most := min(maxFileLines, left)
		row.Lines = diffLines(file.Patch, most+1)
		if len(row.Lines) > most {
			row.Lines, row.Cut = row.Lines[:most], true
		}
		left -= len(row.Lines)
		if row.Cut {
			v.CutFiles++
		}
		v.Files = append(v.Files, row)
	}
	return v
}

// diffCommand returns the git commands that show all changes of a merge request in a clone.
// HEAD is fetched by number, which also works after the branch was deleted.
func diffCommand(mr models.MergeRequest, base string) string {
	return fmt.Sprintf("git fetch origin refs/merge-requests/%d/head && git diff %s FETCH_HEAD", mr.IID, shortSHA(base))
}
