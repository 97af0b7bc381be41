package handlers

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
)

// A form that is submitted after the session ended survives the sign-in. The sign-in page
// carries it in encrypted form. The same user then gets the form's page back, filled in, and
// has to submit it again. Passwords and secrets are not kept.

const (
	// lastUserCookie holds the signed id of the user who last signed in with this browser.
	lastUserCookie = "mergegate_last_user"
	// lastUserLifetime is longer than that of a session, so that the user of an expired one is
	// known.
	lastUserLifetime = 2 * models.SessionLifetime
	// keptFormLifetime is how long the sign-in page can restore the form.
	keptFormLifetime = 24 * time.Hour
	// maxKeptForm is the largest form that is kept, in bytes of JSON.
	maxKeptForm = 512 << 10
	// keptFormParam is the query parameter of a page that restores a form.
	keptFormParam   = "kept_form"
	keptFormContext = "sign-in page"
)

// secretFields are never kept.
var secretFields = []string{"password", "current_password", "password_confirmation", "shared_secret", "header_value", "kept"}

// keptForm is a submitted form.
type keptForm struct {
	User    int64      `json:"user"`
	Action  string     `json:"action"`
	Page    string     `json:"page"`
	Values  url.Values `json:"values"`
	Secrets bool       `json:"secrets"`
	Until   int64      `json:"until"`
}

func (p *pages) keptFormSealer() (*auth.Sealer, error) {
	mac := hmac.New(sha256.New, p.SessionKey)
	mac.Write([]byte("kept form"))
	ring, err := auth.NewKeyring(mac.Sum(nil))
	if err != nil {
		return nil, err
	}
	return ring.Sealer("kept form"), nil
}

// lastUserValue returns the signed value of lastUserCookie.
func (p *pages) lastUserValue(id string) string {
	mac := hmac.New(sha256.New, p.SessionKey)
	mac.Write([]byte("last user\n" + id))
	return id + "." + hex.EncodeToString(mac.Sum(nil))
}

// lastUser returns the id of the user who last signed in with this browser, 0 if unknown.
func (p *pages) lastUser(c echo.Context) int64 {
	cookie, err := c.Cookie(lastUserCookie)
	if err != nil {
		return 0
	}
	id, _, _ := strings.Cut(cookie.Value, ".")
	if !hmac.Equal([]byte(cookie.Value), []byte(p.lastUserValue(id))) {
		return 0
	}
	user, _ := strconv.ParseInt(id, 10, 64)
	return user
}

// rememberUser sets lastUserCookie. Without remember, the cookie ends with the browser, as the
// session does.
func (p *pages) rememberUser(c echo.Context, user models.User, remember bool) {
	maxAge := 0
	if remember {
		maxAge = int(lastUserLifetime.Seconds())
	}
	c.SetCookie(p.plainCookie(lastUserCookie, p.lastUserValue(strconv.FormatInt(user.ID, 10)), maxAge))
}

// sealForm encrypts the submitted form. It returns "" if there is no form to keep or its user
// is unknown.
func (p *pages) sealForm(c echo.Context) (sealed, page string) {
	r, user := c.Request(), p.lastUser(c)
	if r.Method != http.MethodPost || user == 0 || len(r.PostForm) == 0 {
		return "", ""
	}
	declared := p.declaredRoutes()
	if !slices.ContainsFunc(declared, func(d route) bool { return d.method == http.MethodPost && d.path == c.Path() }) {
		return "", ""
	}
	form := keptForm{
		User: user, Action: r.URL.EscapedPath(), Values: url.Values{}, Until: p.Store.Now().Add(keptFormLifetime).Unix(),
		Page: formPageAddress(r.URL.EscapedPath(), c.Path(), formPage(declared, c.Path())),
	}
	for name, values := range r.PostForm {
		if slices.Contains(secretFields, name) {
			form.Secrets = form.Secrets || strings.Join(values, "") != ""
			continue
		}
		for _, value := range values {
			form.Values.Add(name, strings.ToValidUTF8(value, "\uFFFD"))
		}
	}
	if from, err := url.Parse(returnPath(c)); err == nil && from.EscapedPath() == form.Page {
		form.Page = from.RequestURI() // with the query, for example of a search
	}
	plain, err := json.Marshal(form)
	sealer, sealErr := p.keptFormSealer()
	if err != nil || sealErr != nil || len(plain) > maxKeptForm {
		return "", ""
	}
	out, err := sealer.Seal(plain, keptFormContext)
	if err != nil {
		return "", ""
	}
	return base64.RawURLEncoding.EncodeToString(out), form.Page
}

// openForm decrypts a form that the sign-in page carried. It is false for another user's form
// and for an expired one.
func (p *pages) openForm(sealed string, user int64) (keptForm, bool) {
	var form keptForm
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	sealer, sealErr := p.keptFormSealer()
	if err != nil || sealErr != nil || sealed == "" {
		return form, false
	}
	plain, err := sealer.Open(raw, keptFormContext)
	if err != nil || json.Unmarshal(plain, &form) != nil {
		return form, false
	}
	return form, form.User == user && p.Store.Now().Unix() <= form.Until
}

// signInWithForm shows the sign-in page, which carries the form.
func (p *pages) signInWithForm(c echo.Context, sealed, page string) error {
	c.Set(keptFormParam, sealed)
	return p.renderSignIn(c, http.StatusUnauthorized, views.Form{}, safePath(page))
}

// carriedForm returns the encrypted form that the submitted sign-in page carries.
func carriedForm(c echo.Context) string {
	if sealed, ok := c.Get(keptFormParam).(string); ok {
		return sealed
	}
	return c.FormValue("kept")
}

// pageAfterSignIn returns where a user goes after sign-in: to the page of the carried form,
// otherwise to back.
func (p *pages) pageAfterSignIn(c echo.Context, user models.User, back string) (string, error) {
	form, ok := p.openForm(c.FormValue("kept"), user.ID)
	if !ok {
		return back, nil
	}
	page, err := url.Parse(safePath(form.Page))
	if err != nil {
		return back, nil
	}
	plain, err := json.Marshal(form)
	if err != nil {
		return back, err
	}
	sealed, err := p.sealShownOnce(c, keptFormParam+" "+page.EscapedPath(), string(plain))
	if err != nil {
		return back, err
	}
	if err := p.Store.SetShownOnce(c.Request().Context(), p.sessionDigest(c), sealed); err != nil {
		return back, err
	}
	query := page.Query()
	query.Set(keptFormParam, "1")
	page.RawQuery = query.Encode()
	return page.RequestURI(), nil
}

// restoreForm fills in the form on the page that a kept form belongs to.
func (p *pages) restoreForm(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.QueryParam(keptFormParam) != "1" || request.User(c) == nil || isHTMX(c) {
			return next(c)
		}
		plain, err := p.takeShownOnce(c, keptFormParam+" "+c.Request().URL.EscapedPath())
		if err != nil {
			return err
		}
		var form keptForm
		if plain == "" || json.Unmarshal([]byte(plain), &form) != nil || form.User != request.User(c).ID {
			return next(c)
		}
		writer, held := c.Response().Writer, &bufferedResponse{header: c.Response().Header(), status: http.StatusOK}
		c.Response().Writer = held
		err = next(c)
		c.Response().Writer = writer
		if err != nil {
			return err
		}
		body := held.body.Bytes()
		if held.status == http.StatusOK {
			if body, err = fillForm(c.Request().Context(), body, form); err != nil {
				return err
			}
		}
		writer.WriteHeader(held.status)
		_, err = writer.Write(body)
		return err
	}
}

// bufferedResponse buffers a response until the form is filled in.
type bufferedResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *bufferedResponse) Header() http.Header         { return h.header }
func (h *bufferedResponse) WriteHeader(status int)      { h.status = status }
func (h *bufferedResponse) Write(b []byte) (int, error) { return h.body.Write(b) }

// fillForm fills the kept form into its page, with a note about it. If the page no longer has
// the form, the note lists the values.
func fillForm(ctx context.Context, page []byte, kept keptForm) ([]byte, error) {
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(page))
	if err != nil {
		return nil, err
	}
	form := doc.Find("form[method=post]").FilterFunction(func(_ int, f *goquery.Selection) bool {
		return f.AttrOr("action", "") == kept.Action || hasButtonFor(doc, f, kept.Action)
	}).First()
	note := views.KeptForm{Found: form.Length() == 1, Secrets: kept.Secrets}
	if note.Found {
		doc.Find("[autofocus]").RemoveAttr("autofocus")
		controls := form.Find("input, select, textarea")
		if id, ok := form.Attr("id"); ok {
			controls = controls.AddSelection(doc.Find("[form='" + id + "']"))
		}
		fillControls(controls, kept.Values)
		controls.Not("[type=hidden], [readonly]").First().SetAttr("autofocus", "")
	} else {
		for name, values := range kept.Values {
			if name != "version" && name != "return_to" && name != "form_id" && strings.Join(values, "") != "" {
				note.Typed = append(note.Typed, views.Option{Value: name, Text: strings.Join(values, "\n")})
			}
		}
		slices.SortFunc(note.Typed, func(a, b views.Option) int { return strings.Compare(a.Value, b.Value) })
	}
	var html bytes.Buffer
	if err := views.KeptFormNote(note).Render(ctx, &html); err != nil {
		return nil, err
	}
	if head := doc.Find("main .page-head").First(); head.Length() == 1 {
		head.AfterHtml(html.String())
	} else {
		doc.Find("main").First().PrependHtml(html.String())
	}
	filled, err := goquery.OuterHtml(doc.Selection)
	return []byte(filled), err
}

// hasButtonFor reports whether a form has a button that submits it to another address.
func hasButtonFor(doc *goquery.Document, form *goquery.Selection, action string) bool {
	buttons := doc.Find("[formaction]").FilterFunction(func(_ int, b *goquery.Selection) bool {
		return b.AttrOr("formaction", "") == action && b.AttrOr("form", "") == form.AttrOr("id", "-")
	})
	return buttons.Length() > 0
}

// fillControls sets form controls to submitted values.
func fillControls(controls *goquery.Selection, values url.Values) {
	repeated := map[string]int{} // controls of the same name get the values in order
	controls.Each(func(_ int, field *goquery.Selection) {
		name, kind := field.AttrOr("name", ""), field.AttrOr("type", "text")
		sent, has := values[name]
		switch {
		case name == "" || kind == "password" || kind == "submit" || kind == "file":
		case kind == "checkbox" || kind == "radio":
			field.RemoveAttr("checked")
			if slices.Contains(sent, field.AttrOr("value", "on")) {
				field.SetAttr("checked", "")
			}
		case !has:
		case goquery.NodeName(field) == "select":
			options := field.Find("option")
			if chosen := options.FilterFunction(func(_ int, o *goquery.Selection) bool { return o.AttrOr("value", "") == sent[0] }); chosen.Length() > 0 {
				options.RemoveAttr("selected")
				chosen.First().SetAttr("selected", "")
			}
		case goquery.NodeName(field) == "textarea":
			field.SetText(sent[0])
		case repeated[name] < len(sent):
			field.SetAttr("value", sent[repeated[name]])
			repeated[name]++
		}
	})
}
