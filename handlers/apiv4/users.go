package apiv4

import (
	"net/http"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

// adminUser is a user as administrators see it.
type adminUser struct {
	currentUser
	IsAdmin bool `json:"is_admin"`
	// InvitationURL is ours: the answer to reset_password, because no e-mail is sent.
	InvitationURL *string `json:"invitation_url,omitempty"`
}

// adminUsers returns the entities of users for administrators.
func (c *call) adminUsers(users []models.User) ([]adminUser, error) {
	ids := make([]int64, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	namespaces, err := c.api.Store.UserNamespaces(c.ctx(), ids)
	if err != nil {
		return nil, err
	}
	seen, err := c.api.Store.LastSeen(c.ctx(), ids)
	if err != nil {
		return nil, err
	}
	list := make([]adminUser, len(users))
	for i, u := range users {
		list[i] = adminUser{currentUser: c.api.currentUser(u, nil), IsAdmin: u.Admin}
		if id, ok := namespaces[u.ID]; ok {
			list[i].NamespaceID = &id
		}
		if at, ok := seen[u.ID]; ok {
			day := at.Format(time.DateOnly)
			list[i].LastActivityOn = &day
		}
	}
	return list, nil
}

// replyUser answers with a user: for administrators with all attributes.
func (c *call) replyUser(status int, user models.User, invitation *string) error {
	if !c.me.Admin {
		return c.reply(status, c.api.profile(user))
	}
	list, err := c.adminUsers([]models.User{user})
	if err != nil {
		return err
	}
	list[0].InvitationURL = invitation
	return c.reply(status, list[0])
}

// listUsers finds a user by exact username. Administrators can also list all users;
// an empty username asks for the whole list.
func listUsers(c *call) error {
	filter := models.UserFilter{Username: orEmpty(c.text("username")), Search: orEmpty(c.text("search"))}
	for name, kind := range map[string]models.UserKind{
		"active": models.UserKindActive, "blocked": models.UserKindBlocked, "admins": models.UserKindAdmins,
	} {
		if on := c.boolean(name); on != nil && *on {
			filter.Also = append(filter.Also, kind)
		}
	}
	if len(filter.Also) > 0 {
		filter.Kind, filter.Also = filter.Also[0], filter.Also[1:]
	}
	page := c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	if !c.me.Admin && (filter.Username == "" || filter.Kind != models.UserKindPeople) {
		return errForbidden
	}
	users, total, err := c.api.Store.ListUsers(c.ctx(), filter, page.storePage())
	if err != nil {
		return err
	}
	if !c.me.Admin {
		return replyList(c, page, mapSlice(users, c.api.user), total)
	}
	list, err := c.adminUsers(users)
	if err != nil {
		return err
	}
	return replyList(c, page, list, total)
}

func getUser(c *call) error {
	user, err := c.userInPath()
	if err != nil {
		return err
	}
	return c.replyUser(http.StatusOK, user, nil)
}

// createUser creates a user with a password, with an invitation (reset_password), or
// without a password (force_random_password).
func createUser(c *call) error {
	c.requireParams("name", "username")
	name, username, email, admin := c.text("name"), c.text("username"), c.text("email"), c.boolean("admin")
	password, invite, random := c.text("password"), c.boolean("reset_password"), c.boolean("force_random_password")
	if err := c.paramError(); err != nil {
		return err
	}
	invited := invite != nil && *invite
	if orEmpty(password) == "" && !invited && (random == nil || !*random) {
		return badRequest("password, reset_password, force_random_password are missing, at least one parameter must be provided")
	}
	in := models.UserInput{Username: *username, Name: *name, Email: orEmpty(email), Admin: admin != nil && *admin}
	if err := in.Validate(); err != nil {
		return err
	}
	if invited {
		token := auth.NewSessionID()
		user, err := c.api.Store.InviteUser(c.ctx(), c.me, in, auth.Digest(token))
		if err != nil {
			return userFailure(err)
		}
		link := c.api.url("/users/invitation?token=" + token)
		return c.replyUser(http.StatusCreated, user, &link)
	}
	if text := orEmpty(password); text != "" {
		var err error
		if in.PasswordDigest, err = c.hashPassword(text, models.User{Username: *username, Name: *name, Email: orEmpty(email)}); err != nil {
			return err
		}
	}
	user, err := c.api.Store.CreateUser(c.ctx(), c.me, in)
	if err != nil {
		return userFailure(err)
	}
	return c.replyUser(http.StatusCreated, user, nil)
}

// hashPassword returns the digest of a valid password, or a 400 with the reason.
func (c *call) hashPassword(password string, user models.User) (string, error) {
	reason := ""
	switch err := auth.ValidatePassword(password, user.Username, user.Name, user.Email); err {
	case nil:
		return auth.HashPassword(c.ctx(), password)
	case auth.ErrPasswordTooShort:
		reason = "is too short (minimum is 8 characters)"
	case auth.ErrPasswordTooLong:
		reason = "is too long (maximum is 1024 bytes)"
	case auth.ErrPasswordCommon:
		reason = "must not contain commonly used combinations of words and letters"
	default:
		reason = "is invalid"
	}
	return "", message(http.StatusBadRequest, map[string][]string{"password": {reason}})
}

// userFailure answers 409 for a name that is taken, as GitLab does.
func userFailure(err error) error {
	for _, f := range models.FieldErrorsOf(err) {
		if f.Code == models.CodeTaken {
			return message(http.StatusConflict, "Username has already been taken")
		}
	}
	return err
}

// updateUser changes a user. A password that an administrator sets for somebody else
// must be changed at the next sign-in.
func updateUser(c *call) error {
	user, err := c.userInPath()
	if err != nil {
		return err
	}
	in := models.UserUpdate{Username: c.text("username"), Name: c.text("name"), Email: c.text("email"), Admin: c.boolean("admin")}
	password := orEmpty(c.text("password"))
	if err := c.paramError(); err != nil {
		return err
	}
	digest := ""
	if password != "" {
		if digest, err = c.hashPassword(password, user); err != nil {
			return err
		}
	}
	if user, err = c.api.Store.UpdateUser(c.ctx(), c.me, user.ID, in); err != nil {
		return userFailure(err)
	}
	switch {
	case digest == "":
	case user.ID == c.me.ID:
		err = c.api.Store.SetPassword(c.ctx(), user, digest, "", false)
	default:
		user, err = c.api.Store.ResetPassword(c.ctx(), c.me, user.ID, digest)
	}
	if err != nil {
		return err
	}
	return c.replyUser(http.StatusOK, user, nil)
}

// deleteUser deletes a user and the projects in the user's namespace. What the user did
// elsewhere stays: deleting it, too, is refused.
func deleteUser(c *call) error {
	user, err := c.userInPath()
	if err != nil {
		return err
	}
	hard := c.boolean("hard_delete")
	if err := c.paramError(); err != nil {
		return err
	}
	if hard != nil && *hard {
		return badRequest("hard_delete is not supported: contributions to other projects are kept")
	}
	if err := c.checkUnmodifiedSince(func() (time.Time, error) { return user.UpdatedAt, nil }); err != nil {
		return err
	}
	if err := c.api.Store.DeleteUser(c.ctx(), c.me, user.ID); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func blockUser(c *call) error {
	user, err := c.userInPath()
	if err == nil {
		_, err = c.api.Store.BlockUser(c.ctx(), c.me, user.ID)
	}
	if err != nil {
		return err
	}
	return c.reply(http.StatusCreated, true)
}

func unblockUser(c *call) error {
	user, err := c.userInPath()
	if err == nil {
		_, err = c.api.Store.UnblockUser(c.ctx(), c.me, user.ID)
	}
	if err != nil {
		return err
	}
	return c.reply(http.StatusCreated, true)
}
