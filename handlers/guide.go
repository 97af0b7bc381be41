package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// guide explains status checks to developers of services.
func (p *pages) guide(c echo.Context) error {
	page, err := p.page(c, translate(c, text.KeyChecksGuideTitle), "")
	if err != nil {
		return err
	}
	addBreadcrumbs(&page, translate(c, text.KeyChecksGuideTitle), views.GuidePath)
	page.Narrow = true
	return render(c, http.StatusOK, views.GuidePage(page, p.BaseURL))
}
