package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
)

// commitsPageSize is how many commits a page of the Commits tab lists.
const commitsPageSize = 50

// mergeRequestCommits is the Commits tab.
func (p *pages) mergeRequestCommits(c echo.Context) error {
	mr, err := p.loadMergeRequest(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	base, err := p.diffBase(c, mr)
	if err != nil {
		return err
	}
	v := views.CommitList{}
	total, number := 0, pageNumber(c)
	if base != "" {
		if total, err = p.Git.CountCommits(ctx, mr.ProjectID, base, mr.HeadSHA); err != nil {
			return err
		}
		number = min(number, max(1, (total+commitsPageSize-1)/commitsPageSize))
		commits, err := p.Git.Commits(ctx, mr.ProjectID, base, mr.HeadSHA, (number-1)*commitsPageSize, commitsPageSize)
		if err != nil {
			return err
		}
		for _, commit := range commits {
			v.Commits = append(v.Commits, presentCommit(commit))
		}
	}
	v.Pages = linksBySize(c.Request().URL.EscapedPath(), c.Request().URL.Query(), commitsPageSize, number, len(v.Commits), int64(total))
	page, err := p.mergeRequestPage(c, mr)
	if err != nil {
		return err
	}
	v.Head = p.presentHead(c, mr, views.TabCommits, total)
	return render(c, http.StatusOK, views.MergeRequestCommits(page, v))
}

// mergeRequestChanges is the Changes tab.
func (p *pages) mergeRequestChanges(c echo.Context) error {
	mr, err := p.loadMergeRequest(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	base, err := p.diffBase(c, mr)
	if err != nil {
		return err
	}
	var changes Changes
	total := 0
	if base != "" {
		if changes, err = p.Git.Changes(ctx, mr.ProjectID, base, mr.HeadSHA); err != nil {
			return err
		}
		if total, err = p.Git.CountCommits(ctx, mr.ProjectID, base, mr.HeadSHA); err != nil {
			return err
		}
	}
	page, err := p.mergeRequestPage(c, mr)
	if err != nil {
		return err
	}
	v := presentChanges(changes)
	v.Command = diffCommand(mr, base)
	v.Head = p.presentHead(c, mr, views.TabChanges, total)
	v.Head.Changes = changes.TotalFiles
	return render(c, http.StatusOK, views.MergeRequestChanges(page, v))
}

// diffBase is the commit that a merge request's commits and changes are
// counted from: where its branches parted. A merged one is compared with its
// target as it stood before. "" when there is nothing to compare with: the
// target branch is gone, or the branches share no history.
func (p *pages) diffBase(c echo.Context, mr models.MergeRequest) (string, error) {
	ctx := c.Request().Context()
	tip := mr.MergingBaseSHA
	if mr.State != models.StateMerged || mr.MergingHeadSHA != mr.HeadSHA {
		var exists bool
		var err error
		if tip, exists, err = p.Git.BranchTip(ctx, mr.ProjectID, mr.TargetBranch); err != nil || !exists {
			return "", err
		}
	}
	base, related, err := p.Git.MergeBase(ctx, mr.ProjectID, tip, mr.HeadSHA)
	if err != nil || !related {
		return "", err
	}
	return base, nil
}
