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

// render renders a component into memory and sends it. An error can thus still become an error
// page.
func render(c echo.Context, status int, component templ.Component) error {
	var body bytes.Buffer
	if err := component.Render(c.Request().Context(), &body); err != nil {
		return err
	}
	return c.HTMLBlob(status, body.Bytes())
}

// translate returns a text in the language of the response.
func translate(c echo.Context, key text.Key, args ...any) string {
	return text.T(c.Request().Context(), key, args...)
}

// page returns the frame of a page: user, theme and toast, and inside a project its navigation
// and breadcrumbs.
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
	filter := models.MergeRequestFilter{ProjectIDs: []int64{projectID}, State: models.StateOpened}
	counts, err := p.Store.CountMergeRequests(c.Request().Context(), filter)
	return int(counts[models.StateOpened]), err
}

// barePage returns the frame of a page without navigation.
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

// addBreadcrumbs adds breadcrumbs. textsAndURLs alternates texts and addresses.
func addBreadcrumbs(page *views.Page, textsAndURLs ...string) {
	for i := 0; i+1 < len(textsAndURLs); i += 2 {
		page.Breadcrumbs = append(page.Breadcrumbs, views.Crumb{Text: textsAndURLs[i], URL: textsAndURLs[i+1]})
	}
}

// isHTMX reports whether htmx sent the request and expects a fragment.
func isHTMX(c echo.Context) bool { return c.Request().Header.Get("HX-Request") == "true" }

// redirect answers a form with a redirect and shows a toast on the next page, "" for none. The
// cookie that carries the toast's key needs no signature, because only texts of the catalogue
// are shown.
func (p *pages) redirect(c echo.Context, path string, toast text.Key) error {
	if toast != "" {
		p.keepToast(c, string(toast))
	}
	return c.Redirect(http.StatusSeeOther, path)
}

// keepToast sets the toast of the next page: a key, or the result of countedToast.
func (p *pages) keepToast(c echo.Context, toast string) {
	c.SetCookie(p.plainCookie(flashCookie, toast, 60))
}

// countedToast returns a toast with a number.
func countedToast(key text.Key, n int) string { return string(key) + ":" + strconv.Itoa(n) }

// toastText returns the text of a toast, "" if its key is unknown.
func toastText(c echo.Context, toast string) string {
	key, number, counted := strings.Cut(toast, ":")
	shown := ""
	if n, err := strconv.Atoi(number); counted && err == nil && n >= 0 {
		shown = text.N(c.Request().Context(), text.Key(key), n)
	} else if !counted {
		shown = translate(c, text.Key(key))
	}
	if shown == key {
		return "" // not in the catalogue
	}
	return shown
}

// redirectPage is redirect for forms that can be in a dialog. There it loads the page at path instead
// of the dialog's content.
func (p *pages) redirectPage(c echo.Context, path string, toast text.Key) error {
	if !isHTMX(c) {
		return p.redirect(c, path, toast)
	}
	p.keepToast(c, string(toast))
	c.Response().Header().Set("HX-Redirect", path)
	return c.NoContent(http.StatusNoContent)
}

// plainCookie returns a cookie that is neither signed nor encrypted. maxAge is in seconds; a
// negative one deletes the cookie.
func (p *pages) plainCookie(name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: p.secure,
	}
}

// takeToast returns the text of the toast for this page and deletes its cookie.
func (p *pages) takeToast(c echo.Context) string {
	cookie, err := c.Cookie(flashCookie)
	if err != nil || cookie.Value == "" || isHTMX(c) {
		return ""
	}
	c.SetCookie(p.plainCookie(flashCookie, "", -1))
	return toastText(c, cookie.Value)
}

// triggerToast shows a toast with the response to an htmx request; closeModal also closes the
// dialog. The event goes to the body, because the element that sent the request may have been
// removed.
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

// asciiJSON escapes non-ASCII characters, which a header cannot contain.
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
