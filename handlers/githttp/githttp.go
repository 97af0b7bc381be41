// Package githttp is the front door for git: who may fetch and push over
// HTTP, what a push may do, and what people read about it in their terminals.
package githttp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views/text"
)

// Transport speaks git's protocol for one repository; gitrepo's Store is one.
type Transport interface {
	// InfoRefs answers GET …/info/refs.
	InfoRefs(w http.ResponseWriter, r *http.Request, projectID int64, service string) error
	// Service answers POST …/git-upload-pack and …/git-receive-pack; hooks are
	// told userID and requestID.
	Service(w http.ResponseWriter, r *http.Request, projectID int64, service string, userID int64, requestID string) error
}

// Deps is what git's front door needs of the rest of the program.
type Deps struct {
	Store     *models.Store
	Transport Transport
	Log       *slog.Logger
	// BaseURL is the address under which people reach this server, without a
	// slash at the end.
	BaseURL string
}

const (
	uploadPack  = "git-upload-pack"
	receivePack = "git-receive-pack"
)

// door holds what the handlers share.
type door struct {
	Deps
	passwords *rememberedPasswords
}

// Register adds git's three routes. They must not stand behind anything that
// buffers, compresses, limits or times out.
func Register(e *echo.Echo, d Deps) {
	front := &door{Deps: d, passwords: newRememberedPasswords()}
	const project = "/:namespace/:project/"
	e.GET(project+"info/refs", front.handle(front.infoRefs))
	e.POST(project+uploadPack, front.handle(front.service))
	e.POST(project+receivePack, front.handle(front.service))
}

// refusal is an answer other than git's, in a sentence that git shows.
type refusal struct {
	status int
	key    text.Key
	args   []any
}

// Error names the refusal for logs.
func (r *refusal) Error() string { return string(r.key) }

func refuse(status int, key text.Key, args ...any) error {
	return &refusal{status: status, key: key, args: args}
}

// handle turns a refusal into its plain text. Every other error is ours.
func (d *door) handle(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		var refused *refusal
		switch {
		case err == nil:
			return nil
		case c.Response().Committed, c.Request().Context().Err() != nil:
			d.Log.Warn("git was cut off", "request_id", request.ID(c), "error", err)
			return nil
		case !errors.As(err, &refused) && models.KindOf(err) == models.KindUnavailable:
			d.Log.Error("git request not possible at the moment", "request_id", request.ID(c), "error", err)
			request.SetRetryAfter(c)
			refused = &refusal{http.StatusServiceUnavailable, text.KeyGitUnavailable, []any{"ID", request.ID(c)}}
		case !errors.As(err, &refused):
			d.Log.Error("git request failed", "request_id", request.ID(c), "error", err)
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

// infoRefs is how every fetch and push begins.
func (d *door) infoRefs(c echo.Context) error {
	service := c.QueryParam("service")
	access, moved, err := d.enter(c, service)
	if err != nil {
		return err
	}
	if moved {
		// git follows, tells its user of the new address, and stays there.
		return c.Redirect(http.StatusFound, "/"+access.Project.FullPath()+".git/info/refs?service="+url.QueryEscape(service))
	}
	return d.Transport.InfoRefs(c.Response(), c.Request(), access.Project.ID, service)
}

// service is where objects go over the wire.
func (d *door) service(c echo.Context) error {
	service := c.Path()[strings.LastIndex(c.Path(), "/")+1:]
	access, _, err := d.enter(c, service)
	if err != nil {
		return err
	}
	var userID int64
	if user := request.User(c); user != nil {
		userID = user.ID
	}
	if service == receivePack {
		defer d.endPush(c, access.Project.ID, d.Store.BeginPush(access.Project.ID, request.ID(c)))
	}
	return d.Transport.Service(c.Response(), c.Request(), access.Project.ID, service, userID, request.ID(c))
}

// endTime is how long the end of a push may take, in which what its post-receive
// left undone is carried out. Recovery does what takes longer.
const endTime = time.Minute

// endPush ends a push whose receive-pack has ended, whatever became of its
// client.
func (d *door) endPush(c echo.Context, projectID int64, end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), endTime)
	defer cancel()
	if err := end(ctx); err != nil {
		d.Log.Error("end of push failed", "request_id", request.ID(c), "project_id", projectID, "error", err)
	}
}

// enter finds out who asks and lets them pass or not. Nobody without good
// credentials learns whether a project exists.
func (d *door) enter(c echo.Context, service string) (access models.Access, moved bool, err error) {
	ctx := c.Request().Context()
	who, err := d.identify(c)
	if err != nil {
		return models.Access{}, false, err
	}
	if who.user != nil {
		request.SetUser(c, *who.user)
	}
	access, moved, err = d.find(ctx, c, who.user)
	if err != nil && models.KindOf(err) != models.KindNotFound {
		return models.Access{}, false, err
	}
	found := err == nil
	if found {
		request.SetAccess(c, access)
	}
	ability := auth.ReadCode
	if service == receivePack {
		ability = auth.PushCode
	}
	subject := request.Subject(c)
	allowed := found && auth.Can(subject, ability)
	switch {
	case who.user == nil && !allowed:
		return models.Access{}, false, refuse(http.StatusUnauthorized, text.KeyGitSignIn)
	case !found || !auth.Can(subject, auth.ReadProject):
		return models.Access{}, false, refuse(http.StatusNotFound, text.KeyGitNotFound)
	case !allowed && ability == auth.PushCode:
		return models.Access{}, false, refuse(http.StatusForbidden, text.KeyGitNoPush)
	case !allowed:
		return models.Access{}, false, refuse(http.StatusForbidden, text.KeyGitNoFetch)
	case ability == auth.PushCode && !who.mayWrite:
		return models.Access{}, false, refuse(http.StatusForbidden, text.KeyGitReadOnlyToken)
	}
	return access, moved, nil
}

// find is the project that the path names, with and without ".git".
func (d *door) find(ctx context.Context, c echo.Context, user *models.User) (models.Access, bool, error) {
	namespace, project := pathParam(c, "namespace"), strings.TrimSuffix(pathParam(c, "project"), ".git")
	if namespace == "" || project == "" {
		return models.Access{}, false, &models.Error{Kind: models.KindNotFound, Code: models.CodeNotFound}
	}
	return d.Store.AccessByPath(ctx, user, namespace, project)
}

// pathParam is a part of the path, unescaped; "" where it is no text.
func pathParam(c echo.Context, name string) string {
	value := c.Param(name)
	if c.Request().URL.RawPath != "" {
		var err error
		if value, err = url.PathUnescape(value); err != nil {
			return ""
		}
	}
	if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		return ""
	}
	return value
}
