package apiv4

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/mergegate/mergegate/models"
)

// failure is an answer that is not a success: a status and its JSON body.
type failure struct {
	status int
	body   any
}

func (f *failure) Error() string { return http.StatusText(f.status) }

// message is a failure as GitLab's own code words it. What is a text, a list
// or an object.
func message(status int, what any) error {
	return &failure{status, map[string]any{"message": what}}
}

// badRequest is a fault of the parameters.
func badRequest(what string) error {
	return &failure{http.StatusBadRequest, map[string]string{"error": what}}
}

var (
	errUnauthorized = message(http.StatusUnauthorized, "401 Unauthorized")
	errForbidden    = message(http.StatusForbidden, "403 Forbidden")
	errNotFound     = message(http.StatusNotFound, "404 Not Found")
)

// errModified refuses to remove what has changed since the client saw it.
var errModified = message(http.StatusPreconditionFailed, "412 Precondition Failed")

// notFound names what is missing, as GitLab does: "404 Project Not Found".
func notFound(what string) error {
	return message(http.StatusNotFound, "404 "+what+" Not Found")
}

// refusal makes the answer for an error of the domain; nil for an internal
// one. Every resource words its conflicts here, in one table.
func refusal(err error) *failure {
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

// wordings are GitLab's words for the refusals that clients tell apart.
// {name} is filled from the error.
var codeMessages = map[models.Code]struct {
	status int
	text   string
}{
	models.CodeStaleSHA:         {http.StatusConflict, "SHA does not match HEAD of source branch: {head}"},
	models.CodeNotFailed:        {http.StatusUnprocessableEntity, "External status check must be failed"},
	models.CodeNotOpen:          {http.StatusUnprocessableEntity, "Merge request must be open"},
	models.CodeNotClosed:        {http.StatusUnprocessableEntity, "Merge request must be closed"},
	models.CodeNotApproved:      {http.StatusNotFound, "404 Not Found"},
	models.CodeMemberExists:     {http.StatusConflict, "Member already exists"},
	models.CodeLastOwner:        {http.StatusUnprocessableEntity, "The last Owner of a project stays"},
	models.CodeTargetMoved:      {http.StatusConflict, "The target branch has moved"},
	models.CodeGitTooLarge:      {http.StatusUnprocessableEntity, "The repository's content is too large for this request"},
	models.CodeSourceBranchGone: {http.StatusUnprocessableEntity, "The source branch does not exist"},
	models.CodeTargetBranchGone: {http.StatusUnprocessableEntity, "The target branch does not exist"},
}

func interpolate(text string, values map[string]string) string {
	for name, value := range values {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text
}

// sentences are the ends of sentences that begin with a field's name.
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
	models.CodeOutlivesToken:    "can't be later than the end of the token that makes it",
	models.CodeRoleTooHigh:      "can't be higher than your own",
	models.CodeImmutable:        "cannot be changed: delete the status check and add it anew",
}

func fieldErrorText(e models.FieldError) string {
	text, ok := fieldErrorTexts[e.Code]
	if !ok {
		text = "is invalid"
	}
	return interpolate(text, e.Params)
}

// fieldMessages is the object of lists that GitLab answers for most resources.
func fieldMessages(e *models.Error) map[string][]string {
	messages := map[string][]string{}
	for _, f := range e.Fields {
		messages[f.Field] = append(messages[f.Field], fieldErrorText(f))
	}
	return messages
}

// fullMessages is the list of whole sentences that it answers for status check
// services and merge requests.
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
