package apiv4

import (
	"net/http"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

// GitLabVersion is the version of GitLab's API that Mergegate implements. Clients
// parse it (three integers) to decide which features they use.
const GitLabVersion = "18.5.0"

func getVersion(c *call) error {
	return c.reply(http.StatusOK, map[string]string{"version": GitLabVersion, "revision": c.api.Revision})
}

func getMetadata(c *call) error {
	return c.reply(http.StatusOK, map[string]any{
		"version": GitLabVersion, "revision": c.api.Revision, "enterprise": true,
		"kas": map[string]any{"enabled": false, "externalUrl": nil, "externalK8sProxyUrl": nil, "version": nil},
	})
}

// getSettings answers with the instance settings that declarative clients read
// before they create a project.
func getSettings(c *call) error {
	return c.reply(http.StatusOK, map[string]any{
		"default_branch_name": "main", "default_branch_protection": 2, "default_project_visibility": "private",
		"signup_enabled": false,
	})
}

func getCurrentUser(c *call) error {
	var own *models.Namespace
	if !c.me.Bot {
		found, err := c.api.Store.Namespace(c.ctx(), c.me.Username)
		if err != nil && models.KindOf(err) != models.KindNotFound {
			return err
		}
		if err == nil && found.UserID != nil && *found.UserID == c.me.ID {
			own = &found
		}
	}
	return c.reply(http.StatusOK, c.api.currentUser(c.me, own))
}

// userInPath loads the user that :user_id names.
func (c *call) userInPath() (models.User, error) {
	id, err := c.pathID("user_id")
	if err != nil {
		return models.User{}, notFound("User")
	}
	user, err := c.api.Store.User(c.ctx(), id)
	if err == nil {
		err = c.checkBotVisible(user)
	}
	if models.KindOf(err) == models.KindNotFound {
		return models.User{}, notFound("User")
	}
	return user, err
}

// checkBotVisible returns a 404 for the bot of a project that the user may not see.
// Every user who is not a bot is visible.
func (c *call) checkBotVisible(user models.User) error {
	if !user.Bot || user.ID == c.me.ID || c.me.Admin {
		return nil
	}
	access, err := c.api.Store.AccessOfBot(c.ctx(), c.me, user.ID)
	if err == nil && !auth.Can(auth.SubjectOf(access), auth.ReadProject) {
		err = notFound("User")
	}
	return err
}

// orEmpty returns the text, or "" for nil.
func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// listNamespaces lists the namespaces in which the user may create projects.
func listNamespaces(c *call) error {
	page := c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	namespaces, err := c.api.Store.NamespacesFor(c.ctx(), c.me)
	if err != nil {
		return err
	}
	return replyList(c, page, mapSlice(pageOf(namespaces, page), c.api.namespace), int64(len(namespaces)))
}

func getNamespace(c *call) error {
	name, err := c.pathParam("namespace_id")
	if err != nil {
		return err
	}
	namespaces, err := c.api.Store.NamespacesFor(c.ctx(), c.me)
	if err != nil {
		return err
	}
	for _, n := range namespaces {
		if itoa(n.ID) == name || n.Path == name {
			return c.reply(http.StatusOK, c.api.namespace(n))
		}
	}
	return notFound("Namespace")
}
