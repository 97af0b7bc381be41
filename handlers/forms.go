package handlers

import (
	"maps"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// messages maps "field.code" to the messages of one form that differ from usualMessages.
type messages map[string]text.Key

// usualMessages are the messages for field errors, by code.
var usualMessages = map[models.Code]text.Key{
	models.CodeBlank:            text.KeyFieldBlank,
	models.CodeTooLong:          text.KeyFieldTooLong,
	models.CodeTooShort:         text.KeyFieldTooShort,
	models.CodeTaken:            text.KeyFieldTaken,
	models.CodeControlCharacter: text.KeyFieldControlCharacter,
	models.CodeReserved:         text.KeyFieldReserved,
	models.CodeUnknownBranch:    text.KeyFieldUnknownBranch,
	models.CodeTooFar:           text.KeyFieldTooFar,
	models.CodeInPast:           text.KeyFieldInPast,
}

// codeTexts are the messages for errors that concern no single field.
var codeTexts = map[models.Code]text.Key{
	models.CodeLastOwner:    text.KeyLastOwner,
	models.CodeOwnerOnly:    text.KeyOwnerOnly,
	models.CodeRoleTooHigh:  text.KeyRoleTooHigh,
	models.CodeMemberExists: text.KeyMemberExists,
	models.CodeNotEmpty:     text.KeyAdminNotEmpty,
	models.CodeLastAdmin:    text.KeyAdminLastAdmin,
	models.CodeOwnAccount:   text.KeyAdminOwnAccount,
	models.CodeOnlyOwner:    text.KeyAdminOnlyOwner,
	models.CodeBotUser:      text.KeyAdminBotUser,
	models.CodeUserInactive: text.KeyAdminUserInactive,
}

// formOf returns the submitted form to be shown again, with invalid UTF-8 replaced. The caller
// must remove passwords.
func formOf(c echo.Context) views.Form {
	values := url.Values{}
	for name, list := range c.Request().PostForm {
		for _, value := range list {
			values.Add(name, strings.ToValidUTF8(value, "\uFFFD"))
		}
	}
	return views.Form{Values: values, Errors: map[string]string{}}
}

// switchText returns "on" or "off" in the language of the response.
func switchText(c echo.Context, on bool) string {
	if on {
		return translate(c, text.KeyChecksOn)
	}
	return translate(c, text.KeyChecksOffWord)
}

// keepLineEndings returns stored if sent differs from it only in line endings, which a textarea does
// not preserve. Otherwise it returns sent.
func keepLineEndings(stored, sent string) string {
	normalize := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace
	if normalize(stored) == normalize(sent) {
		return stored
	}
	return sent
}

// addMessages adds the messages for err to the form. It is false for errors that the user cannot
// fix in the form.
func addMessages(c echo.Context, form *views.Form, err error, own messages) bool {
	switch models.KindOf(err) {
	case models.KindInvalid, models.KindUnprocessable, models.KindConflict, models.KindForbidden:
	default:
		return false
	}
	fields := models.FieldErrorsOf(err)
	for _, field := range fields {
		if form.Errors[field.Field] == "" {
			form.Errors[field.Field] = fieldMessage(c, field, own)
		}
	}
	if len(fields) > 0 {
		return true
	}
	key, known := codeTexts[models.CodeOf(err)]
	if known {
		form.Problem = translate(c, key)
	}
	return known
}

// fieldMessage returns the message for a field error.
func fieldMessage(c echo.Context, field models.FieldError, own messages) string {
	key, ok := own[field.Field+"."+string(field.Code)]
	if !ok {
		key, ok = usualMessages[field.Code]
	}
	if !ok {
		key = text.KeyFieldInvalid
	}
	args := make([]any, 0, 2*len(field.Params))
	for name, value := range field.Params {
		args = append(args, strings.ToUpper(name[:1])+name[1:], value)
	}
	return translate(c, key, args...)
}

// idParam returns an id from the path. It returns request.ErrHidden if the parameter is not a
// positive number.
func idParam(c echo.Context, name string) (int64, error) {
	id, err := strconv.ParseInt(request.PathParam(c, name), 10, 64)
	if err != nil || id <= 0 {
		return 0, request.ErrHidden
	}
	return id, nil
}

// pageSize is the number of rows of a list.
const pageSize = 20

// pageNumber returns the page of a list that the query asks for, starting with 1.
func pageNumber(c echo.Context) int {
	n, err := strconv.Atoi(c.QueryParam("page"))
	if err != nil || n < 1 || n > 1_000_000 {
		return 1
	}
	return n
}

// pageLinks returns the links to the previous and next page of a list, with the rest of the
// query kept.
func pageLinks(c echo.Context, number, shown int, total int64) views.PageLinks {
	return linksTo(c.Request().URL.EscapedPath(), c.Request().URL.Query(), number, shown, total)
}

// linksTo is pageLinks for a list at another address.
func linksTo(path string, query url.Values, number, shown int, total int64) views.PageLinks {
	return linksBySize(path, query, pageSize, number, shown, total)
}

// The views count as far as the store.
var _ = [1]struct{}{}[views.MaxCounted-models.MaxListed+views.MaxRowCounted-models.MaxRowCount]

// linksBySize is linksTo for lists whose pages do not have pageSize rows.
func linksBySize(path string, query url.Values, size, number, shown int, total int64) views.PageLinks {
	links := views.PageLinks{
		First: (number-1)*size + 1, Last: (number-1)*size + shown, Total: int(min(total, models.MaxListed)), More: total > models.MaxListed,
	}
	if shown == 0 {
		links.First = 0
		links.Last = 0
	}
	to := func(n int) string {
		query := maps.Clone(query)
		query.Set("page", strconv.Itoa(n))
		return path + "?" + query.Encode()
	}
	if number > 1 {
		links.PreviousURL = to(number - 1)
	}
	if int64(number*size) < total {
		links.NextURL = to(number + 1)
	}
	return links
}

// searchParam returns a search term of the query, trimmed and without invalid characters.
func searchParam(c echo.Context, name string) string {
	value := strings.TrimSpace(c.QueryParam(name))
	if !request.IsText(value) {
		return strings.ReplaceAll(strings.ToValidUTF8(value, ""), "\x00", "")
	}
	return value
}
