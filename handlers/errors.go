package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/static"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// statusOf returns the HTTP status of a page for an error.
func statusOf(err error) int {
	var httpError *echo.HTTPError
	switch {
	case errors.Is(err, request.ErrHidden):
		return http.StatusNotFound
	case errors.Is(err, request.ErrForbidden), errors.Is(err, errCrossOrigin):
		return http.StatusForbidden
	case errors.Is(err, errFormTooBig):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, request.ErrSlowBody):
		return http.StatusRequestTimeout
	case errors.Is(err, errBadForm):
		return http.StatusBadRequest
	case errors.As(err, &httpError):
		return httpError.Code
	}
	switch models.KindOf(err) {
	case models.KindInvalid, models.KindUnprocessable:
		return http.StatusUnprocessableEntity
	case models.KindNotFound:
		return http.StatusNotFound
	case models.KindForbidden:
		return http.StatusForbidden
	case models.KindConflict:
		return http.StatusConflict
	case models.KindUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// handleError is Echo's error handler. It answers the request, and logs errors with a status
// of 500 or above.
func (p *pages) handleError(err error, c echo.Context) {
	if c.Response().Committed {
		if !request.ClientGone(c, err) {
			p.Log.ErrorContext(c.Request().Context(), "response aborted", models.ErrorAttrs(err)...)
		}
		return
	}
	status := statusOf(err)
	if status >= http.StatusInternalServerError && request.ClientGone(c, err) {
		_ = c.NoContent(request.StatusClientGone)
		return
	}
	if status >= http.StatusInternalServerError {
		p.Log.ErrorContext(c.Request().Context(), "request failed", append(models.ErrorAttrs(err), "route", c.Path())...)
	}
	if status == http.StatusServiceUnavailable {
		request.SetRetryAfter(c)
	}
	// A request body that ended early cancels the context, but the error page must still be
	// rendered.
	c.SetRequest(c.Request().WithContext(context.WithoutCancel(c.Request().Context())))
	if failure := p.answerError(c, status, err); failure != nil {
		p.Log.ErrorContext(c.Request().Context(), "rendering error page failed", "error", failure)
	}
}

// answerError sends the error in the form that the client needs. Browsers get a page, or are
// asked to sign in if that may help. htmx gets a toast, and the page stays as it is.
func (p *pages) answerError(c echo.Context, status int, err error) error {
	signedOut := request.User(c) == nil && (status == http.StatusForbidden || status == http.StatusNotFound) &&
		!errors.Is(err, errCrossOrigin)
	sealed, formPage := "", ""
	if signedOut {
		sealed, formPage = p.sealForm(c)
	}
	switch {
	case strings.HasPrefix(c.Request().URL.Path, static.Prefix):
		return c.NoContent(status)
	case sealed != "" && isHTMX(c):
		return c.NoContent(http.StatusUnauthorized) // the script sends the form without htmx
	case sealed != "":
		return p.signInWithForm(c, sealed, formPage)
	case signedOut && isHTMX(c):
		return signedOutFragment(c)
	case signedOut:
		return c.Redirect(http.StatusSeeOther, signInURL(c))
	case c.Request().Method == http.MethodHead:
		return c.NoContent(status)
	case isHTMX(c):
		c.Response().Header().Set("HX-Reswap", "none")
		triggerToast(c, p.errorSentence(c, status, err), false)
		return c.NoContent(status)
	}
	title, _ := views.ErrorTexts(status)
	detail := views.ErrorPage{Status: status, Detail: errorDetail(c, err), BackURL: p.backURL(c)}
	switch {
	case status >= http.StatusInternalServerError:
		detail.RequestID, detail.BackURL = request.ID(c), ""
		if c.Request().Method == http.MethodGet {
			detail.RetryURL = safePath(c.Request().URL.RequestURI())
		}
	case status == http.StatusForbidden:
		detail.SignInURL, detail.BackURL = signInURL(c), ""
	}
	return render(c, status, views.Error(p.barePage(c, translate(c, title)), detail))
}

// signedOutFragment tells htmx that the session has ended. The page reloads and thereby asks
// to sign in. After a poll, or another request that no control was pressed for, the page
// stays, with what was typed.
func signedOutFragment(c echo.Context) error {
	if c.Request().Header.Get("Mergegate-Poll") == "" {
		c.Response().Header().Set("HX-Refresh", "true")
	}
	return c.NoContent(http.StatusUnauthorized)
}

// backURL returns the path of the referring page, or "" if that is this page or not on this
// server.
func (p *pages) backURL(c echo.Context) string {
	from, err := url.Parse(c.Request().Referer())
	if err != nil || from.Host == "" || from.Host != c.Request().Host && from.Scheme+"://"+from.Host != p.BaseURL {
		return ""
	}
	back := safePath(from.RequestURI())
	if back == c.Request().URL.RequestURI() && c.Request().Method == http.MethodGet {
		return ""
	}
	return back
}

// errorSentence returns the text of an error for a toast.
func (p *pages) errorSentence(c echo.Context, status int, err error) string {
	if detail := errorDetail(c, err); detail != "" {
		return detail
	}
	if status == http.StatusInternalServerError {
		return translate(c, text.KeyRequestFailed)
	}
	title, _ := views.ErrorTexts(status)
	return translate(c, title)
}

// errorDetail returns a sentence for the particular error, or "" if there is only the general
// text of its status.
func errorDetail(c echo.Context, err error) string {
	if errors.Is(err, errCrossOrigin) {
		return translate(c, text.KeyCrossOrigin)
	}
	if c.Request().Method == http.MethodPost && models.KindOf(err) == models.KindNotFound {
		return translate(c, text.KeyRemovedMeanwhile)
	}
	if key, ok := codeTexts[models.CodeOf(err)]; ok {
		return translate(c, key)
	}
	return ""
}
