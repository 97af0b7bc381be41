package apiv4

import (
	"net/http"
	"time"

	"github.com/mergegate/mergegate/models"
)

func listProtectedBranches(c *call) error {
	search, page := c.text("search"), c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	rules, total, err := c.api.Store.ProtectedBranches(c.ctx(), c.access.Project.ID, orEmpty(search), page.storePage())
	if err != nil {
		return err
	}
	return replyList(c, page, mapSlice(rules, newProtectedBranchEntity), total)
}

// protectedBranchInPath loads the protected branch that :name names, which may be a
// wildcard.
func (c *call) protectedBranchInPath() (models.ProtectedBranch, error) {
	name, err := c.pathParam("name")
	if err != nil {
		return models.ProtectedBranch{}, err
	}
	return c.api.Store.ProtectedBranchByName(c.ctx(), c.access.Project.ID, name)
}

func getProtectedBranch(c *call) error {
	rule, err := c.protectedBranchInPath()
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, newProtectedBranchEntity(rule))
}

func protectBranch(c *call) error {
	c.requireParams("name")
	in := models.ProtectedBranchInput{PushAccessLevel: models.RoleMaintainer, MergeAccessLevel: models.RoleMaintainer}
	name := c.text("name")
	c.protection(&in)
	if err := c.paramError(); err != nil {
		return err
	}
	in.Name = *name
	rule, err := c.api.Store.CreateProtectedBranch(c.ctx(), c.me, c.access.Project.ID, in)
	if models.CodeOf(err) == models.CodeAlreadyProtected {
		return message(http.StatusConflict, "Protected branch '"+in.Name+"' already exists")
	}
	if err != nil {
		return err
	}
	return c.reply(http.StatusCreated, newProtectedBranchEntity(rule))
}

func updateProtectedBranch(c *call) error {
	rule, err := c.protectedBranchInPath()
	if err != nil {
		return err
	}
	in := models.ProtectedBranchInput{
		PushAccessLevel: rule.PushAccessLevel, MergeAccessLevel: rule.MergeAccessLevel, AllowForcePush: rule.AllowForcePush,
	}
	c.protection(&in)
	if err := c.paramError(); err != nil {
		return err
	}
	updated, err := c.api.Store.UpdateProtectedBranch(c.ctx(), c.me, c.access.Project.ID, rule.ID, in)
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, newProtectedBranchEntity(updated))
}

func unprotectBranch(c *call) error {
	rule, err := c.protectedBranchInPath()
	if err != nil {
		return err
	}
	if err := c.checkUnmodifiedSince(func() (time.Time, error) { return rule.UpdatedAt, nil }); err != nil {
		return err
	}
	if err := c.api.Store.DeleteProtectedBranch(c.ctx(), c.me, c.access.Project.ID, rule.ID); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// protection reads the rules of a protected branch into in. Levels are given as one
// level or as GitLab's list. Missing parameters leave in unchanged.
func (c *call) protection(in *models.ProtectedBranchInput) {
	c.readLevel("push_access_level", "allowed_to_push", &in.PushAccessLevel)
	c.readLevel("merge_access_level", "allowed_to_merge", &in.MergeAccessLevel)
	if force := c.boolean("allow_force_push"); force != nil {
		in.AllowForcePush = *force
	}
}

// readLevel reads one level, or the most permissive level of a list. Mergegate has no
// rules for single users, groups or deploy keys.
func (c *call) readLevel(single, several string, level *models.Role) {
	parse := func(name string, n *int64) (models.Role, bool) {
		if n == nil || *n != int64(models.RoleNone) && *n != int64(models.RoleDeveloper) && *n != int64(models.RoleMaintainer) {
			c.addFault(name, "does not have a valid value")
			return 0, false
		}
		return models.Role(*n), true
	}
	if n := c.number(single); n != nil {
		if role, ok := parse(single, n); ok {
			*level = role
		}
	}
	elements, _ := c.list(several)
	var best *models.Role
	for _, element := range elements {
		object, ok := element.(map[string]any)
		if !ok {
			c.addFault(several, "is invalid")
			return
		}
		if destroy, _ := object["_destroy"].(bool); destroy {
			continue
		}
		n, ok := parseInteger(object["access_level"])
		if !ok {
			n = nil
		}
		role, ok := parse(several, n)
		if !ok {
			return
		}
		if best == nil || *best == models.RoleNone || role != models.RoleNone && role < *best {
			best = &role
		}
	}
	if best != nil {
		*level = *best
	}
}
