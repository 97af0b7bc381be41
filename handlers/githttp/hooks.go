package githttp

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views/text"
)

// Push is what a hook tells about a push: before its refs move, or after.
type Push struct {
	ProjectID int64
	UserID    int64
	RequestID string
	Updates   []Update
	Options   []string // as given by git push -o
}

// Update is one ref of a push.
type Update struct {
	models.RefUpdate
	// Forced means that the new commit does not contain the old one.
	Forced bool
}

// Hooks decides on pushes and tells the domain of them. BaseURL is the address
// under which people reach this server, without a slash at the end.
type Hooks struct {
	Store   *models.Store
	Log     *slog.Logger
	BaseURL string
}

// PreReceive decides on a push as a whole, and keeps it as pending when it may
// go on, so that nothing that happens to this process can lose it. message is
// for the pusher when it may not.
func (h Hooks) PreReceive(ctx context.Context, push Push) (refuse bool, message string) {
	message, err := h.preReceive(ctx, push)
	if err != nil {
		h.Log.Error("a push could not be checked", "request_id", push.RequestID, "project_id", push.ProjectID, "error", err)
		return true, text.T(ctx, text.KeyGitCannotCheck, "ID", push.RequestID)
	}
	return message != "", message
}

func (h Hooks) preReceive(ctx context.Context, push Push) (refusal string, err error) {
	user, access, err := h.pusher(ctx, push)
	if err != nil {
		return "", err
	}
	ctx = text.WithLanguage(ctx, user.Language)
	// Asked again: rights may have gone while a large push was on its way.
	subject := auth.Subject{SignedIn: true, Admin: access.Admin, Role: access.Role, Visibility: access.Project.Visibility}
	if user.Blocked || !auth.Can(subject, auth.PushCode) {
		return text.T(ctx, text.KeyGitNoPush), nil
	}
	role := access.Role
	if access.Admin {
		role = models.RoleOwner
	}
	for _, update := range push.Updates {
		branch, ok := update.Branch()
		if !ok {
			continue // tags: whoever may push code may push them
		}
		refused, err := h.Store.BranchDecision(ctx, access.Project, role, branch, action(update))
		if err != nil {
			return "", err
		}
		if refused != nil {
			return refusalText(ctx, branch, *refused), nil
		}
	}
	options, _ := parseOptions(ctx, push.Options) // remarks come after the push
	_, err = h.Store.PreparePush(ctx, user, push.ProjectID, push.RequestID, refUpdates(push), options)
	return "", err
}

// action is what an update does to its branch.
func action(u Update) models.BranchAction {
	switch {
	case models.IsZeroSHA(u.New):
		return models.ActionDelete
	case u.Forced:
		return models.ActionForcePush
	}
	return models.ActionPush
}

// refusalText names the rule that refuses.
func refusalText(ctx context.Context, branch string, r models.BranchRefusal) string {
	key := text.KeyGitRefusedPush
	switch {
	case r.DefaultBranch:
		key = text.KeyGitDefaultBranch
	case r.Rule == "":
		key = text.KeyGitRefusedRole
	case r.Action == models.ActionForcePush:
		key = text.KeyGitRefusedForce
	case r.Action == models.ActionDelete:
		key = text.KeyGitRefusedDelete
	}
	return text.T(ctx, key, "Branch", branch, "Rule", r.Rule)
}

// PostReceive tells the domain that a push has moved its refs. message is for
// the pusher. When it fails, the pending push stays and the sweep tells it.
func (h Hooks) PostReceive(ctx context.Context, push Push) (message string) {
	message, err := h.postReceive(ctx, push)
	if err != nil {
		h.Log.Error("a push could not be told", "request_id", push.RequestID, "project_id", push.ProjectID, "error", err)
		return text.T(ctx, text.KeyGitNoticedLater)
	}
	return message
}

func (h Hooks) postReceive(ctx context.Context, push Push) (string, error) {
	user, access, err := h.pusher(ctx, push)
	if err != nil {
		return "", err
	}
	ctx = text.WithLanguage(ctx, user.Language)
	options, remarks := parseOptions(ctx, push.Options)
	pending, err := h.Store.PendingPushID(ctx, push.ProjectID, push.RequestID)
	if err != nil {
		return "", err
	}
	branches, err := h.Store.Push(ctx, models.PushInput{
		ProjectID: push.ProjectID, By: user, Updates: refUpdates(push), Options: options, PendingID: pending,
	})
	if err != nil {
		return "", err
	}
	told := report{base: h.BaseURL, project: access.Project, options: options}
	for _, remark := range remarks {
		told.line(remark)
	}
	for i, branch := range branches {
		if i == maxReported {
			break
		}
		told.branch(ctx, branch)
	}
	return told.text(), nil
}

// pusher reads who pushes to what.
func (h Hooks) pusher(ctx context.Context, push Push) (models.User, models.Access, error) {
	user, err := h.Store.User(ctx, push.UserID)
	if err != nil {
		return models.User{}, models.Access{}, fmt.Errorf("who pushes: %w", err)
	}
	access, err := h.Store.AccessByID(ctx, &user, push.ProjectID)
	return user, access, err
}

func refUpdates(push Push) []models.RefUpdate {
	updates := make([]models.RefUpdate, len(push.Updates))
	for i, u := range push.Updates {
		updates[i] = u.RefUpdate
	}
	return updates
}

// maxReported is how many branches of one push the pusher reads about.
const maxReported = 10

// report is what a pusher reads after a push.
type report struct {
	base    string
	project models.Project
	options models.PushOptions
	lines   []string
}

func (r *report) line(text string) { r.lines = append(r.lines, text) }

// link adds an address on a line of its own, which terminals make clickable.
func (r *report) link(format string, args ...any) {
	r.line("  " + r.base + "/" + r.project.FullPath() + "/-/merge_requests" + fmt.Sprintf(format, args...))
	r.line("")
}

// translate returns everything said, with a blank line before and after.
func (r *report) text() string {
	if len(r.lines) == 0 {
		return ""
	}
	return "\n" + strings.TrimRight(strings.Join(r.lines, "\n"), "\n") + "\n"
}

// branch tells what came of one branch.
func (r *report) branch(ctx context.Context, b models.PushedBranch) {
	if b.CreateErr != nil {
		r.line(text.T(ctx, text.KeyGitNotCreated, "Branch", b.Name, "Reason", createReason(ctx, b.CreateErr, r.target())))
	}
	for _, mr := range b.Open {
		if b.Created != nil && mr.IID == b.Created.IID {
			r.line(text.T(ctx, text.KeyGitCreated, "Branch", b.Name, "IID", mr.IID))
		} else {
			r.line(text.T(ctx, text.KeyGitView, "Branch", b.Name))
		}
		r.link("/%d", mr.IID)
	}
	for _, mr := range b.Merged {
		r.line(text.T(ctx, text.KeyGitMerged, "IID", mr.IID))
		r.link("/%d", mr.IID)
	}
	if len(b.Open) == 0 && !b.Deleted && b.Name != r.project.DefaultBranch {
		r.line(text.T(ctx, text.KeyGitCreate, "Branch", b.Name))
		r.link("/new?%s", url.Values{"merge_request[source_branch]": {b.Name}}.Encode())
	}
}

// target is the branch that a push option's merge request would go to.
func (r *report) target() string {
	if r.options.Target != "" {
		return r.options.Target
	}
	return r.project.DefaultBranch
}

// createReasons words why a push option opened no merge request: by field and
// code.
var createReasons = map[string]text.Key{
	"target_branch " + string(models.CodeUnknownBranch): text.KeyGitNoSuchTarget,
	"target_branch " + string(models.CodeSameBranch):    text.KeyGitSameTarget,
	"source_branch " + string(models.CodeNoCommits):     text.KeyGitNoCommits,
	"title " + string(models.CodeTooLong):               text.KeyGitTitleWrong,
	"title " + string(models.CodeControlCharacter):      text.KeyGitTitleWrong,
	"title " + string(models.CodeBlank):                 text.KeyGitTitleWrong,
	"description " + string(models.CodeTooLong):         text.KeyGitDescriptionLong,
}

func createReason(ctx context.Context, err error, target string) string {
	key := text.KeyGitOtherReason
	if models.CodeOf(err) == models.CodeAlreadyOpen {
		key = text.KeyGitAlreadyOpen
	}
	for _, field := range models.FieldErrorsOf(err) {
		if k, ok := createReasons[field.Field+" "+string(field.Code)]; ok {
			key = k
			break
		}
	}
	return text.T(ctx, key, "Target", short(target))
}
