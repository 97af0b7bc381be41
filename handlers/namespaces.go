package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
)

// namespacePage shows a user with the projects in common with the reader, or a free namespace
// with the projects that the reader may see. A free namespace without visible projects, and a
// bot without any, are hidden.
func (p *pages) namespacePage(c echo.Context) error {
	ctx, reader, name := c.Request().Context(), request.MustUser(c), request.PathParam(c, "username")
	if name == "" {
		return request.ErrHidden
	}
	v := views.NamespaceDetail{Now: p.Store.Now()}
	filter, title := models.ProjectFilter{}, ""
	user, err := p.Store.UserByUsername(ctx, name)
	switch models.KindOf(err) {
	case models.KindNotFound:
		namespace, err := p.Store.Namespace(ctx, name)
		if err != nil {
			return err
		}
		v.Path, title, filter.NamespaceID = namespace.Path, namespace.Path, namespace.ID
	default:
		if err != nil {
			return err
		}
		if user.Bot {
			meets, err := p.Store.SharesProject(ctx, reader, user.ID)
			if err != nil {
				return err
			}
			if !meets {
				return request.ErrHidden
			}
		}
		v.Path, v.Person, v.You, v.Bot = user.Username, presentPerson(c, &user), user.ID == reader.ID, user.Bot
		title, filter.MemberID, filter.Membership = user.Name, user.ID, !reader.Admin
	}
	number := pageNumber(c)
	found, total, err := p.Store.Projects(ctx, &reader, filter, models.Page{Number: number, Size: pageSize})
	if err != nil {
		return err
	}
	if filter.NamespaceID != 0 && total == 0 && !reader.Admin {
		return request.ErrHidden
	}
	if v.Rows, err = p.presentProjects(ctx, found); err != nil {
		return err
	}
	v.Pages = pageLinks(c, number, len(found), total)
	page, err := p.page(c, title, "")
	if err != nil {
		return err
	}
	addBreadcrumbs(&page, v.Path, "/"+v.Path)
	return render(c, http.StatusOK, views.NamespacePage(page, v))
}
