package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/views"
)

// guide explains status checks to who writes a service.
func (p *pages) guide(c echo.Context) error {
	page, err := p.page(c, text(c, views.KeyChecksGuideTitle), "")
	if err != nil {
		return err
	}
	crumbs(&page, text(c, views.KeyChecksGuideTitle), views.GuidePath)
	page.Narrow = true
	return render(c, http.StatusOK, views.GuidePage(page, p.BaseURL))
}
