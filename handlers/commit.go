package handlers

import (
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// commit shows a commit. The path names it by its id or by at least seven digits of it.
func (p *pages) commit(c echo.Context) error {
	ctx, project := c.Request().Context(), request.Project(c)
	git := p.Git.Reader(project.ID)
	name := strings.ToLower(request.PathParam(c, "sha"))
	if name == "" || strings.Trim(name, "0123456789abcdef") != "" {
		return request.ErrHidden
	}
	sha, err := git.Resolve(ctx, name)
	if errors.Is(err, gitrepo.ErrNotFound) || err == nil && !strings.HasPrefix(sha, name) {
		return request.ErrHidden
	}
	if err != nil {
		return err
	}
	commit, err := git.Commit(ctx, sha)
	if err != nil {
		return err
	}
	base := ""
	if len(commit.ParentSHAs) > 0 {
		base = commit.ParentSHAs[0]
	}
	changes, err := git.Diff(ctx, base, sha, gitrepo.DiffLimits{})
	if err != nil {
		return err
	}
	row := presentCommit(c, commit)
	v := views.CommitDetail{
		SHA: sha, Title: row.Title, Body: row.Body, Author: row.Author, At: row.At, Merge: len(commit.ParentSHAs) > 1,
		Changes: presentChanges(changes), Now: p.Store.Now(),
	}
	v.Changes.Command = "git fetch origin && git show " + shortSHA(sha)
	for _, parent := range commit.ParentSHAs {
		v.Parents = append(v.Parents, views.Crumb{Text: shortSHA(parent), URL: commitURL(c, parent)})
	}
	page, err := p.page(c, row.Title+" · "+row.SHA, "")
	if err != nil {
		return err
	}
	addBreadcrumbs(&page, row.SHA, row.URL)
	return render(c, http.StatusOK, views.CommitPage(page, v))
}

// compareCommits shows the commits and changes that one revision has and another lacks. The
// parameter is from...to; each is a branch, a tag or an id.
func (p *pages) compareCommits(c echo.Context) error {
	ctx, project := c.Request().Context(), request.Project(c)
	git := p.Git.Reader(project.ID)
	from, to, ok := strings.Cut(request.PathParam(c, "range"), "...")
	if !ok {
		return request.ErrHidden
	}
	pair := commitPair{projectID: project.ID}
	for _, end := range []struct {
		name string
		sha  *string
	}{{from, &pair.target}, {to, &pair.source}} {
		sha, err := git.Resolve(ctx, end.name)
		if errors.Is(err, gitrepo.ErrNotFound) {
			return request.ErrHidden
		}
		if err != nil {
			return err
		}
		*end.sha = sha
	}
	between, err := p.span(ctx, pair)
	if err != nil {
		return err
	}
	v := views.Comparison{From: from, To: to, Now: p.Store.Now()}
	number := min(pageNumber(c), max(1, (between.commits+commitsPageSize-1)/commitsPageSize))
	if between.commits > 0 {
		commits, err := git.Log(ctx, pair.target, pair.source, (number-1)*commitsPageSize, commitsPageSize)
		if err != nil {
			return err
		}
		v.Commits = presentCommits(c, commits)
	}
	v.Pages = linksBySize(c.Request().URL.EscapedPath(), c.Request().URL.Query(), commitsPageSize, number, len(v.Commits), int64(between.commits))
	if between.base != "" {
		changes, err := git.Diff(ctx, between.base, pair.source, gitrepo.DiffLimits{})
		if err != nil {
			return err
		}
		v.Changes = presentChanges(changes)
		v.Changes.Command = "git fetch origin && git diff " + shortSHA(between.base) + " " + shortSHA(pair.source)
	}
	page, err := p.page(c, translate(c, text.KeyMRCompare), "")
	if err != nil {
		return err
	}
	addBreadcrumbs(&page, translate(c, text.KeyMRCompare), compareURL(c, from, to))
	return render(c, http.StatusOK, views.ComparePage(page, v))
}

// presentCommit returns a row with the first line of the message and the rest.
func presentCommit(c echo.Context, commit gitrepo.Commit) views.CommitRow {
	title, body, _ := strings.Cut(strings.TrimSpace(commit.Message), "\n")
	return views.CommitRow{
		SHA: shortSHA(commit.SHA), Title: showDirections(strings.TrimSpace(title)),
		Body: showDirections(strings.TrimSpace(body)), Author: showDirections(commit.AuthorName),
		At: commit.CommittedAt, URL: commitURL(c, commit.SHA),
	}
}

func presentCommits(c echo.Context, commits []gitrepo.Commit) []views.CommitRow {
	rows := make([]views.CommitRow, 0, len(commits))
	for _, commit := range commits {
		rows = append(rows, presentCommit(c, commit))
	}
	return rows
}
