package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/views"
)

// commitsPageSize is the number of commits per page.
const commitsPageSize = 50

// mergeRequestCommits shows the Commits tab.
func (p *pages) mergeRequestCommits(c echo.Context) error {
	mr, err := p.mergeRequestInPath(c)
	if err != nil {
		return err
	}
	with, err := p.compare(c, mr)
	if err != nil {
		return err
	}
	v := views.CommitList{}
	number := min(pageNumber(c), max(1, (with.commits+commitsPageSize-1)/commitsPageSize))
	if with.commits > 0 {
		commits, err := p.Git.Reader(mr.ProjectID).Log(c.Request().Context(), with.target, mr.HeadSHA, (number-1)*commitsPageSize, commitsPageSize)
		if err != nil {
			return err
		}
		v.Commits = presentCommits(c, commits)
	}
	v.Pages = linksBySize(c.Request().URL.EscapedPath(), c.Request().URL.Query(), commitsPageSize, number, len(v.Commits), int64(with.commits))
	page, err := p.mergeRequestPage(c, mr)
	if err != nil {
		return err
	}
	v.Head = p.presentHead(c, mr, views.TabCommits, with)
	return render(c, http.StatusOK, views.MergeRequestCommits(page, v))
}

// mergeRequestChanges shows the Changes tab.
func (p *pages) mergeRequestChanges(c echo.Context) error {
	mr, err := p.mergeRequestInPath(c)
	if err != nil {
		return err
	}
	with, err := p.compare(c, mr)
	if err != nil {
		return err
	}
	var diff gitrepo.Diff
	if with.base != "" {
		diff, err = p.Git.Reader(mr.ProjectID).Diff(c.Request().Context(), with.base, mr.HeadSHA, gitrepo.DiffLimits{})
		if err != nil {
			return err
		}
	}
	page, err := p.mergeRequestPage(c, mr)
	if err != nil {
		return err
	}
	v := presentChanges(diff)
	v.Command = diffCommand(mr, with.base)
	v.Head = p.presentHead(c, mr, views.TabChanges, with)
	return render(c, http.StatusOK, views.MergeRequestChanges(page, v))
}
