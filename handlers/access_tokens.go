package handlers

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
)

// usualTokenLifetime is the expiry that the form for a new token suggests.
const usualTokenLifetime = 90 * 24 * time.Hour

// personalTokensPath is the page of the user's own tokens.
const personalTokensPath = "/-/user_settings/personal_access_tokens"

// projectTokensPath is the page of the project's tokens.
func projectTokensPath(c echo.Context) string {
	return "/" + request.Project(c).FullPath() + "/-/settings/access_tokens"
}

// tokenWords are the messages of the form for a new token.
var tokenWords = words{
	"name.blank":                 views.KeyTokenNameBlank,
	"scopes.blank":               views.KeyScopesBlank,
	"access_level.role_too_high": views.KeyRoleAboveOwn,
	"access_level.invalid":       views.KeyRoleInvalid,
}

func (p *pages) personalTokens(c echo.Context) error {
	return p.renderPersonalTokens(c, http.StatusOK, p.emptyToken())
}

func (p *pages) projectTokens(c echo.Context) error {
	return p.renderProjectTokens(c, http.StatusOK, p.emptyToken())
}

// emptyToken is the untouched form for a new token.
func (p *pages) emptyToken() views.Form {
	return views.Form{Values: map[string][]string{
		"expires_at":   {p.Store.Now().Add(usualTokenLifetime).Format(time.DateOnly)},
		"scopes":       {models.ScopeAPI},
		"access_level": {roleValue(models.RoleDeveloper)},
	}}
}

func (p *pages) renderPersonalTokens(c echo.Context, status int, form views.Form) error {
	tokens, err := p.Store.PersonalTokens(c.Request().Context(), request.MustUser(c).ID)
	if err != nil {
		return err
	}
	list := p.presentTokens(c, personalTokensPath, form, tokens)
	list.Intro = views.KeyPersonalTokensIntro
	page, err := p.page(c, text(c, views.KeyAccessTokens), "")
	if err != nil {
		return err
	}
	crumbs(&page, text(c, views.KeyAccessTokens), personalTokensPath)
	return render(c, status, views.AccessTokensPage(page, list))
}

func (p *pages) renderProjectTokens(c echo.Context, status int, form views.Form) error {
	ctx, project := c.Request().Context(), request.Project(c)
	tokens, err := p.Store.ProjectTokens(ctx, project.ID)
	if err != nil {
		return err
	}
	list := p.presentTokens(c, projectTokensPath(c), form, tokens)
	list.Intro = views.KeyProjectTokensIntro
	list.Roles = roleOptions(c, assignable(c))
	for i := range list.Rows {
		member, err := p.botRole(c, tokens, list.Rows[i].ID)
		if err != nil {
			return err
		}
		list.Rows[i].Role = views.RoleText(ctx, int(member))
	}
	page, err := p.page(c, text(c, views.KeyAccessTokens), views.SectionAccessTokens)
	if err != nil {
		return err
	}
	crumbs(&page, text(c, views.KeySettings), "/"+project.FullPath()+"/-/settings/general", text(c, views.KeyAccessTokens), projectTokensPath(c))
	return render(c, status, views.AccessTokensPage(page, list))
}

// botRole is the role of the bot behind one of the tokens.
func (p *pages) botRole(c echo.Context, tokens []models.AccessToken, tokenID int64) (models.Role, error) {
	for _, token := range tokens {
		if token.ID != tokenID {
			continue
		}
		member, err := p.Store.Member(c.Request().Context(), request.Project(c).ID, token.UserID)
		if models.KindOf(err) == models.KindNotFound {
			return models.RoleNone, nil
		}
		return member.Role, err
	}
	return models.RoleNone, nil
}

// presentTokens is the list of the tokens that still work. A token made a
// moment ago on this page is shown this once.
func (p *pages) presentTokens(c echo.Context, path string, form views.Form, tokens []models.AccessToken) views.TokenList {
	now := p.Store.Now()
	list := views.TokenList{
		URL: path, Form: form, NewToken: p.takeNewToken(c, path), Now: now,
		Scopes: []views.Option{
			{Value: models.ScopeAPI, Text: models.ScopeAPI, Hint: text(c, views.KeyScopeAPIHint)},
			{Value: models.ScopeReadAPI, Text: models.ScopeReadAPI, Hint: text(c, views.KeyScopeReadAPIHint)},
		},
		MinDate: now.AddDate(0, 0, 1).Format(time.DateOnly), MaxDate: now.Add(models.MaxTokenLifetime).Format(time.DateOnly),
	}
	for _, token := range tokens {
		if token.ActiveAt(now) {
			list.Rows = append(list.Rows, views.TokenRow{
				ID: token.ID, Name: token.Name, Scopes: token.Scopes, CreatedAt: token.CreatedAt,
				LastUsedAt: token.LastUsedAt, ExpiresAt: token.ExpiresAt,
			})
		}
	}
	return list
}

// readToken is the token that the form asks for, and its secret part.
func readToken(c echo.Context, form *views.Form) (in models.AccessTokenInput, secret string) {
	secret = auth.NewAccessToken()
	in = models.AccessTokenInput{
		Name: c.FormValue("name"), Scopes: c.Request().PostForm["scopes"], Digest: auth.Digest(secret), Role: roleParam(c),
	}
	expires, err := time.Parse(time.DateOnly, c.FormValue("expires_at"))
	if err != nil {
		form.Errors["expires_at"] = text(c, views.KeyDateInvalid)
	}
	in.ExpiresAt = expires
	return in, secret
}

func (p *pages) createPersonalToken(c echo.Context) error {
	form := formOf(c)
	in, secret := readToken(c, &form)
	if _, err := p.Store.CreatePersonalToken(c.Request().Context(), request.MustUser(c), in); err != nil {
		if explain(c, &form, err, tokenWords) {
			return p.renderPersonalTokens(c, http.StatusUnprocessableEntity, form)
		}
		return err
	}
	return p.showNewToken(c, personalTokensPath, secret)
}

func (p *pages) createProjectToken(c echo.Context) error {
	form := formOf(c)
	in, secret := readToken(c, &form)
	_, err := p.Store.CreateProjectToken(c.Request().Context(), request.MustUser(c), request.Role(c), request.Project(c).ID, in)
	if err != nil {
		if explain(c, &form, err, tokenWords) {
			return p.renderProjectTokens(c, http.StatusUnprocessableEntity, form)
		}
		return err
	}
	return p.showNewToken(c, projectTokensPath(c), secret)
}

// showNewToken leads back to the page, with the token in an encrypted cookie:
// it is stored nowhere, and the page must survive a reload without making
// another.
func (p *pages) showNewToken(c echo.Context, path, secret string) error {
	if err := p.writeCookie(c, newTokenCookie, newTokenValue, path+"\n"+secret, 60); err != nil {
		return err
	}
	return p.redirect(c, path, "")
}

// takeNewToken is the token made a moment ago on the page at path, once.
func (p *pages) takeNewToken(c echo.Context, path string) string {
	cookie, err := p.sessions.Get(c.Request(), newTokenCookie)
	if err != nil {
		return ""
	}
	value, _ := cookie.Values[newTokenValue].(string)
	of, secret, ok := strings.Cut(value, "\n")
	if !ok || of != path {
		return ""
	}
	if err := p.writeCookie(c, newTokenCookie, newTokenValue, "", -1); err != nil {
		return "" // better not shown than shown twice
	}
	return secret
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
	return p.redirect(c, personalTokensPath, views.KeyTokenRevoked)
}

func (p *pages) revokeProjectToken(c echo.Context) error {
	id, err := idParam(c, "id")
	if err != nil {
		return err
	}
	if err := p.Store.RevokeProjectToken(c.Request().Context(), request.MustUser(c), request.Project(c).ID, id); err != nil {
		return err
	}
	return p.redirect(c, projectTokensPath(c), views.KeyTokenRevoked)
}
