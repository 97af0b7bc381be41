package apiv4

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/mergegate/mergegate/models"
)

// failure is an error answer: a status and a JSON body.
type failure struct {
	status int
	body   any
}

func (f *failure) Error() string { return http.StatusText(f.status) }

// message returns a failure with the body {"message": what}, the form that GitLab's
// own code uses. what is a string, a list or an object.
func message(status int, what any) error {
	return &failure{status, map[string]any{"message": what}}
}

// badRequest returns a failure for invalid parameters, with the body {"error": what}.
func badRequest(what string) error {
	return &failure{http.StatusBadRequest, map[string]string{"error": what}}
}

var (
	errUnauthorized = message(http.StatusUnauthorized, "401 Unauthorized")
	errForbidden    = message(http.StatusForbidden, "403 Forbidden")
	errNotFound     = message(http.StatusNotFound, "404 Not Found")
)

// errModified means that the resource changed after If-Unmodified-Since.
var errModified = message(http.StatusPreconditionFailed, "412 Precondition Failed")

// notFound returns a failure such as "404 Project Not Found".
func notFound(what string) error {
	return message(http.StatusNotFound, "404 "+what+" Not Found")
}

// failureOf returns the answer for a *failure or an error of models, and nil for an
// internal error.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	var e *models.Error
	if !errors.As(err, &e) {
		if models.KindOf(err) == models.KindUnavailable {
			return &failure{http.StatusServiceUnavailable, map[string]any{"message": "503 Service Unavailable"}}
		}
		return nil
	}
	if answer, ok := codeMessages[e.Code]; ok {
		return &failure{answer.status, map[string]any{"message": interpolate(answer.text, e.Params)}}
	}
	switch e.Kind {
	case models.KindInvalid:
		return &failure{http.StatusBadRequest, map[string]any{"message": fieldMessages(e)}}
	case models.KindNotFound:
		return &failure{http.StatusNotFound, map[string]any{"message": "404 Not Found"}}
	case models.KindForbidden:
		return &failure{http.StatusForbidden, map[string]any{"message": "403 Forbidden"}}
	case models.KindConflict:
		return &failure{http.StatusConflict, map[string]any{"message": "409 Conflict"}}
	case models.KindUnprocessable:
		return &failure{http.StatusUnprocessableEntity, map[string]any{"message": "422 Unprocessable Entity"}}
	case models.KindUnavailable:
		return &failure{http.StatusServiceUnavailable, map[string]any{"message": "503 Service Unavailable"}}
	}
	return nil
}

// codeMessages maps error codes to GitLab's status and message. {name} is replaced
// by the error's parameter.
var codeMessages = map[models.Code]struct {
	status int
	text   string
}{
	models.CodeStaleSHA:         {http.StatusConflict, "SHA does not match HEAD of source branch: {head}"},
	models.CodeCallbackOnly:     {http.StatusForbidden, "This status check accepts only responses with the callback token of a delivery"},
	models.CodeNotFailed:        {http.StatusUnprocessableEntity, "External status check must be failed"},
	models.CodeNotOpen:          {http.StatusUnprocessableEntity, "Merge request must be open"},
	models.CodeNotClosed:        {http.StatusUnprocessableEntity, "Merge request must be closed"},
	models.CodeNotApproved:      {http.StatusNotFound, "404 Not Found"},
	models.CodeLastAdmin:        {http.StatusForbidden, "403 Forbidden - The last active administrator cannot be blocked, demoted or deleted"},
	models.CodeOwnAccount:       {http.StatusForbidden, "403 Forbidden - The API initiating user cannot be blocked or deleted by the API"},
	models.CodeOnlyOwner:        {http.StatusConflict, "User cannot be removed: the only Owner of a project in another namespace"},
	models.CodeBotUser:          {http.StatusForbidden, "403 Forbidden - An internal user cannot be changed"},
	models.CodeMemberExists:     {http.StatusConflict, "Member already exists"},
	models.CodeLastOwner:        {http.StatusUnprocessableEntity, "The last Owner of a project cannot be removed or demoted"},
	models.CodeTargetMoved:      {http.StatusConflict, "The target branch has moved"},
	models.CodeGitTooLarge:      {http.StatusUnprocessableEntity, "The repository's content is too large for this request"},
	models.CodeSourceBranchGone: {http.StatusUnprocessableEntity, "The source branch does not exist"},
	models.CodeTargetBranchGone: {http.StatusUnprocessableEntity, "The target branch does not exist"},
}

// interpolate replaces each {name} in text by its value.
func interpolate(text string, values map[string]string) string {
	for name, value := range values {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text
}

// fieldErrorTexts maps codes of field errors to texts that follow the field's name.
var fieldErrorTexts = map[models.Code]string{
	models.CodeBlank:            "can't be blank",
	models.CodeTooLong:          "is too long (maximum is {max} characters)",
	models.CodeTooShort:         "is too short (minimum is {min} characters)",
	models.CodeTaken:            "has already been taken",
	models.CodeControlCharacter: "can't contain control characters",
	models.CodeReserved:         "is a reserved name",
	models.CodeUnknownBranch:    "does not exist",
	models.CodeNoCommits:        "has no commits that the target branch lacks",
	models.CodeTooFar:           "must be within 365 days",
	models.CodeInPast:           "must be in the future",
	models.CodeOutlivesToken:    "can't be later than the expiry of the token of the request",
	models.CodeRoleTooHigh:      "can't be higher than your own",
	models.CodeOutOfRange:       "must be between {min} and {max}",
	models.CodeTooMany:          "are too many (maximum is {max})",
	models.CodeInvalidValue:     "have an invalid value for {name}: printable ASCII, {max} characters at most",
	models.CodeGivenAgain:       "must be given again with their values, because the URL changes ({name})",
	models.CodeNotEncrypted:     "needs an external URL with HTTPS",
	models.CodeImmutable:        "cannot be changed: delete the status check and create it again",
}

// customHeaderTexts are the texts for custom_headers that differ.
var customHeaderTexts = map[models.Code]string{
	models.CodeInvalid:  "have a name that is not a header name",
	models.CodeBlank:    "have no value for {name}",
	models.CodeReserved: "cannot contain {name}",
	models.CodeTaken:    "contain {name} twice",
}

func fieldErrorText(e models.FieldError) string {
	text, ok := fieldErrorTexts[e.Code]
	if own := customHeaderTexts[e.Code]; e.Field == "custom_headers" && own != "" {
		text, ok = own, true
	}
	if !ok {
		text = "is invalid"
	}
	return interpolate(text, e.Params)
}

// fieldMessages returns the messages by field, as GitLab does for most resources.
func fieldMessages(e *models.Error) map[string][]string {
	messages := map[string][]string{}
	for _, f := range e.Fields {
		messages[f.Field] = append(messages[f.Field], fieldErrorText(f))
	}
	return messages
}

// fullMessages returns sorted messages that begin with the field's name, as GitLab
// does for status check services and merge requests.
func fullMessages(e *models.Error) []string {
	messages := make([]string, 0, len(e.Fields))
	for _, f := range e.Fields {
		if f.Code == models.CodeForeignBranch {
			messages = append(messages, "all protected branches must exist within the project")
			continue
		}
		field := strings.ReplaceAll(f.Field, "_", " ")
		messages = append(messages, strings.ToUpper(field[:1])+field[1:]+" "+fieldErrorText(f))
	}
	slices.Sort(messages)
	return messages
}
