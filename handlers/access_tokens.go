package handlers

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// usualTokenLifetime is the default expiry of a new token.
const usualTokenLifetime = 90 * 24 * time.Hour

// tokenMessages are the messages of the form for a new token.
var tokenMessages = messages{
	"name.blank":                 text.KeyTokenNameBlank,
	"scopes.blank":               text.KeyScopesBlank,
	"access_level.role_too_high": text.KeyRoleAboveOwn,
	"access_level.invalid":       text.KeyRoleInvalid,
}

func (p *pages) personalTokens(c echo.Context) error {
	return p.renderPersonalTokens(c, http.StatusOK, p.emptyToken())
}

func (p *pages) projectTokens(c echo.Context) error {
	return p.renderProjectTokens(c, http.StatusOK, p.emptyToken())
}

// emptyToken returns the form for a new token with its default values.
func (p *pages) emptyToken() views.Form {
	return views.Form{Values: map[string][]string{
		"form_id":      {auth.NewSessionID()},
		"expires_at":   {p.Store.Now().Add(usualTokenLifetime).Format(time.DateOnly)},
		"scopes":       {models.ScopeAPI},
		"access_level": {roleValue(models.RoleDeveloper)},
	}}
}

func (p *pages) renderPersonalTokens(c echo.Context, status int, form views.Form) error {
	list, err := p.presentTokens(c, personalTokensPath, form, models.TokenList{UserID: request.MustUser(c).ID})
	if err != nil {
		return err
	}
	list.Intro = text.KeyPersonalTokensIntro
	page, err := p.page(c, translate(c, text.KeyAccessTokens), "")
	if err != nil {
		return err
	}
	addBreadcrumbs(&page, translate(c, text.KeyUserSettings), userSettingsPath, translate(c, text.KeyAccessTokens), personalTokensPath)
	return render(c, status, views.AccessTokensPage(page, list))
}

func (p *pages) renderProjectTokens(c echo.Context, status int, form views.Form) error {
	project := request.Project(c)
	list, err := p.presentTokens(c, projectTokensURL(c), form, models.TokenList{ProjectID: project.ID})
	if err != nil {
		return err
	}
	list.Intro = text.KeyProjectTokensIntro
	list.Roles = roleOptions(c, assignableRoles(c))
	page, err := p.page(c, translate(c, text.KeyAccessTokens), views.SectionAccessTokens)
	if err != nil {
		return err
	}
	addBreadcrumbs(&page, translate(c, text.KeySettings), generalSettingsURL(c), translate(c, text.KeyAccessTokens), projectTokensURL(c))
	return render(c, status, views.AccessTokensPage(page, list))
}

// expiryPresets are the lifetimes, in days, that the form offers besides a date.
var expiryPresets = []int{7, 30, 90, 180, 365}

// presentTokens returns the active tokens and the most recent inactive ones. It includes the
// secret of a token that was just created, which is shown once.
func (p *pages) presentTokens(c echo.Context, path string, form views.Form, of models.TokenList) (views.TokenList, error) {
	ctx, now, number := c.Request().Context(), p.Store.Now(), pageNumber(c)
	list := views.TokenList{
		URL: path, Form: form, Now: now,
		Scopes: []views.Option{
			{Value: models.ScopeAPI, Text: models.ScopeAPI, Hint: translate(c, text.KeyScopeAPIHint), Code: true},
			{Value: models.ScopeReadAPI, Text: models.ScopeReadAPI, Hint: translate(c, text.KeyScopeReadAPIHint), Code: true},
		},
		MinDate: now.AddDate(0, 0, 1).Format(time.DateOnly), MaxDate: now.Add(models.MaxTokenLifetime).Format(time.DateOnly),
	}
	for _, days := range expiryPresets {
		list.Presets = append(list.Presets, views.Option{Value: now.AddDate(0, 0, days).Format(time.DateOnly), Text: text.N(ctx, text.KeyDays, days)})
	}
	var err error
	if list.NewToken, err = p.takeShownOnce(c, path); err != nil {
		return list, err
	}
	active, total, err := p.Store.Tokens(ctx, of, models.Page{Number: number, Size: pageSize})
	if err != nil {
		return list, err
	}
	of.Ended = true
	ended, allEnded, err := p.Store.Tokens(ctx, of, models.Page{Number: 1, Size: pageSize})
	if err != nil {
		return list, err
	}
	roles := map[int64]models.Role{}
	if of.ProjectID != 0 {
		if roles, err = p.Store.TokenRoles(ctx, of.ProjectID); err != nil {
			return list, err
		}
	}
	list.Pages, list.Ended = pageLinks(c, number, len(active), total), int(allEnded)
	for _, token := range append(active, ended...) {
		row := views.TokenRow{
			ID: token.ID, Name: token.Name, Scopes: token.Scopes, CreatedAt: token.CreatedAt, LastUsedAt: token.LastUsedAt,
			ExpiresAt: token.ExpiresAt, RevokedAt: token.RevokedAt, Role: views.RoleText(ctx, int(roles[token.UserID])),
			NotRevocable: of.ProjectID != 0 && roles[token.UserID] > request.Role(c),
		}
		if token.ActiveAt(now) {
			list.Rows = append(list.Rows, row)
		} else {
			list.EndedRows = append(list.EndedRows, row)
		}
	}
	return list, nil
}

// createToken creates the token of the submitted form and redirects to the page at path, which
// shows the secret once. A form that was submitted before creates nothing and redirects to the
// same page.
func (p *pages) createToken(c echo.Context, path string, create func(models.AccessTokenInput) error, again func(views.Form) error) error {
	form, secret := formOf(c), auth.NewAccessToken()
	in := models.AccessTokenInput{
		Name: c.FormValue("name"), Scopes: c.Request().PostForm["scopes"], Digest: auth.Digest(secret), Role: roleParam(c),
		FormID: form.Value("form_id"), Session: request.Session(c).Digest,
	}
	expires, err := time.Parse(time.DateOnly, c.FormValue("expires_at"))
	if err != nil {
		form.Errors["expires_at"] = translate(c, text.KeyDateInvalid)
	}
	in.ExpiresAt = expires
	if in.Shown, err = p.sealShownOnce(c, path, secret); err != nil {
		return err
	}
	err = create(in)
	switch {
	case models.CodeOf(err) == models.CodeFormUsed:
		return p.redirect(c, path, "")
	case err != nil && addMessages(c, &form, err, tokenMessages):
		return again(form)
	case err != nil:
		return err
	}
	return p.redirect(c, path, "")
}

func (p *pages) createPersonalToken(c echo.Context) error {
	return p.createToken(c, personalTokensPath, func(in models.AccessTokenInput) error {
		_, err := p.Store.CreatePersonalToken(c.Request().Context(), request.MustUser(c), in)
		return err
	}, func(form views.Form) error { return p.renderPersonalTokens(c, http.StatusUnprocessableEntity, form) })
}

func (p *pages) createProjectToken(c echo.Context) error {
	return p.createToken(c, projectTokensURL(c), func(in models.AccessTokenInput) error {
		_, err := p.Store.CreateProjectToken(c.Request().Context(), request.MustUser(c), request.Role(c), request.Project(c).ID, in)
		return err
	}, func(form views.Form) error { return p.renderProjectTokens(c, http.StatusUnprocessableEntity, form) })
}

// revokePersonalTokenForm asks for confirmation to revoke a token of the user.
func (p *pages) revokePersonalTokenForm(c echo.Context) error {
	return p.revocation(c, models.TokenList{UserID: request.MustUser(c).ID}, personalTokensPath, "")
}

// revokeProjectTokenForm asks for confirmation to revoke a token of the project.
func (p *pages) revokeProjectTokenForm(c echo.Context) error {
	return p.revocation(c, models.TokenList{ProjectID: request.Project(c).ID}, projectTokensURL(c), views.SectionAccessTokens)
}

// revocation renders the confirmation to revoke the token that the path names.
func (p *pages) revocation(c echo.Context, of models.TokenList, path, section string) error {
	id, err := idParam(c, "id")
	if err != nil {
		return err
	}
	token, err := p.Store.ActiveToken(c.Request().Context(), of, id)
	if err != nil {
		return err
	}
	if of.ProjectID != 0 {
		roles, err := p.Store.TokenRoles(c.Request().Context(), of.ProjectID)
		if err != nil {
			return err
		}
		if roles[token.UserID] > request.Role(c) {
			return request.ErrForbidden
		}
	}
	return p.confirm(c, section, views.Confirmation{
		Title: text.KeyRevokeTitle, Button: text.KeyRevokeToken, Text: views.RevocationText(token.Name),
		URL: withID(path, id) + "/revoke", CloseURL: path,
	}, translate(c, text.KeyAccessTokens), path, translate(c, text.KeyRevokeToken), c.Request().URL.Path)
}

// confirm renders a confirmation: for htmx as a dialog, otherwise as a page with levels as
// breadcrumbs (texts and addresses in turn).
func (p *pages) confirm(c echo.Context, section string, v views.Confirmation, levels ...string) error {
	if isHTMX(c) {
		return render(c, http.StatusOK, views.ConfirmationDialog(v))
	}
	page, err := p.page(c, translate(c, v.Title), section)
	if err != nil {
		return err
	}
	page.Narrow = true
	addBreadcrumbs(&page, levels...)
	return render(c, http.StatusOK, views.ConfirmationPage(page, v))
}

func (p *pages) revokePersonalToken(c echo.Context) error {
	id, err := idParam(c, "id")
	if err != nil {
		return err
	}
	user := request.MustUser(c)
	if err := p.Store.RevokePersonalToken(c.Request().Context(), user, user.ID, id); err != nil {
		return err
	}
	return p.redirect(c, personalTokensPath, text.KeyTokenRevoked)
}

func (p *pages) revokeProjectToken(c echo.Context) error {
	id, err := idParam(c, "id")
	if err != nil {
		return err
	}
	if err := p.Store.RevokeProjectToken(c.Request().Context(), request.MustUser(c), request.Role(c), request.Project(c).ID, id); err != nil {
		return err
	}
	return p.redirect(c, projectTokensURL(c), text.KeyTokenRevoked)
}
