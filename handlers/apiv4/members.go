package apiv4

import (
	"net/http"
	"time"

	"github.com/mergegate/mergegate/models"
)

func listMembers(c *call) error {
	query, page := c.text("query"), c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	members, total, err := c.api.Store.Members(c.ctx(), c.access.Project.ID, orEmpty(query), models.RoleNone, page.storePage())
	if err != nil {
		return err
	}
	return replyList(c, page, mapSlice(members, c.api.member), total)
}

func getMember(c *call) error {
	id, err := c.pathID("user_id")
	if err != nil {
		return err
	}
	member, err := c.api.Store.Member(c.ctx(), c.access.Project.ID, id)
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, c.api.member(member))
}

// addMember adds the user with user_id or username as a member.
func addMember(c *call) error {
	id, username, level := c.number("user_id"), c.text("username"), c.number("access_level")
	c.requireParams("access_level")
	if id == nil && orEmpty(username) == "" && len(c.faults) == 0 {
		c.addFault("user_id, username", "are missing, exactly one parameter must be provided")
	}
	if err := c.paramError(); err != nil {
		return err
	}
	var user models.User
	var err error
	if id != nil {
		user, err = c.api.Store.User(c.ctx(), *id)
	} else {
		user, err = c.api.Store.UserByUsername(c.ctx(), *username)
	}
	// Bots can only be members through their tokens.
	if models.KindOf(err) == models.KindNotFound || user.Bot {
		return notFound("User")
	}
	if err != nil {
		return err
	}
	member, err := c.api.Store.AddMember(c.ctx(), c.me, c.role(), c.access.Project.ID, user.ID, models.Role(*level))
	if err != nil {
		return err
	}
	return c.reply(http.StatusCreated, c.api.member(member))
}

func changeMember(c *call) error {
	id, err := c.pathID("user_id")
	if err != nil {
		return err
	}
	level := c.number("access_level")
	c.requireParams("access_level")
	if err := c.paramError(); err != nil {
		return err
	}
	member, err := c.api.Store.ChangeMember(c.ctx(), c.me, c.role(), c.access.Project.ID, id, models.Role(*level), "")
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, c.api.member(member))
}

func removeMember(c *call) error {
	id, err := c.pathID("user_id")
	if err != nil {
		return err
	}
	err = c.checkUnmodifiedSince(func() (time.Time, error) {
		member, err := c.api.Store.Member(c.ctx(), c.access.Project.ID, id)
		return member.UpdatedAt, err
	})
	if err != nil {
		return err
	}
	if err := c.api.Store.RemoveMember(c.ctx(), c.me, c.role(), c.access.Project.ID, id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
