package githttp

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views/text"
)

// push handles the hooks of one push; it is a gitrepo.PushHandler.
type push struct {
	Deps
	projectID int64
	userID    int64
	requestID string
}

// PreReceive decides whether a push may update its refs: all of them or none.
// It records an accepted push as pending, so that recovery can process it if
// this process dies. The refusal is for the user, in their language. An internal
// error is logged and refuses the push.
func (p push) PreReceive(ctx context.Context, pushed gitrepo.Push) (refusal string) {
	refusal, err := p.preReceive(ctx, pushed)
	if err != nil {
		p.Log.ErrorContext(ctx, "pre-receive check failed", "project_id", p.projectID, "error", err)
		return text.T(ctx, text.KeyGitCannotCheck, "ID", p.requestID)
	}
	return refusal
}

func (p push) preReceive(ctx context.Context, pushed gitrepo.Push) (reason string, err error) {
	user, access, err := p.pusher(ctx)
	if err != nil {
		return "", err
	}
	ctx = text.WithLanguage(ctx, user.Language)
	// A large push takes time, and the user's rights may have changed since it began.
	if user.Blocked || !auth.Can(auth.SubjectOf(access), auth.PushCode) {
		return text.T(ctx, text.KeyGitNoPush), nil
	}
	decide, err := p.Store.BranchDecisions(ctx, access.Project, access.EffectiveRole())
	if err != nil {
		return "", err
	}
	for _, update := range pushed.Updates {
		branch, ok := models.RefUpdate{Ref: update.Ref}.Branch()
		if !ok {
			continue // auth.PushCode is enough for tags
		}
		if decision := decide(branch, action(update)); decision != nil {
			return refusalText(ctx, branch, *decision), nil
		}
	}
	options, _ := parseOptions(ctx, pushed.Options) // postReceive shows the warnings
	_, err = p.Store.PreparePush(ctx, user, p.projectID, p.requestID, refUpdates(pushed), options)
	return "", err
}

// action returns what an update does to its branch.
func action(u gitrepo.RefUpdate) models.BranchAction {
	switch {
	case models.IsZeroSHA(u.New):
		return models.ActionDelete
	case u.Forced:
		return models.ActionForcePush
	}
	return models.ActionPush
}

// refusalText returns the message for a refused branch, with the name of the rule.
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

// PostReceive records a push whose refs have moved and returns a message for the
// user. An internal error is logged: the push stays pending and recovery
// processes it later.
func (p push) PostReceive(ctx context.Context, pushed gitrepo.Push) (message string) {
	message, err := p.postReceive(ctx, pushed)
	if err != nil {
		p.Log.ErrorContext(ctx, "post-receive processing failed", "project_id", p.projectID, "error", err)
		return text.T(ctx, text.KeyGitNoticedLater)
	}
	return message
}

func (p push) postReceive(ctx context.Context, pushed gitrepo.Push) (string, error) {
	user, access, err := p.pusher(ctx)
	if err != nil {
		return "", err
	}
	ctx = text.WithLanguage(ctx, user.Language)
	options, warnings := parseOptions(ctx, pushed.Options)
	pending, err := p.Store.PendingPushID(ctx, p.projectID, p.requestID)
	if err != nil {
		return "", err
	}
	branches, err := p.Store.Push(ctx, models.PushInput{
		ProjectID: p.projectID, By: user, Updates: refUpdates(pushed), Options: options, PendingID: pending,
	})
	if err != nil {
		return "", err
	}
	report := pushReport{base: p.BaseURL, project: access.Project, options: options}
	for _, warning := range warnings {
		report.addLine(warning)
	}
	for _, branch := range branches[:min(maxReportedBranches, len(branches))] {
		report.addBranch(ctx, branch)
	}
	return report.String(), nil
}

// pusher reads the user who pushes and their access to the project.
func (p push) pusher(ctx context.Context) (models.User, models.Access, error) {
	user, err := p.Store.User(ctx, p.userID)
	if err != nil {
		return models.User{}, models.Access{}, fmt.Errorf("reading the user who pushes: %w", err)
	}
	access, err := p.Store.AccessByID(ctx, &user, p.projectID)
	return user, access, err
}

func refUpdates(pushed gitrepo.Push) []models.RefUpdate {
	updates := make([]models.RefUpdate, len(pushed.Updates))
	for i, u := range pushed.Updates {
		updates[i] = models.RefUpdate{Ref: u.Ref, Old: u.Old, New: u.New}
	}
	return updates
}

// maxReportedBranches is the number of branches that the message after a push describes.
const maxReportedBranches = 10

// pushReport collects the message that the user reads after a push.
type pushReport struct {
	base    string
	project models.Project
	options models.PushOptions
	lines   []string
}

func (r *pushReport) addLine(line string) { r.lines = append(r.lines, line) }

// addLink adds an address below the project's merge requests, on its own line so
// that terminals make it clickable.
func (r *pushReport) addLink(format string, args ...any) {
	r.addLine("  " + r.base + "/" + r.project.FullPath() + "/-/merge_requests" + fmt.Sprintf(format, args...))
	r.addLine("")
}

// String returns all lines after an empty line, or "" if there are none.
func (r *pushReport) String() string {
	if len(r.lines) == 0 {
		return ""
	}
	return "\n" + strings.TrimRight(strings.Join(r.lines, "\n"), "\n") + "\n"
}

// addBranch adds the merge requests of a pushed branch, or a link that creates one.
func (r *pushReport) addBranch(ctx context.Context, b models.PushedBranch) {
	if b.CreateErr != nil {
		r.addLine(text.T(ctx, text.KeyGitNotCreated, "Branch", b.Name, "Reason", createReason(ctx, b.CreateErr, r.target())))
	}
	for _, mr := range b.Open {
		if b.Created != nil && mr.IID == b.Created.IID {
			r.addLine(text.T(ctx, text.KeyGitCreated, "Branch", b.Name, "IID", mr.IID))
		} else {
			r.addLine(text.T(ctx, text.KeyGitView, "Branch", b.Name))
		}
		r.addLink("/%d", mr.IID)
	}
	for _, mr := range b.Merged {
		r.addLine(text.T(ctx, text.KeyGitMerged, "IID", mr.IID))
		r.addLink("/%d", mr.IID)
	}
	if len(b.Open) == 0 && !b.Deleted && b.Name != r.project.DefaultBranch {
		r.addLine(text.T(ctx, text.KeyGitCreate, "Branch", b.Name))
		r.addLink("/new?%s", url.Values{"merge_request[source_branch]": {b.Name}}.Encode())
	}
}

// target returns the target branch of the merge request that push options create.
func (r *pushReport) target() string {
	if r.options.Target != "" {
		return r.options.Target
	}
	return r.project.DefaultBranch
}

// createReasons maps "field code" of a field error to the text that explains why
// push options created no merge request.
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
	return text.T(ctx, key, "Target", printable(target))
}
