package handlers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// render draws a page or fragment whole before anything of it is sent, so that
// a failure can still become an error page.
func render(c echo.Context, status int, component templ.Component) error {
	var body bytes.Buffer
	if err := component.Render(c.Request().Context(), &body); err != nil {
		return err
	}
	return c.HTMLBlob(status, body.Bytes())
}

// translate returns a text of the catalogue in the reader's language.
func translate(c echo.Context, key text.Key, args ...any) string {
	return text.T(c.Request().Context(), key, args...)
}

// page is the frame for the answer to c: the user, theme and toast, and inside
// a project its navigation and the breadcrumbs that lead to it.
func (p *pages) page(c echo.Context, title string, section string) (views.Page, error) {
	page := p.barePage(c, title)
	page.Section = section
	page.SignInURL = signInURL(c)
	page.Breadcrumbs = []views.Crumb{{Text: translate(c, text.KeyProjects), URL: "/"}}
	project := request.Project(c)
	if project.ID == 0 {
		return page, nil
	}
	path := projectURL(c)
	nav := &views.ProjectNav{
		Name: project.Name, Path: path, Initials: views.Initial(project.Name),
		CanSeeCode:  request.Can(c, auth.ReadCode),
		CanMaintain: request.Can(c, auth.ManageStatusChecks),
		CanOwn:      request.Can(c, auth.AdminProject),
	}
	if nav.CanSeeCode {
		open, err := p.openMergeRequests(c, project.ID)
		if err != nil {
			return page, err
		}
		nav.OpenMergeRequests = open
	}
	page.Project = nav
	page.Breadcrumbs = append(page.Breadcrumbs, views.Crumb{Text: project.Name, URL: path})
	return page, nil
}

// openMergeRequests counts a project's open merge requests.
func (p *pages) openMergeRequests(c echo.Context, projectID int64) (int, error) {
	counts, err := p.Store.CountMergeRequests(c.Request().Context(), projectID)
	return int(counts[models.StateOpened]), err
}

// barePage is the frame of pages without navigation.
func (p *pages) barePage(c echo.Context, title string) views.Page {
	page := views.Page{Title: title, Theme: theme(c), Toast: p.takeToast(c), Now: p.Store.Now()}
	page.KeptPageURL = keptPageURL(text.Language(c.Request().Context()), page.Theme)
	if user := request.User(c); user != nil {
		page.User = &views.CurrentUser{
			Username: user.Username, Name: user.Name, Initials: views.Initials(user.Name), Admin: user.Admin,
		}
	}
	return page
}

// crumbs adds levels to a page's breadcrumbs: texts and addresses in turn.
func crumbs(page *views.Page, textsAndURLs ...string) {
	for i := 0; i+1 < len(textsAndURLs); i += 2 {
		page.Breadcrumbs = append(page.Breadcrumbs, views.Crumb{Text: textsAndURLs[i], URL: textsAndURLs[i+1]})
	}
}

// isHTMX reports whether the request wants a fragment for the page that is
// already there.
func isHTMX(c echo.Context) bool { return c.Request().Header.Get("HX-Request") == "true" }

// redirect answers a form: the browser gets the page at path, and the toast
// there, "" for none. The toast's key travels in a cookie, which needs no
// signature: only texts of the catalogue are ever shown.
func (p *pages) redirect(c echo.Context, path string, toast text.Key) error {
	if toast != "" {
		p.keepToast(c, string(toast))
	}
	return c.Redirect(http.StatusSeeOther, path)
}

// keepToast keeps a toast for the next page: a key, or a key and a number as
// countedToast writes them.
func (p *pages) keepToast(c echo.Context, toast string) {
	c.SetCookie(p.plainCookie(flashCookie, toast, 60))
}

// countedToast is the toast for n things.
func countedToast(key text.Key, n int) string { return string(key) + ":" + strconv.Itoa(n) }

// toastText is a kept toast in the reader's language; "" for what is no toast
// of ours.
func toastText(c echo.Context, toast string) string {
	key, number, counted := strings.Cut(toast, ":")
	shown := ""
	if n, err := strconv.Atoi(number); counted && err == nil && n >= 0 {
		shown = text.N(c.Request().Context(), text.Key(key), n)
	} else if !counted {
		shown = translate(c, text.Key(key))
	}
	if shown == key {
		return "" // not a text of ours
	}
	return shown
}

// done is redirect for a form that may stand in a dialog: there, the whole page
// behind it is the answer.
func (p *pages) done(c echo.Context, path string, toast text.Key) error {
	if !isHTMX(c) {
		return p.redirect(c, path, toast)
	}
	p.keepToast(c, string(toast))
	c.Response().Header().Set("HX-Redirect", path)
	return c.NoContent(http.StatusNoContent)
}

// plainCookie is a cookie of ours that is neither signed nor encrypted. maxAge
// is in seconds, negative to end it.
func (p *pages) plainCookie(name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: p.secure,
	}
}

// takeToast is the text kept for this page, once.
func (p *pages) takeToast(c echo.Context) string {
	cookie, err := c.Cookie(flashCookie)
	if err != nil || cookie.Value == "" || isHTMX(c) {
		return ""
	}
	c.SetCookie(p.plainCookie(flashCookie, "", -1))
	return toastText(c, cookie.Value)
}

// triggerToast shows a toast with the answer to an htmx request; closeModal
// closes the dialog as well. The event is told to the body: the element that
// asked may be gone by then.
func triggerToast(c echo.Context, message string, closeModal bool) {
	events := map[string]any{"showToast": map[string]string{"target": "body", "text": message}}
	if closeModal {
		events["closeModal"] = map[string]string{"target": "body"}
	}
	body, err := json.Marshal(events)
	if err != nil {
		panic(err) // strings always marshal
	}
	c.Response().Header().Set("HX-Trigger", asciiJSON(body))
}

// asciiJSON escapes what a header, which is Latin-1, could not hold.
func asciiJSON(body []byte) string {
	var out strings.Builder
	for _, unit := range utf16.Encode([]rune(string(body))) {
		if unit < 0x80 {
			out.WriteByte(byte(unit))
		} else {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return out.String()
}
