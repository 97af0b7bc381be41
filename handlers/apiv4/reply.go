package apiv4

import (
	"net/http"

	"github.com/mergegate/mergegate/models"
)

// reply answers with an entity.
func (c *call) reply(status int, entity any) error { return c.JSON(status, entity) }

// replyAccepted answers 202.
func (c *call) replyAccepted() error {
	return c.reply(http.StatusAccepted, map[string]string{"message": "202 Accepted"})
}

// replyList answers with one page of a list and its pagination headers. total is
// the number of entities on all pages.
func replyList[T any](c *call, page listPage, entities []T, total int64) error {
	page.setHeaders(c.Response().Header(), c.api.url(c.Request().URL.EscapedPath()), c.QueryParams(), len(entities), int(total))
	if entities == nil {
		entities = []T{}
	}
	return c.reply(http.StatusOK, entities)
}

// mapSlice applies show to each element. The result is never nil.
func mapSlice[T, E any](elements []T, show func(T) E) []E {
	entities := make([]E, 0, len(elements))
	for _, element := range elements {
		entities = append(entities, show(element))
	}
	return entities
}

// storePage returns the page in the form that models.Store takes.
func (p listPage) storePage() models.Page {
	return models.Page{Number: p.number, Size: p.size, After: p.after}
}

// replyKeyset is replyList for a list that supports keyset pagination. placeOf returns the
// place of the entry with an index.
func replyKeyset[T any](c *call, page listPage, entities []T, total int64, placeOf func(i int) models.Cursor) error {
	if page.after == nil {
		return replyList(c, page, entities, total)
	}
	var last models.Cursor
	if len(entities) > 0 {
		last = placeOf(len(entities) - 1)
	}
	page.setKeysetHeaders(c.Response().Header(), c.api.url(c.Request().URL.EscapedPath()), c.QueryParams(), len(entities), last)
	return c.reply(http.StatusOK, entities)
}
