package handlers

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// maxQueues is how many services the page of background work lists.
const maxQueues = 50

var recoveryTexts = map[models.RecoveryKind]text.Key{
	models.RecoverPendingPushes: text.KeyAdminRecoverPushes, models.RecoverStartedMerges: text.KeyAdminRecoverMerges,
	models.RecoverSteps: text.KeyAdminRecoverSteps, models.RecoverAlsoApply: text.KeyAdminRecoverApplies,
	models.RecoverRepositories: text.KeyAdminRecoverRemovals,
}

// backgroundWork shows the queues of deliveries and unfinished operations.
func (p *pages) backgroundWork(c echo.Context) error {
	work, err := p.Store.BackgroundWork(c.Request().Context(), maxQueues+1)
	if err != nil {
		return err
	}
	v := views.AdminWork{
		Waiting: work.Waiting, InFlight: work.InFlight, OpenBreakers: work.OpenBreakers, Limit: models.MaxListed, LateSince: lateSince(work.OldestDueAt, work.At),
		MoreServices: len(work.Services) > maxQueues, Now: work.At,
	}
	for _, s := range work.Services[:min(maxQueues, len(work.Services))] {
		v.Services = append(v.Services, views.AdminQueue{
			ServiceID: s.ServiceID, Name: s.ServiceName, URL: withID("/"+s.ProjectPath+servicesPath, s.ServiceID), ProjectPath: s.ProjectPath,
			Waiting: s.Waiting, InFlight: s.InFlight, DueSince: s.OldestDueAt, Breaker: breakerView(c, s.Breaker, work.At),
		})
	}
	for _, r := range work.Recoveries {
		run := p.recoveries.state(r.Kind)
		v.Recoveries = append(v.Recoveries, views.AdminRecovery{Kind: string(r.Kind), Name: recoveryTexts[r.Kind], Count: r.Count, Oldest: r.OldestAt, Running: run.running, Failed: run.failed})
	}
	page, err := p.adminPage(c, translate(c, text.KeyAdminWork), views.SectionAdminWork, translate(c, text.KeyAdminWork), backgroundWorkPath)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.AdminWorkPage(page, v))
}

// lateSince returns due unless it was a moment ago, which is normal.
func lateSince(due *time.Time, now time.Time) *time.Time {
	if due == nil || now.Sub(*due) < time.Second {
		return nil
	}
	return due
}

// retryBackgroundWork makes the deliveries of a service due, or starts to complete unfinished
// operations of a kind. The page shows the run and its result.
func (p *pages) retryBackgroundWork(c echo.Context) error {
	ctx, admin := c.Request().Context(), request.MustUser(c)
	if c.FormValue("service") != "" {
		id, err := strconv.ParseInt(c.FormValue("service"), 10, 64)
		if err != nil {
			return request.ErrHidden
		}
		if err := p.Store.WakeService(ctx, admin, id); err != nil {
			return err
		}
		return p.redirect(c, backgroundWorkPath, text.KeyAdminServiceWoken)
	}
	kind := models.RecoveryKind(c.FormValue("recovery"))
	if !slices.Contains(models.RecoveryKinds, kind) {
		return request.ErrHidden
	}
	p.recoveries.start(ctx, p.Background, kind, func(ctx context.Context) error {
		return p.Store.RetryRecovery(ctx, admin, kind)
	}, func(ctx context.Context, err error) {
		p.Log.ErrorContext(ctx, "retry of background work failed", append(models.ErrorAttrs(err), "kind", kind)...)
	})
	return p.redirect(c, backgroundWorkPath, "")
}
