package apiv4

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
)

type branchEntity struct {
	Name               string       `json:"name"`
	Commit             commitEntity `json:"commit"`
	Merged             bool         `json:"merged"`
	Protected          bool         `json:"protected"`
	DevelopersCanPush  bool         `json:"developers_can_push"`
	DevelopersCanMerge bool         `json:"developers_can_merge"`
	CanPush            bool         `json:"can_push"`
	Default            bool         `json:"default"`
	WebURL             string       `json:"web_url"`
}

// branch returns the entity of a branch. merged means that the history of the
// default branch contains its commit.
func (c *call) branch(b gitrepo.Branch, rules []models.ProtectedBranch, merged bool) branchEntity {
	p := c.access.Project
	may := func(role models.Role, action models.BranchAction) bool {
		return models.DecideBranch(p, rules, role, b.Name, action) == nil
	}
	entity := branchEntity{
		Name: b.Name, Commit: c.commit(b.Commit), Default: b.Name == p.DefaultBranch,
		CanPush:            may(c.role(), models.ActionPush),
		DevelopersCanPush:  may(models.RoleDeveloper, models.ActionPush),
		DevelopersCanMerge: may(models.RoleDeveloper, models.ActionMerge),
		WebURL:             c.projectURL("/-/branches?search=" + url.QueryEscape(b.Name)),
	}
	for _, rule := range rules {
		entity.Protected = entity.Protected || rule.Matches(b.Name)
	}
	entity.Merged = merged && !entity.Default
	return entity
}

// branches returns the entities of branches. It reads the rules and the merged
// state once for all of them.
func (c *call) branches(all []gitrepo.Branch) ([]branchEntity, error) {
	rules, err := c.protectedBranches()
	if err != nil {
		return nil, err
	}
	main, _, err := c.git().BranchTip(c.ctx(), c.access.Project.DefaultBranch)
	if err != nil {
		return nil, err
	}
	merged := map[string]bool{}
	if main != "" {
		tips := make([]string, 0, len(all))
		for _, b := range all {
			tips = append(tips, b.Commit.SHA)
		}
		if merged, err = c.contained(main, tips...); err != nil {
			return nil, err
		}
	}
	entities := make([]branchEntity, 0, len(all))
	for _, b := range all {
		entities = append(entities, c.branch(b, rules, merged[b.Commit.SHA]))
	}
	return entities, nil
}

func listBranches(c *call) error {
	search, page := c.text("search"), c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	found, total, err := c.git().Branches(c.ctx(), orEmpty(search), page.offset(), page.size)
	if err != nil {
		return err
	}
	entities, err := c.branches(found)
	if err != nil {
		return err
	}
	return replyList(c, page, entities, int64(total))
}

func getBranch(c *call) error {
	name, err := c.pathParam("name")
	if err != nil {
		return err
	}
	sha, exists, err := c.git().BranchTip(c.ctx(), name)
	if err != nil {
		return err
	}
	if !exists {
		return notFound("Branch")
	}
	commit, err := c.git().Commit(c.ctx(), sha)
	if err != nil {
		return err
	}
	entities, err := c.branches([]gitrepo.Branch{{Name: name, Commit: commit}})
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, entities[0])
}

// git reads the repository of the project in the path.
func (c *call) git() gitrepo.Reader { return c.api.Git.Reader(c.access.Project.ID) }

// contained reports which of the commits tips are in the history of main.
func (c *call) contained(main string, tips ...string) (map[string]bool, error) {
	distances, err := c.git().Divergences(c.ctx(), main, tips...)
	contained := make(map[string]bool, len(distances))
	for sha, distance := range distances {
		contained[sha] = distance.Ahead == 0
	}
	return contained, err
}

// resolve returns the commit that a branch, tag or id names. If there is none, it
// returns a 404 for what, such as "Tree".
func (c *call) resolve(name, what string) (string, error) {
	sha, err := c.git().Resolve(c.ctx(), name)
	if errors.Is(err, gitrepo.ErrNotFound) {
		err = notFound(what)
	}
	return sha, err
}

func listCommits(c *call) error {
	name, page := c.text("ref_name"), c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	if orEmpty(name) == "" {
		name = &c.access.Project.DefaultBranch
		if _, exists, err := c.git().BranchTip(c.ctx(), *name); err != nil || !exists {
			if err != nil {
				return err
			}
			return replyList(c, page, []commitEntity{}, 0) // the repository is empty
		}
	}
	sha, err := c.resolve(*name, "Tree")
	if err != nil {
		return err
	}
	return c.listCommits(page, "", sha)
}

func getCommit(c *call) error {
	commit, err := c.commitInPath()
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, c.commit(commit))
}

type compareEntity struct {
	Commit         *commitEntity  `json:"commit"`
	Commits        []commitEntity `json:"commits"`
	Diffs          []diffEntity   `json:"diffs"`
	CompareTimeout bool           `json:"compare_timeout"`
	CompareSameRef bool           `json:"compare_same_ref"`
	WebURL         string         `json:"web_url"`
}

// compare answers with the commits of to that are not in from, and the diff from
// their merge base or, with straight, from the commit from itself.
func compare(c *call) error {
	c.requireParams("from", "to")
	from, to, straight := c.text("from"), c.text("to"), c.boolean("straight")
	if err := c.paramError(); err != nil {
		return err
	}
	fromSHA, err := c.resolve(*from, "Ref")
	if err != nil {
		return err
	}
	toSHA, err := c.resolve(*to, "Ref")
	if err != nil {
		return err
	}
	commits, err := c.git().Log(c.ctx(), fromSHA, toSHA, 0, maxCommits)
	if err != nil {
		return err
	}
	base := fromSHA
	if !isTrue(straight) {
		if mergeBase, exists, err := c.git().MergeBase(c.ctx(), fromSHA, toSHA); err != nil {
			return err
		} else if exists {
			base = mergeBase
		}
	}
	d, err := c.git().Diff(c.ctx(), base, toSHA, gitrepo.DiffLimits{})
	if err != nil {
		return err
	}
	entity := compareEntity{
		Commits: mapSlice(commits, c.commit), Diffs: newDiffEntities(d),
		CompareTimeout: d.Truncated, CompareSameRef: fromSHA == toSHA,
		WebURL: c.projectURL("/-/compare/" + url.PathEscape(*from) + "..." + url.PathEscape(*to)),
	}
	if len(entity.Commits) > 0 {
		entity.Commit = &entity.Commits[0]
	}
	return c.reply(http.StatusOK, entity)
}
