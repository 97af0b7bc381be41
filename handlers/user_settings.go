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

// The words of the form for "none chosen", which is "" in the database.
const (
	systemTheme     = "system"
	browserLanguage = "browser"
)

// preferenceWords are the messages of the form.
var preferenceWords = words{"theme.invalid": text.KeyThemeInvalid}

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
			row.LastSeen = v.Now // kept to some minutes only
		}
		v.Sessions = append(v.Sessions, row)
	}
	page, err := p.page(c, translate(c, text.KeyUserSettings), "")
	if err != nil {
		return err
	}
	crumbs(&page, translate(c, text.KeyUserSettings), userSettingsPath)
	return render(c, status, views.UserSettingsPage(page, v))
}

// savePreferences keeps the user's theme and language.
func (p *pages) savePreferences(c echo.Context) error {
	form := formOf(c)
	theme, language := form.Value("theme"), form.Value("language")
	// "" would be a choice in the database; a form that lacks it made none.
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
			explain(c, &form, err, preferenceWords)
		}
		return p.renderUserSettings(c, http.StatusUnprocessableEntity, form)
	}
	if err := p.Store.SetTheme(c.Request().Context(), request.MustUser(c).ID, theme, language); err != nil {
		if explain(c, &form, err, preferenceWords) {
			return p.renderUserSettings(c, http.StatusUnprocessableEntity, form)
		}
		return err
	}
	p.writeTheme(c, theme)
	return p.redirect(c, userSettingsPath, text.KeyChangesSaved)
}

// switchTheme is the theme button: to the theme that the script names, or
// without script, which alone knows the system's choice, to dark first.
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

// writeTheme keeps a theme in the browser for the pages that it shows to
// nobody in particular; "" forgets it.
func (p *pages) writeTheme(c echo.Context, theme string) {
	if theme == browserTheme(c) {
		return
	}
	maxAge := int((365 * 24 * time.Hour).Seconds())
	if theme == "" {
		maxAge = -1
	}
	cookie := p.plainCookie(themeCookie, theme, maxAge)
	cookie.HttpOnly = false // the script switches it as well
	c.SetCookie(cookie)
}

// theme is the reader's choice, "" for the system's: the user's own wherever
// they are signed in, else the browser's last one.
func theme(c echo.Context) string {
	if user := request.User(c); user != nil {
		return user.Theme
	}
	return browserTheme(c)
}

// browserTheme is the theme that the browser had last.
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
	ended, err := p.Store.EndSessions(c.Request().Context(), request.MustUser(c), id, request.Session(c).Digest)
	if err != nil {
		return err
	}
	if ended == 0 {
		return request.ErrHidden
	}
	return p.redirect(c, userSettingsPath, text.KeyToastSessionEnded)
}

// endOtherSessions ends all sessions of the user but this one.
func (p *pages) endOtherSessions(c echo.Context) error {
	ended, err := p.Store.EndSessions(c.Request().Context(), request.MustUser(c), 0, request.Session(c).Digest)
	if err != nil {
		return err
	}
	toast := text.KeyToastOthersEnded
	if ended == 0 {
		toast = text.KeyToastNothingToEnd
	}
	return p.redirect(c, userSettingsPath, toast)
}
