package handlers

import (
	"errors"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views/text"
)

// refusals are the messages for actions that the merge request's state does not allow.
var refusals = map[models.Code]text.Key{
	models.CodeStaleSHA:         text.KeyMRRefusedStale,
	models.CodeMergeBlocked:     text.KeyMRRefusedBlocked,
	models.CodeConflicts:        text.KeyMRRefusedConflicts,
	models.CodeTargetMoved:      text.KeyMRRefusedTargetMoved,
	models.CodeNotOpen:          text.KeyMRRefusedNotOpen,
	models.CodeNotClosed:        text.KeyMRRefusedNotClosed,
	models.CodeNotFailed:        text.KeyMRRefusedNotFailed,
	models.CodeNotApproved:      text.KeyMRRefusedNotApproved,
	models.CodeAlreadyOpen:      text.KeyMRRefusedAlreadyOpen,
	models.CodeSourceBranchGone: text.KeyMRRefusedSourceGone,
	models.CodeTargetBranchGone: text.KeyMRRefusedTargetGone,
	models.CodeProtectedBranch:  text.KeyMRRefusedProtected,
	models.CodeNoAutoMerge:      text.KeyMRRefusedNoAutoMerge,
}

// changeMergeRequest calls do for the merge request of the path and redirects to its page, with the toast
// done. If done is "", do sets a toast itself. If the merge request's state does not allow the
// action, the page is shown with the reason.
func (p *pages) changeMergeRequest(c echo.Context, done text.Key, do func(iid int64) error) error {
	iid, err := idParam(c, "iid")
	if err != nil {
		return err
	}
	err = do(iid)
	if err == nil {
		return p.redirect(c, mergeRequestURL(c, iid), done)
	}
	key, known := refusals[models.CodeOf(err)]
	if !known {
		return err
	}
	mr, loadErr := p.mergeRequestInPath(c)
	if loadErr != nil {
		return loadErr
	}
	return p.renderMergeRequest(c, statusOf(err), mr, translate(c, key))
}

func (p *pages) closeMergeRequest(c echo.Context) error {
	return p.changeMergeRequest(c, text.KeyMRToastClosed, func(iid int64) error {
		_, err := p.Store.CloseMergeRequest(c.Request().Context(), request.MustUser(c), request.Project(c).ID, iid)
		return err
	})
}

func (p *pages) reopenMergeRequest(c echo.Context) error {
	return p.changeMergeRequest(c, text.KeyMRToastReopened, func(iid int64) error {
		_, err := p.Store.ReopenMergeRequest(c.Request().Context(), request.MustUser(c), request.Project(c).ID, iid)
		return err
	})
}

func (p *pages) approveMergeRequest(c echo.Context) error {
	return p.changeMergeRequest(c, text.KeyMRToastApproved, func(iid int64) error {
		return p.Store.ApproveMergeRequest(c.Request().Context(), request.MustUser(c), request.Project(c).ID, iid, c.FormValue("sha"))
	})
}

func (p *pages) unapproveMergeRequest(c echo.Context) error {
	return p.changeMergeRequest(c, text.KeyMRToastUnapproved, func(iid int64) error {
		return p.Store.UnapproveMergeRequest(c.Request().Context(), request.MustUser(c), request.Project(c).ID, iid)
	})
}

// mergeMergeRequest merges at once or, with auto_merge, when all checks pass. The form
// carries the HEAD that the user saw; another HEAD is refused.
func (p *pages) mergeMergeRequest(c echo.Context) error {
	return p.changeMergeRequest(c, "", func(iid int64) error {
		merge := p.Store.Merge
		if isChecked(c, "auto_merge") {
			merge = p.Store.AutoMerge
		}
		mr, err := merge(c.Request().Context(), request.MustUser(c), request.Project(c).ID, iid, models.MergeOptions{
			SHA: c.FormValue("sha"), Role: request.Role(c),
			Squash: isChecked(c, "squash"), RemoveSourceBranch: isChecked(c, "should_remove_source_branch"),
		})
		if err != nil {
			return err
		}
		toast := text.KeyMRToastMerged
		if mr.HasAutoMerge() {
			toast = text.KeyMRToastAutoMergeSet
		}
		if mr.Incomplete != nil {
			p.logFailure(c, "merge follow-up incomplete", mr.Incomplete)
		}
		if errors.Is(mr.Incomplete, models.ErrSourceNotRemoved) {
			toast = text.KeyMRToastSourceStays
		}
		p.keepToast(c, string(toast))
		return nil
	})
}

// cancelAutoMerge removes auto-merge.
func (p *pages) cancelAutoMerge(c echo.Context) error {
	return p.changeMergeRequest(c, text.KeyMRToastAutoMergeCancelled, func(iid int64) error {
		_, err := p.Store.CancelAutoMerge(c.Request().Context(), request.MustUser(c), request.Project(c).ID, iid)
		return err
	})
}

// isChecked reads a check box of a form.
func isChecked(c echo.Context, name string) bool { return c.FormValue(name) == "true" }
