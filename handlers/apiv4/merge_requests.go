package apiv4

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
)

// listMergeRequests lists the merge requests of the project in the path.
func listMergeRequests(c *call) error {
	filter, page, err := c.mergeRequestFilter()
	if err != nil {
		return err
	}
	filter.ProjectIDs = []int64{c.access.Project.ID}
	return c.listMergeRequests(filter, page)
}

// listAllMergeRequests lists merge requests of all projects that the user can see.
// scope defaults to their own. There are no assignees and reviewers, so the scopes
// for these return an empty list.
func listAllMergeRequests(c *call) error {
	scope := orEmpty(c.enum("scope",
		"created_by_me", "created-by-me", "assigned_to_me", "assigned-to-me", "reviews_for_me", "all"))
	filter, page, err := c.mergeRequestFilter()
	if err != nil {
		return err
	}
	filter.ReadableBy = &c.me
	switch scope {
	case "all":
	case "assigned_to_me", "assigned-to-me", "reviews_for_me":
		return replyList(c, page, []mergeRequestEntity{}, 0)
	default:
		if filter.AuthorID != 0 && filter.AuthorID != c.me.ID {
			return replyList(c, page, []mergeRequestEntity{}, 0)
		}
		filter.AuthorID = c.me.ID
	}
	return c.listMergeRequests(filter, page)
}

// mergeRequestFilter reads the filters that all lists of merge requests share.
func (c *call) mergeRequestFilter() (models.MergeRequestFilter, listPage, error) {
	filter := models.MergeRequestFilter{
		SourceBranch: orEmpty(c.text("source_branch")),
		TargetBranch: orEmpty(c.text("target_branch")), AuthorUsername: orEmpty(c.text("author_username")),
		Search: orEmpty(c.text("search")), Draft: c.boolean("draft"),
		CreatedAfter: c.dateTime("created_after"), CreatedBefore: c.dateTime("created_before"),
		UpdatedAfter: c.dateTime("updated_after"), UpdatedBefore: c.dateTime("updated_before"),
		OrderBy: orEmpty(c.enum("order_by", "created_at", "updated_at", "title", "merged_at",
			"label_priority", "milestone_due", "popularity", "priority")),
		Ascending: orEmpty(c.enum("sort", "asc", "desc")) == "asc",
	}
	if state := c.enum("state", "opened", "closed", "merged", "locked", "all"); state != nil && *state != "all" {
		filter.State = models.MergeRequestState(*state)
	}
	if filter.Draft == nil {
		if wip := c.enum("wip", "yes", "no"); wip != nil {
			draft := *wip == "yes"
			filter.Draft = &draft
		}
	}
	if author := c.number("author_id"); author != nil {
		filter.AuthorID = *author
	}
	if iids := c.numbers("iids"); iids != nil {
		filter.IIDs = *iids
	}
	page := c.keysetPage()
	if page.after != nil && filter.OrderBy == "title" {
		return filter, page, errNotKeyset
	}
	return filter, page, c.paramError()
}

// listMergeRequests answers with one page of the merge requests that match filter.
// Each is shown with the rights that the user has on its project.
func (c *call) listMergeRequests(filter models.MergeRequestFilter, page listPage) error {
	view := c.enum("view", "simple")
	if err := c.paramError(); err != nil {
		return err
	}
	mrs, total, err := c.api.Store.MergeRequests(c.ctx(), filter, page.storePage())
	if err != nil {
		return err
	}
	checks, err := c.api.Store.Checks(c.ctx(), mapSlice(mrs, func(mr models.MergeRequest) int64 { return mr.ID })...)
	if err != nil {
		return err
	}
	projects := map[int64]models.Access{}
	if c.access.Project.ID != 0 {
		projects[c.access.Project.ID] = c.access
	}
	now := c.now()
	entities := make([]mergeRequestEntity, 0, len(mrs))
	for _, mr := range mrs {
		access, known := projects[mr.ProjectID]
		if !known {
			if access, err = c.api.Store.AccessByID(c.ctx(), &c.me, mr.ProjectID); err != nil {
				return err
			}
			projects[mr.ProjectID] = access
		}
		c.access = access // c.mergeRequest checks the user's rights on it
		entities = append(entities, c.mergeRequest(access.Project, mr, models.Mergeable(access.Project, mr, checks[mr.ID], now)))
	}
	place := func(i int) models.Cursor { return models.Cursor{ID: mrs[i].ID, Time: mrs[i].UpdatedAt} }
	if view != nil {
		return replyKeyset(c, page, mapSlice(entities, newSimpleMergeRequest), total, place)
	}
	return replyKeyset(c, page, entities, total, place)
}

// dateTime reads a time or a date. It returns nil if the parameter is missing or empty.
func (p *params) dateTime(name string) *time.Time { return p.date(name) }

// blockReasons returns why the merge request cannot be merged: first the reasons
// in the database, then those in the repository.
func (c *call) blockReasons() ([]models.BlockReason, error) {
	p := c.access.Project
	checks, err := c.api.Store.Checks(c.ctx(), c.mr.ID)
	if err != nil {
		return nil, err
	}
	reasons := models.Mergeable(p, c.mr, checks[c.mr.ID], c.now())
	if c.mr.State != models.StateOpened {
		return reasons, nil
	}
	target, exists, err := c.git().BranchTip(c.ctx(), c.mr.TargetBranch)
	if err != nil {
		return nil, err
	}
	if !exists {
		return append(reasons, models.BlockedTargetGone), nil
	}
	n, err := c.git().Count(c.ctx(), target, c.mr.HeadSHA)
	if err != nil {
		return nil, err
	}
	more, _, err := models.RepositoryReasons(true, n, func() ([]string, error) {
		return c.git().Conflicts(c.ctx(), target, c.mr.HeadSHA)
	})
	return append(reasons, more...), err
}

// replyMergeRequest answers with a merge request that was changed. The change is
// already saved, so a failure of git is not an error: the answer then leaves out
// what git knows.
func (c *call) replyMergeRequest(status int, mr models.MergeRequest) error {
	c.mr = mr
	detail, err := c.detail()
	if err != nil {
		c.logIncomplete("merge request answered without data from git", err)
		detail = c.detailWithoutGit()
	}
	if mr.Incomplete != nil {
		c.logIncomplete("merge completed, follow-up steps incomplete", mr.Incomplete)
	}
	if errors.Is(mr.Incomplete, models.ErrSourceNotRemoved) {
		detail.Incomplete = []string{"should_remove_source_branch"}
	}
	return c.reply(status, detail)
}

// logIncomplete logs why a saved change is incomplete.
func (c *call) logIncomplete(msg string, err error) {
	c.api.Log.ErrorContext(c.ctx(), msg, "project_id", c.access.Project.ID, "error", err)
}

// unchecked is GitLab's merge status for "not known yet".
const unchecked = "unchecked"

// detailWithoutGit returns detail from the database alone.
func (c *call) detailWithoutGit() mergeRequestDetail {
	reasons := []models.BlockReason{models.BlockedNotOpen}
	if c.mr.State == models.StateOpened {
		reasons = nil
	}
	entity := c.mergeRequest(c.access.Project, c.mr, reasons)
	if len(reasons) == 0 {
		entity.MergeStatus, entity.DetailedMergeStatus = unchecked, unchecked
	}
	return mergeRequestDetail{
		mergeRequestEntity: entity, DiffRefs: diffRefs{HeadSHA: c.mr.HeadSHA},
		User: map[string]bool{"can_merge": c.mayMerge()},
	}
}

// detail returns the merge request of the call as a single entity.
func (c *call) detail() (mergeRequestDetail, error) {
	reasons, err := c.blockReasons()
	if err != nil {
		return mergeRequestDetail{}, err
	}
	refs, err := c.diffRefs()
	if err != nil {
		return mergeRequestDetail{}, err
	}
	d, err := c.diff()
	if err != nil {
		return mergeRequestDetail{}, err
	}
	changes := changesCount(d)
	return mergeRequestDetail{
		mergeRequestEntity: c.mergeRequest(c.access.Project, c.mr, reasons), MergeError: cmp.Or(mergeError(reasons), c.autoMergeError()),
		DiffRefs: refs, User: map[string]bool{"can_merge": c.mayMerge()}, ChangesCount: &changes,
	}, nil
}

// changesCount returns the number of changed files as text, as GitLab does: with a
// plus sign if the diff is truncated.
func changesCount(d gitrepo.Diff) string {
	if d.Truncated {
		return strconv.Itoa(len(d.Files)) + "+"
	}
	return strconv.Itoa(len(d.Files))
}

func getMergeRequest(c *call) error {
	diverged, rebase := c.boolean("include_diverged_commits_count"), c.boolean("include_rebase_in_progress")
	if err := c.paramError(); err != nil {
		return err
	}
	detail, err := c.detail()
	if err != nil {
		return err
	}
	if isTrue(rebase) {
		detail.RebaseInProgress = new(bool)
	}
	if isTrue(diverged) {
		if detail.DivergedCommits, err = c.divergedCommits(); err != nil {
			return err
		}
	}
	return c.reply(http.StatusOK, detail)
}

// divergedCommits returns the number of commits on the target branch that are not
// in the history of HEAD.
func (c *call) divergedCommits() (*int, error) {
	n := 0
	target, exists, err := c.git().BranchTip(c.ctx(), c.mr.TargetBranch)
	if err == nil && exists {
		n, err = c.git().Count(c.ctx(), c.mr.HeadSHA, target)
	}
	return &n, err
}

func createMergeRequest(c *call) error {
	c.requireParams("title", "source_branch", "target_branch")
	title, description := c.text("title"), c.text("description")
	source, target := c.text("source_branch"), c.text("target_branch")
	targetProject := c.number("target_project_id")
	squash, removeSource := c.boolean("squash"), c.boolean("remove_source_branch")
	if err := c.paramError(); err != nil {
		return err
	}
	if targetProject != nil && *targetProject != c.access.Project.ID {
		return message(http.StatusUnprocessableEntity, []string{"Target project is another project, and there are no forks"})
	}
	mr, err := c.api.Store.CreateMergeRequest(c.ctx(), c.me, c.access.Project.ID, models.MergeRequestInput{
		Title: *title, Description: orEmpty(description), SourceBranch: *source, TargetBranch: *target,
		Squash: isTrue(squash), RemoveSourceBranch: isTrue(removeSource),
	})
	if err != nil {
		return mergeRequestRefusal(err)
	}
	return c.replyMergeRequest(http.StatusCreated, mr)
}

// editable are the attributes of which GitLab requires at least one in an update.
// Mergegate ignores those that it does not have.
var editable = []string{
	"title", "description", "target_branch", "state_event", "squash", "remove_source_branch", "labels", "add_labels",
	"remove_labels", "assignee_id", "assignee_ids", "reviewer_ids", "milestone_id", "discussion_locked",
	"allow_collaboration", "allow_maintainer_to_push", "merge_after",
}

func updateMergeRequest(c *call) error {
	given := false
	for _, name := range editable {
		given = given || c.has(name)
	}
	if !given {
		return badRequest("title, description, target_branch, state_event, squash, remove_source_branch are missing, " +
			"at least one parameter must be provided")
	}
	in := models.MergeRequestUpdate{
		Title: c.text("title"), Description: c.text("description"), TargetBranch: c.text("target_branch"),
		Squash: c.boolean("squash"), RemoveSourceBranch: c.boolean("remove_source_branch"),
	}
	event := c.enum("state_event", "close", "reopen")
	if err := c.paramError(); err != nil {
		return err
	}
	var mr models.MergeRequest
	// One transaction: if the state cannot change, the edit is not saved.
	err := c.api.Store.Transaction(c.ctx(), func(tx *models.Store) error {
		var err error
		if mr, err = tx.UpdateMergeRequest(c.ctx(), c.me, c.access.Project.ID, c.mr.IID, in); err != nil {
			return err
		}
		switch {
		case event == nil:
		case *event == "close" && mr.State != models.StateClosed:
			mr, err = tx.CloseMergeRequest(c.ctx(), c.me, c.access.Project.ID, c.mr.IID)
		case *event == "reopen" && mr.State != models.StateOpened:
			mr, err = tx.ReopenMergeRequest(c.ctx(), c.me, c.access.Project.ID, c.mr.IID)
		}
		return err
	})
	if err != nil {
		return mergeRequestRefusal(err)
	}
	return c.replyMergeRequest(http.StatusOK, mr)
}

// mergeRequestRefusal returns GitLab's error answers for merge requests.
func mergeRequestRefusal(err error) error {
	var e *models.Error
	if !errors.As(err, &e) {
		return err
	}
	if e.Code == models.CodeAlreadyOpen {
		return message(http.StatusConflict,
			[]string{"Another open merge request already exists for this source branch: !" + e.Params["iid"]})
	}
	for _, f := range e.Fields {
		if f.Code == models.CodeSameBranch {
			return message(http.StatusConflict, []string{"You can't use same project/branch for source and target"})
		}
	}
	if e.Kind == models.KindInvalid {
		return message(http.StatusBadRequest, fullMessages(e))
	}
	return err
}
