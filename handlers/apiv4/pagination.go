package apiv4

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mergegate/mergegate/models"
)

const (
	defaultPerPage = 20
	maxPerPage     = 100
	// maxPage keeps the offset within the range of the databases.
	maxPage = 1 << 40
)

// listPage is the page of a list that a client asked for, counted from 1.
type listPage struct {
	number, size int
	// after is set for keyset pagination.
	after *models.Cursor
}

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
	return listPage{number: read("page", 1, maxPage), size: read("per_page", defaultPerPage, maxPerPage)}
}

// keysetPage is page for a list that also supports keyset pagination: with
// pagination=keyset, the page after the place that the parameter cursor names.
func (p *params) keysetPage() listPage {
	page := p.page()
	if orEmpty(p.text("pagination")) != "keyset" {
		return page
	}
	cursor := models.Cursor{}
	if word := orEmpty(p.text("cursor")); word != "" {
		text, err := base64.RawURLEncoding.DecodeString(word)
		var micros int64
		if err == nil {
			_, err = fmt.Sscanf(string(text), "%d %d", &cursor.ID, &micros)
		}
		if err != nil || cursor.ID < 1 {
			p.addFault("cursor", "does not have a valid value")
		}
		cursor.Time = time.UnixMicro(micros)
	}
	page.after = &cursor
	return page
}

// errNotKeyset is GitLab's answer to keyset pagination in an order that has none.
var errNotKeyset = &failure{
	status: http.StatusMethodNotAllowed, body: map[string]any{"error": "Keyset pagination is not yet available for this type of request"},
}

// setKeysetHeaders sets the headers of a page with n entries, of which last is the last.
func (p listPage) setKeysetHeaders(h http.Header, list string, query url.Values, n int, last models.Cursor) {
	h.Set("X-Per-Page", strconv.Itoa(p.size))
	h.Set("X-Next-Page", "")
	if n < p.size {
		h.Set("Link", "")
		return
	}
	query.Del("private_token")
	query.Set("cursor", base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %d", last.ID, last.Time.UnixMicro())))
	h.Set("Link", fmt.Sprintf("<%s?%s>; rel=%q", list, query.Encode(), "next"))
}

func (p listPage) offset() int { return (p.number - 1) * p.size }

// pageOf returns the elements of a complete list that are on the page.
func pageOf[T any](all []T, page listPage) []T {
	from := min(page.offset(), len(all))
	return all[from:min(from+page.size, len(all))]
}

// setHeaders sets the pagination headers: X-* and Link. list is the absolute
// address of the list without its query. As in GitLab, a list of more than
// models.MaxListed entries has no totals, and its next page is known by the number of
// entries on this page, shown.
func (p listPage) setHeaders(h http.Header, list string, query url.Values, shown, total int) {
	pages := max(1, (total+p.size-1)/p.size)
	if total > models.MaxListed && shown == p.size {
		pages = max(pages, p.number+1)
	}
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
