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

// words are the messages of one form that differ from the usual ones, by
// "field.code".
type words map[string]text.Key

// usualWords are the messages for a field by code, wherever it stands.
var usualWords = map[models.Code]text.Key{
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

// codeTexts are the sentences for failures of whole operations.
var codeTexts = map[models.Code]text.Key{
	models.CodeLastOwner:    text.KeyLastOwner,
	models.CodeOwnerOnly:    text.KeyOwnerOnly,
	models.CodeRoleTooHigh:  text.KeyRoleTooHigh,
	models.CodeMemberExists: text.KeyMemberExists,
}

// formOf is what the reader sent, to be shown again. Bytes that are no text
// are replaced; passwords must be taken out by the caller.
func formOf(c echo.Context) views.Form {
	values := url.Values{}
	for name, list := range c.Request().PostForm {
		for _, value := range list {
			values.Add(name, strings.ToValidUTF8(value, "\uFFFD"))
		}
	}
	return views.Form{Values: values, Errors: map[string]string{}}
}

// switchText is a switch in words.
func switchText(c echo.Context, on bool) string {
	if on {
		return translate(c, text.KeyChecksOn)
	}
	return translate(c, text.KeyChecksOffWord)
}

// keepLines is the stored text where the sent one differs from it in nothing
// but line endings, which a textarea does not keep; otherwise the sent one.
func keepLines(stored, sent string) string {
	normalize := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace
	if normalize(stored) == normalize(sent) {
		return stored
	}
	return sent
}

// explain puts the messages for err into the form: of every field at once, or
// about the whole. It reports false for errors that no change of the form can
// mend.
func explain(c echo.Context, form *views.Form, err error, own words) bool {
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

// fieldMessage is the message for one fault of one field.
func fieldMessage(c echo.Context, field models.FieldError, own words) string {
	key, ok := own[field.Field+"."+string(field.Code)]
	if !ok {
		key, ok = usualWords[field.Code]
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

// idParam is the id that the path names. Errors: request.ErrHidden for what
// can be no id.
func idParam(c echo.Context, name string) (int64, error) {
	id, err := strconv.ParseInt(request.PathParam(c, name), 10, 64)
	if err != nil || id <= 0 {
		return 0, request.ErrHidden
	}
	return id, nil
}

// pageSize is the number of rows of a list.
const pageSize = 20

// pageNumber is the page of a list that the query asks for, from 1.
func pageNumber(c echo.Context) int {
	n, err := strconv.Atoi(c.QueryParam("page"))
	if err != nil || n < 1 || n > 1_000_000 {
		return 1
	}
	return n
}

// pageLinks leads from one page of a list to its neighbours, keeping the rest
// of the query.
func pageLinks(c echo.Context, number, shown int, total int64) views.PageLinks {
	return linksTo(c.Request().URL.EscapedPath(), c.Request().URL.Query(), number, shown, total)
}

// linksTo is pageLinks for the list at a path with a query.
func linksTo(path string, query url.Values, number, shown int, total int64) views.PageLinks {
	return linksBySize(path, query, pageSize, number, shown, total)
}

// linksBySize is linksTo for a list with other than the usual number of rows on
// a page.
func linksBySize(path string, query url.Values, size, number, shown int, total int64) views.PageLinks {
	links := views.PageLinks{First: (number-1)*size + 1, Last: (number-1)*size + shown, Total: int(total)}
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

// searchParam is what a list is searched for: text, trimmed.
func searchParam(c echo.Context, name string) string {
	value := strings.TrimSpace(c.QueryParam(name))
	if !request.IsText(value) {
		return strings.ReplaceAll(strings.ToValidUTF8(value, ""), "\x00", "")
	}
	return value
}
