// Package githttp serves git over HTTP. Register adds the routes, which
// authenticate the user, check their rights on the project and then hand the
// request to gitrepo. push decides what a push may do, records it and writes
// the messages that the user reads in the terminal.
//
// Start with Register for fetches and pushes, and with push.PreReceive and
// push.PostReceive for what happens inside a push.
package githttp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views/text"
)

// Transport serves git's smart HTTP protocol. *gitrepo.Store implements it.
type Transport interface {
	// InfoRefs answers GET …/info/refs. service is git-upload-pack or
	// git-receive-pack.
	InfoRefs(w http.ResponseWriter, r *http.Request, projectID int64, service string) error
	// UploadPack answers POST …/git-upload-pack, the transfer of a fetch.
	UploadPack(w http.ResponseWriter, r *http.Request, projectID int64) error
	// ReceivePack answers POST …/git-receive-pack, the transfer of a push. handler
	// decides about the push.
	ReceivePack(w http.ResponseWriter, r *http.Request, projectID int64, requestID string, handler gitrepo.PushHandler) error
}

// Deps holds what the handlers need from the rest of the program.
type Deps struct {
	Store     *models.Store
	Transport Transport
	Log       *slog.Logger
	// BaseURL is the public address of this server, without a trailing slash.
	BaseURL string
}

// handler holds what the routes share.
type handler struct {
	Deps
	passwords *rememberedPasswords
}

// Register adds the three routes of git over HTTP to e. Middleware in front of
// them must not buffer or compress bodies or limit the duration of a request. The
// read deadline of request.LimitBody is allowed, because Transport replaces it.
func Register(e *echo.Echo, d Deps) {
	h := &handler{Deps: d, passwords: newRememberedPasswords()}
	const project = "/:namespace/:project/"
	e.GET(project+"info/refs", h.handle(h.infoRefs))
	e.POST(project+gitrepo.UploadPack, h.handle(h.uploadPack))
	e.POST(project+gitrepo.ReceivePack, h.handle(h.receivePack))
}

// refusal is an error whose text git shows to the user.
type refusal struct {
	status int
	key    text.Key
	args   []any
}

// Error returns the key of the text, for logs.
func (r *refusal) Error() string { return string(r.key) }

func refuse(status int, key text.Key, args ...any) error {
	return &refusal{status: status, key: key, args: args}
}

// handle answers a refusal with its status and text. It logs every other error
// and answers 503 if the database or git is unavailable, else 500.
func (h *handler) handle(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		var refused *refusal
		switch {
		case err == nil:
			return nil
		case c.Response().Committed, c.Request().Context().Err() != nil:
			h.Log.WarnContext(c.Request().Context(), "git request aborted", "error", err)
			return nil
		case !errors.As(err, &refused) && models.KindOf(err) == models.KindUnavailable:
			h.Log.ErrorContext(c.Request().Context(), "git request unavailable", "error", err)
			request.SetRetryAfter(c)
			refused = &refusal{http.StatusServiceUnavailable, text.KeyGitUnavailable, []any{"ID", request.ID(c)}}
		case !errors.As(err, &refused):
			h.Log.ErrorContext(c.Request().Context(), "git request failed", "error", err)
			refused = &refusal{http.StatusInternalServerError, text.KeyGitFailed, []any{"ID", request.ID(c)}}
		}
		ctx := c.Request().Context()
		if user := request.User(c); user != nil {
			ctx = text.WithLanguage(ctx, user.Language)
		}
		if refused.status == http.StatusUnauthorized {
			c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Basic realm="Mergegate", charset="UTF-8"`)
		}
		return c.String(refused.status, text.T(ctx, refused.key, refused.args...)+"\n")
	}
}

// infoRefs answers the first request of every fetch and push.
func (h *handler) infoRefs(c echo.Context) error {
	service := c.QueryParam("service")
	access, moved, err := h.authorize(c, service)
	if err != nil {
		return err
	}
	if moved {
		// git follows the redirect, prints the new address and uses it for the
		// requests that follow.
		target := "/" + access.Project.FullPath() + ".git/info/refs?service=" + url.QueryEscape(service)
		return c.Redirect(http.StatusFound, target)
	}
	return h.Transport.InfoRefs(c.Response(), c.Request(), access.Project.ID, service)
}

// uploadPack answers the second request of a fetch, which transfers objects.
func (h *handler) uploadPack(c echo.Context) error {
	access, _, err := h.authorize(c, gitrepo.UploadPack)
	if err != nil {
		return err
	}
	return h.Transport.UploadPack(c.Response(), c.Request(), access.Project.ID)
}

// receivePack answers the second request of a push, which transfers objects.
func (h *handler) receivePack(c echo.Context) error {
	access, _, err := h.authorize(c, gitrepo.ReceivePack)
	if err != nil {
		return err
	}
	p := push{Deps: h.Deps, projectID: access.Project.ID, userID: request.User(c).ID, requestID: request.ID(c)}
	defer h.endPush(c, p.projectID, h.Store.BeginPush(p.projectID, p.requestID))
	return h.Transport.ReceivePack(c.Response(), c.Request(), p.projectID, p.requestID, p)
}

// endPushTimeout limits endPush. Recovery later completes what takes longer.
const endPushTimeout = time.Minute

// endPush completes a push after receive-pack has exited, also if the client has
// disconnected. end is what Store.BeginPush returned: it processes the push if
// its post-receive hook did not.
func (h *handler) endPush(c echo.Context, projectID int64, end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), endPushTimeout)
	defer cancel()
	if err := end(ctx); err != nil {
		h.Log.ErrorContext(c.Request().Context(), "completing push failed", "project_id", projectID, "error", err)
	}
}

// authorize authenticates the request, finds the project and checks that the
// user may use service on it. moved reports that the path is a former one of
// the project. A refusal is 401 without valid credentials, whether the project
// exists or not; 404 if the user may not see the project; else 403.
func (h *handler) authorize(c echo.Context, service string) (access models.Access, moved bool, err error) {
	ctx := c.Request().Context()
	caller, err := h.identify(c)
	if err != nil {
		return models.Access{}, false, err
	}
	if caller.user != nil {
		request.SetUser(c, *caller.user)
	}
	access, moved, err = h.findProject(ctx, c, caller.user)
	if err != nil && models.KindOf(err) != models.KindNotFound {
		return models.Access{}, false, err
	}
	found := err == nil
	if found {
		request.SetAccess(c, access)
	}
	ability := auth.ReadCode
	if service == gitrepo.ReceivePack {
		ability = auth.PushCode
	}
	subject := request.Subject(c)
	allowed := found && auth.Can(subject, ability)
	switch {
	case caller.user == nil && !allowed:
		return models.Access{}, false, refuse(http.StatusUnauthorized, text.KeyGitSignIn)
	case !found || !auth.Can(subject, auth.ReadProject):
		return models.Access{}, false, refuse(http.StatusNotFound, text.KeyGitNotFound)
	case !allowed && ability == auth.PushCode:
		return models.Access{}, false, refuse(http.StatusForbidden, text.KeyGitNoPush)
	case !allowed:
		return models.Access{}, false, refuse(http.StatusForbidden, text.KeyGitNoFetch)
	case ability == auth.PushCode && !caller.mayWrite:
		return models.Access{}, false, refuse(http.StatusForbidden, text.KeyGitReadOnlyToken)
	}
	return access, moved, nil
}

// findProject finds the project that the path names, with or without ".git",
// and the user's access to it. The boolean reports a former path of the project.
// It returns an error of KindNotFound if there is none.
func (h *handler) findProject(ctx context.Context, c echo.Context, user *models.User) (models.Access, bool, error) {
	namespace, project := request.PathParam(c, "namespace"), strings.TrimSuffix(request.PathParam(c, "project"), ".git")
	if namespace == "" || project == "" {
		return models.Access{}, false, &models.Error{Kind: models.KindNotFound, Code: models.CodeNotFound}
	}
	return h.Store.AccessByPath(ctx, user, namespace, project)
}
