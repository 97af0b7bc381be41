package apiv4

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/mergegate/mergegate/models"
)

const (
	defaultPerPage = 20
	maxPerPage     = 100
	// maxPage keeps the offset within the range of the databases.
	maxPage = 1 << 40
)

// listPage is the page of a list that a client asked for, counted from 1.
type listPage struct{ number, size int }

// page reads the parameters page and per_page.
func (p *params) page() listPage {
	read := func(name string, defaultValue, maximum int64) int {
		n := p.number(name)
		switch {
		case n == nil:
			return int(defaultValue)
		case *n < 1:
			p.addFault(name, "does not have a valid value")
		}
		return int(min(*n, maximum))
	}
	return listPage{read("page", 1, maxPage), read("per_page", defaultPerPage, maxPerPage)}
}

func (p listPage) offset() int { return (p.number - 1) * p.size }

// pageOf returns the elements of a complete list that are on the page.
func pageOf[T any](all []T, page listPage) []T {
	from := min(page.offset(), len(all))
	return all[from:min(from+page.size, len(all))]
}

// setHeaders sets the pagination headers: X-* and Link. list is the absolute
// address of the list without its query. As in GitLab, a list of more than
// models.MaxListed entries has no totals.
func (p listPage) setHeaders(h http.Header, list string, query url.Values, total int) {
	pages := max(1, (total+p.size-1)/p.size)
	pageNumber := func(n int) string {
		if n < 1 || n > pages {
			return ""
		}
		return strconv.Itoa(n)
	}
	h.Set("X-Page", strconv.Itoa(p.number))
	h.Set("X-Per-Page", strconv.Itoa(p.size))
	last := strconv.Itoa(pages)
	if total > models.MaxListed {
		last = ""
	} else {
		h.Set("X-Total", strconv.Itoa(total))
		h.Set("X-Total-Pages", last)
	}
	h.Set("X-Next-Page", pageNumber(p.number+1))
	h.Set("X-Prev-Page", pageNumber(min(p.number-1, pages)))
	var links []string
	query.Del("private_token") // keeps the token out of logs
	query.Set("per_page", strconv.Itoa(p.size))
	for _, link := range []struct {
		rel  string
		page string
	}{{"prev", h.Get("X-Prev-Page")}, {"next", h.Get("X-Next-Page")}, {"first", "1"}, {"last", last}} {
		if link.page == "" {
			continue
		}
		query.Set("page", link.page)
		links = append(links, fmt.Sprintf("<%s?%s>; rel=%q", list, query.Encode(), link.rel))
	}
	h.Set("Link", strings.Join(links, ", "))
}
