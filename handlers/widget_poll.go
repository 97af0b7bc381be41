package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
)

// pollRoute is the route of the widget's poll.
const pollRoute = projectRoute + mergeRequestsPath + "/:iid/status_checks"

// answerUnchangedPoll is middleware that answers a poll without news with 204, after one query
// instead of the three of the usual middleware. Every other request, also a poll that it cannot
// answer, takes the usual way and gets its answer there.
func (p *pages) answerUnchangedPoll(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Path() != pollRoute || c.Request().Method != http.MethodGet {
			return next(c)
		}
		unchanged, err := p.isUnchanged(c)
		if err != nil {
			return err
		}
		if unchanged {
			return c.NoContent(http.StatusNoContent)
		}
		return next(c)
	}
}

// isUnchanged reports whether the user may see the checks of an open merge request, and the
// widget shows what the parameter rev says.
func (p *pages) isUnchanged(c echo.Context) (bool, error) {
	rev, digest := c.QueryParam("rev"), p.sessionDigest(c)
	iid, err := idParam(c, "iid")
	if rev == "" || digest == "" || err != nil {
		return false, nil
	}
	poll, err := p.Store.Poll(c.Request().Context(), digest, request.PathParam(c, "namespace"), request.PathParam(c, "project"), iid)
	switch {
	case models.KindOf(err) == models.KindNotFound:
		return false, nil
	case err != nil:
		return false, err
	case !auth.Can(auth.SubjectOf(poll.Access), auth.ReadStatusChecks):
		return false, nil
	}
	facts := mergeFacts{mr: poll.MergeRequest, checks: poll.Checks, now: poll.At}
	facts.targetStamp = p.Git.Reader(facts.mr.ProjectID).BranchStamp(facts.mr.TargetBranch)
	v := viewerOf(poll.Access)
	return rev == revision(v, facts, presentRows(v, facts)), nil
}

// viewer is what the widget depends on besides the merge request: the user's rights and the
// rule of the project.
type viewer struct {
	retries, manages bool
	role             models.Role
	gate             bool
}

func viewerOf(access models.Access) viewer {
	subject := auth.SubjectOf(access)
	return viewer{
		retries: auth.Can(subject, auth.RetryStatusCheck), manages: auth.Can(subject, auth.ManageStatusChecks),
		role: access.EffectiveRole(), gate: access.Project.OnlyAllowMergeIfAllStatusChecksPassed,
	}
}
