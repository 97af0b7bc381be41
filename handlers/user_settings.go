package handlers

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// Form values for "no choice", which the database stores as "".
const (
	systemTheme     = "system"
	browserLanguage = "browser"
)

// preferenceMessages are the messages of the form.
var preferenceMessages = messages{"theme.invalid": text.KeyThemeInvalid}

func (p *pages) userSettings(c echo.Context) error {
	user := request.MustUser(c)
	form := views.Form{Values: map[string][]string{"theme": {user.Theme}, "language": {user.Language}}}
	if user.Theme == "" {
		form.Values.Set("theme", systemTheme)
	}
	if user.Language == "" {
		form.Values.Set("language", browserLanguage)
	}
	return p.renderUserSettings(c, http.StatusOK, form)
}

func (p *pages) renderUserSettings(c echo.Context, status int, form views.Form) error {
	sessions, err := p.Store.Sessions(c.Request().Context(), request.MustUser(c).ID)
	if err != nil {
		return err
	}
	v := views.UserSettings{Form: form, Now: p.Store.Now()}
	for _, s := range sessions {
		row := views.SessionRow{
			ID: s.ID, Agent: s.UserAgent, IP: s.IP, SignedInAt: s.CreatedAt, LastSeen: s.LastSeenAt,
			This: s.Digest == request.Session(c).Digest,
		}
		if row.This {
			row.LastSeen = v.Now // stored only every few minutes
		}
		v.Sessions = append(v.Sessions, row)
	}
	page, err := p.page(c, translate(c, text.KeyUserSettings), "")
	if err != nil {
		return err
	}
	addBreadcrumbs(&page, translate(c, text.KeyUserSettings), userSettingsPath)
	return render(c, status, views.UserSettingsPage(page, v))
}

// savePreferences saves the user's theme and language.
func (p *pages) savePreferences(c echo.Context) error {
	form := formOf(c)
	theme, language := form.Value("theme"), form.Value("language")
	// models accepts "" as a choice, but a form without the field has made none.
	switch theme {
	case "":
		theme = "none"
	case systemTheme:
		theme = ""
	}
	if language != browserLanguage && !text.IsLanguage(language) {
		form.Errors["language"] = translate(c, text.KeyLanguageInvalid)
		language = request.MustUser(c).Language
	} else if language == browserLanguage {
		language = ""
	}
	if len(form.Errors) > 0 {
		if err := models.CheckTheme(theme); err != nil {
			addMessages(c, &form, err, preferenceMessages)
		}
		return p.renderUserSettings(c, http.StatusUnprocessableEntity, form)
	}
	if err := p.Store.SetTheme(c.Request().Context(), request.MustUser(c).ID, theme, language); err != nil {
		if addMessages(c, &form, err, preferenceMessages) {
			return p.renderUserSettings(c, http.StatusUnprocessableEntity, form)
		}
		return err
	}
	p.writeTheme(c, theme)
	return p.redirect(c, userSettingsPath, text.KeyChangesSaved)
}

// switchTheme changes the theme to the one that the script names. Without script, the system's
// theme is unknown, and the first change is to dark.
func (p *pages) switchTheme(c echo.Context) error {
	next := c.FormValue("theme")
	if next != "light" && next != "dark" {
		if next = "dark"; theme(c) == "dark" {
			next = "light"
		}
	}
	if user := request.User(c); user != nil {
		if err := p.Store.SetTheme(c.Request().Context(), user.ID, next, user.Language); err != nil {
			return err
		}
	}
	p.writeTheme(c, next)
	if isHTMX(c) {
		return c.NoContent(http.StatusNoContent)
	}
	return c.Redirect(http.StatusSeeOther, returnPath(c))
}

// writeTheme stores the theme in a cookie, for pages without a user; "" deletes it.
func (p *pages) writeTheme(c echo.Context, theme string) {
	if theme == browserTheme(c) {
		return
	}
	maxAge := int((365 * 24 * time.Hour).Seconds())
	if theme == "" {
		maxAge = -1
	}
	cookie := p.plainCookie(themeCookie, theme, maxAge)
	cookie.HttpOnly = false // the script changes it too
	c.SetCookie(cookie)
}

// theme returns the user's theme, or for visitors the browser's; "" means the system's.
func theme(c echo.Context) string {
	if user := request.User(c); user != nil {
		return user.Theme
	}
	return browserTheme(c)
}

// browserTheme returns the theme in the browser's cookie.
func browserTheme(c echo.Context) string {
	cookie, err := c.Cookie(themeCookie)
	if err != nil || (cookie.Value != "light" && cookie.Value != "dark") {
		return ""
	}
	return cookie.Value
}

// endSessionOf ends another session of the user.
func (p *pages) endSessionOf(c echo.Context) error {
	id, err := idParam(c, "id")
	if err != nil {
		return err
	}
	ended, err := p.Store.EndSessions(c.Request().Context(), request.MustUser(c), request.MustUser(c), id, request.Session(c).Digest)
	if err != nil {
		return err
	}
	if ended == 0 {
		return request.ErrHidden
	}
	return p.redirect(c, userSettingsPath, text.KeyToastSessionEnded)
}

// endOtherSessions ends all sessions of the user except this one.
func (p *pages) endOtherSessions(c echo.Context) error {
	ended, err := p.Store.EndSessions(c.Request().Context(), request.MustUser(c), request.MustUser(c), 0, request.Session(c).Digest)
	if err != nil {
		return err
	}
	toast := text.KeyToastOthersEnded
	if ended == 0 {
		toast = text.KeyToastNothingToEnd
	}
	return p.redirect(c, userSettingsPath, toast)
}
