package apiv4

import (
	"net/http"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
)

// base returns the merge base of the merge request's branches, or "" if they share
// no history or the target branch does not exist. For a merged one it uses the
// target branch as it was before the merge.
func (c *call) base() (string, error) {
	target, exists := "", true
	var err error
	switch {
	case c.mr.State != models.StateMerged:
		target, exists, err = c.git().BranchTip(c.ctx(), c.mr.TargetBranch)
	case c.mr.MergingHeadSHA == c.mr.HeadSHA:
		target = c.mr.MergingBaseSHA
	case c.mr.MergeCommitSHA == "":
		exists = false
	default: // merged by a push
		var commit gitrepo.Commit
		commit, err = c.git().Commit(c.ctx(), c.mr.MergeCommitSHA)
		if exists = len(commit.ParentSHAs) > 0; exists {
			target = commit.ParentSHAs[0]
		}
	}
	if err != nil || !exists {
		return "", err
	}
	base, exists, err := c.git().MergeBase(c.ctx(), target, c.mr.HeadSHA)
	if err != nil || !exists {
		return "", err
	}
	return base, nil
}

func (c *call) diffRefs() (diffRefs, error) {
	base, err := c.base()
	return diffRefs{BaseSHA: textOrNull(base), HeadSHA: c.mr.HeadSHA, StartSHA: textOrNull(base)}, err
}

func listMergeRequestCommits(c *call) error {
	page := c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	base, err := c.base()
	if err != nil {
		return err
	}
	return c.listCommits(page, base, c.mr.HeadSHA)
}

// listCommits answers with the commits reachable from to but not from from.
func (c *call) listCommits(page listPage, from, to string) error {
	total, err := c.git().Count(c.ctx(), from, to)
	if err != nil {
		return err
	}
	commits, err := c.git().Log(c.ctx(), from, to, page.offset(), page.size)
	if err != nil {
		return err
	}
	return replyList(c, page, mapSlice(commits, c.commit), int64(total))
}

// diff returns the changes of the merge request. It is empty if the branches share
// no history.
func (c *call) diff() (gitrepo.Diff, error) {
	base, err := c.base()
	if err != nil || base == "" {
		return gitrepo.Diff{}, err
	}
	return c.git().Diff(c.ctx(), base, c.mr.HeadSHA, gitrepo.DiffLimits{})
}

func listMergeRequestDiffs(c *call) error {
	page := c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	d, err := c.diff()
	if err != nil {
		return err
	}
	entities := newDiffEntities(d)
	return replyList(c, page, pageOf(entities, page), int64(len(entities)))
}

func getChanges(c *call) error {
	detail, err := c.detail()
	if err != nil {
		return err
	}
	d, err := c.diff()
	if err != nil {
		return err
	}
	detail.Changes, detail.Overflow = newDiffEntities(d), &d.Truncated
	return c.reply(http.StatusOK, detail)
}

// version returns the diff version of HEAD, the only one that is kept.
func (c *call) version() (versionEntity, gitrepo.Diff, error) {
	refs, err := c.diffRefs()
	if err != nil {
		return versionEntity{}, gitrepo.Diff{}, err
	}
	d, err := c.diff()
	if err != nil {
		return versionEntity{}, gitrepo.Diff{}, err
	}
	patchID := ""
	if refs.BaseSHA != nil && !d.Truncated {
		if patchID, err = c.git().PatchID(c.ctx(), *refs.BaseSHA, refs.HeadSHA); err != nil {
			return versionEntity{}, gitrepo.Diff{}, err
		}
	}
	return versionEntity{
		PatchIDSHA: textOrNull(patchID),
		ID:         c.mr.ID, HeadCommitSHA: refs.HeadSHA, BaseCommitSHA: refs.BaseSHA, StartCommitSHA: refs.StartSHA,
		CreatedAt: timestamp(c.mr.CreatedAt), MergeRequestID: c.mr.ID, State: "collected", RealSize: changesCount(d),
	}, d, nil
}

func listVersions(c *call) error {
	page := c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	v, _, err := c.version()
	if err != nil {
		return err
	}
	return replyList(c, page, pageOf([]versionEntity{v}, page), 1)
}

func getVersionOfMergeRequest(c *call) error {
	id, err := c.pathID("version_id")
	if err != nil {
		return err
	}
	if id != c.mr.ID {
		return errNotFound
	}
	v, d, err := c.version()
	if err != nil {
		return err
	}
	base := orEmpty(v.BaseCommitSHA)
	commits, err := c.git().Log(c.ctx(), base, c.mr.HeadSHA, 0, maxCommits)
	if err != nil {
		return err
	}
	v.Commits, v.Diffs = mapSlice(commits, c.commit), newDiffEntities(d)
	return c.reply(http.StatusOK, v)
}

// maxCommits limits the commits in an answer without pagination.
const maxCommits = 1000
