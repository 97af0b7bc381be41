package apiv4

import (
	"net/http"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

func listProjects(c *call) error {
	search, owned, membership := c.text("search"), c.boolean("owned"), c.boolean("membership")
	visibility, simple := c.visibility(), c.boolean("simple")
	order := c.enum("order_by",
		"id", "name", "path", "created_at", "updated_at", "last_activity_at", "similarity", "star_count")
	sort, page := c.enum("sort", "asc", "desc"), c.keysetPage()
	if err := c.paramError(); err != nil {
		return err
	}
	filter := models.ProjectFilter{
		Search: orEmpty(search), Owned: isTrue(owned), Membership: isTrue(membership), Visibility: visibility,
		OrderBy: orEmpty(order), Ascending: orEmpty(sort) == "asc",
	}
	if order == nil { // GitLab's default; the pages use another one
		filter.OrderBy = "created_at"
	}
	if page.after != nil && filter.OrderBy != "id" && filter.OrderBy != "created_at" {
		return errNotKeyset
	}
	if page.after != nil {
		filter.OrderBy = "id" // the order of created_at
	}
	projects, total, err := c.api.Store.Projects(c.ctx(), &c.me, filter, page.storePage())
	if err != nil {
		return err
	}
	entities := make([]projectEntity, 0, len(projects))
	for _, access := range projects {
		entities = append(entities, c.presentProject(access))
	}
	place := func(i int) models.Cursor { return models.Cursor{ID: projects[i].Project.ID} }
	if isTrue(simple) {
		return replyKeyset(c, page, mapSlice(entities, newSimpleProject), total, place)
	}
	return replyKeyset(c, page, entities, total, place)
}

func isTrue(flag *bool) bool { return flag != nil && *flag }

// visibility reads the parameter visibility, or returns nil if it is missing.
func (c *call) visibility() *models.Visibility {
	word := c.enum("visibility", "private", "internal", "public")
	if word == nil {
		return nil
	}
	v, _ := models.ParseVisibility(*word)
	return &v
}

// presentProject returns the entity of a project and reads from the repository
// whether it is empty. A repository that cannot be read is logged and counts as
// empty, so that one damaged repository does not break the list.
func (c *call) presentProject(access models.Access) projectEntity {
	p := access.Project
	exists, err := c.api.Git.Reader(p.ID).HasBranch(c.ctx(), p.DefaultBranch)
	if err != nil {
		c.api.Log.ErrorContext(c.ctx(), "reading repository failed", "project_id", p.ID, "error", err)
	}
	return c.project(access, !exists)
}

func getProject(c *call) error {
	return c.reply(http.StatusOK, c.presentProject(c.access))
}

func createProject(c *call) error {
	name, path, description := c.text("name"), c.text("path"), c.text("description")
	namespaceID, visibility, branch := c.number("namespace_id"), c.visibility(), c.text("default_branch")
	readme, gate := c.boolean("initialize_with_readme"), c.boolean("only_allow_merge_if_all_status_checks_passed")
	if orEmpty(name) == "" && orEmpty(path) == "" {
		c.addFault("name, path", "are missing, at least one parameter must be provided")
	}
	if err := c.paramError(); err != nil {
		return err
	}
	namespace, err := c.namespaceFor(namespaceID)
	if err != nil {
		return err
	}
	in := models.ProjectInput{
		NamespaceID: namespace.ID, Name: orEmpty(name), Path: orEmpty(path), Description: orEmpty(description),
		DefaultBranch: orEmpty(branch), OnlyAllowMergeIfAllStatusChecksPassed: isTrue(gate),
	}
	if visibility != nil {
		in.Visibility = *visibility
	}
	created, err := c.api.Store.CreateProject(c.ctx(), c.me, in, isTrue(readme))
	if err != nil {
		return err
	}
	entity := c.presentProject(models.Access{Project: created, SignedIn: true, Admin: c.me.Admin, Role: models.RoleOwner})
	return c.reply(http.StatusCreated, entity)
}

// namespaceFor returns the namespace with the id, in which the user must be allowed
// to create projects. Without an id it returns the user's own; bots have none.
func (c *call) namespaceFor(id *int64) (models.Namespace, error) {
	namespaces, err := c.api.Store.NamespacesFor(c.ctx(), c.me)
	if err != nil {
		return models.Namespace{}, err
	}
	for _, n := range namespaces {
		own := n.UserID != nil && *n.UserID == c.me.ID
		if id == nil && own || id != nil && n.ID == *id {
			return n, nil
		}
	}
	if id == nil {
		return models.Namespace{}, errForbidden
	}
	return models.Namespace{}, message(http.StatusBadRequest, map[string][]string{"namespace": {"is not valid"}})
}

// updateProject changes the given attributes. Only Owners may change name, path or
// visibility. Declarative clients send them unchanged, which is allowed.
func updateProject(c *call) error {
	p := c.access.Project
	in := models.ProjectUpdate{
		Name: c.text("name"), Path: c.text("path"), Description: c.text("description"), Visibility: c.visibility(),
		DefaultBranch:                         c.text("default_branch"),
		OnlyAllowMergeIfAllStatusChecksPassed: c.boolean("only_allow_merge_if_all_status_checks_passed"),
	}
	if in.DefaultBranch != nil && (*in.DefaultBranch == "" || *in.DefaultBranch == p.DefaultBranch) {
		in.DefaultBranch = nil
	}
	if err := c.paramError(); err != nil {
		return err
	}
	changed := in.Name != nil && *in.Name != p.Name || in.Path != nil && *in.Path != p.Path ||
		in.Visibility != nil && *in.Visibility != p.Visibility
	if changed && !c.can(auth.AdminProject) {
		return errForbidden
	}
	updated, err := c.api.Store.UpdateProject(c.ctx(), c.me, p.ID, in)
	if err != nil {
		return err
	}
	entity := c.presentProject(models.Access{Project: updated, SignedIn: true, Admin: c.me.Admin, Role: c.access.Role})
	return c.reply(http.StatusOK, entity)
}

func deleteProject(c *call) error {
	if err := c.checkUnmodifiedSince(func() (time.Time, error) { return c.access.Project.UpdatedAt, nil }); err != nil {
		return err
	}
	if err := c.api.Store.DeleteProject(c.ctx(), c.me, c.access.Project.ID); err != nil {
		return err
	}
	return c.replyAccepted()
}
