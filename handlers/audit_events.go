package handlers

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
)

// auditValues are values of audited changes that read better in words.
var auditValues = map[string]map[string]views.Key{
	"target_branches":  {"*": views.KeyChecksAllBranches},
	"hmac":             {"on": views.KeyChecksOn, "off": views.KeyChecksOffWord},
	"allow_force_push": {"on": views.KeyChecksAllowed, "off": views.KeyChecksNotAllowed},
	"role": {
		models.RoleGuest.String(): views.KeyRoleGuest, models.RoleReporter.String(): views.KeyRoleReporter,
		models.RoleDeveloper.String(): views.KeyRoleDeveloper, models.RoleMaintainer.String(): views.KeyRoleMaintainer,
		models.RoleOwner.String(): views.KeyRoleOwner,
	},
	"visibility": {
		models.VisibilityPrivate.String(): views.KeyVisibilityPrivate, models.VisibilityInternal.String(): views.KeyVisibilityInternal,
		models.VisibilityPublic.String(): views.KeyVisibilityPublic,
	},
	"push_access_level":  levelTexts,
	"merge_access_level": levelTexts,
	"status":             {"pending": views.KeyStatusPending, "passed": views.KeyStatusPassed, "failed": views.KeyStatusFailed},
	"only_allow_merge_if_all_status_checks_passed": {"on": views.KeyChecksOn, "off": views.KeyChecksOffWord},
}

var levelTexts = map[string]views.Key{
	models.RoleNone.String():       views.KeyChecksLevelNoOne,
	models.RoleDeveloper.String():  views.KeyChecksLevelDevelopers,
	models.RoleMaintainer.String(): views.KeyChecksLevelMaintainers,
}

// auditEvents shows what was changed in the project, the newest first.
func (p *pages) auditEvents(c echo.Context) error {
	page, err := p.page(c, text(c, views.KeyChecksAuditEvents), views.SectionAuditEvents)
	if err != nil {
		return err
	}
	crumbs(&page, text(c, views.KeyChecksAuditEvents), projectURL(c)+"/-/audit_events")
	number := pageNumber(c)
	events, total, err := p.Store.AuditEvents(c.Request().Context(), request.Project(c).ID, models.AuditFilter{}, models.Page{Number: number, Size: pageSize})
	if err != nil {
		return err
	}
	view := views.AuditEvents{Page: page, Pages: pageLinks(c, number, len(events), total)}
	for _, e := range events {
		view.Rows = append(view.Rows, auditRow(c, e))
	}
	return render(c, http.StatusOK, views.AuditEventsView(view))
}

func auditRow(c echo.Context, e models.AuditEvent) views.AuditEventRow {
	row := views.AuditEventRow{
		At: e.CreatedAt, Author: e.UserName, AuthorInitials: views.Initials(e.UserName),
		Action: text(c, views.AuditActionKey(string(e.Action))), Object: e.Target,
	}
	if e.UserName == models.SystemName {
		row.Author = text(c, views.KeyChecksAuditSystem)
	}
	if e.Action.OnMergeRequest() {
		row.Request = fmt.Sprintf("!%d", e.TargetID)
		row.RequestURL = fmt.Sprintf("%s/-/merge_requests/%d", projectURL(c), e.TargetID)
	}
	for _, change := range e.Details {
		key := views.KeyChecksChangeBoth
		switch {
		case change.From == "":
			key = views.KeyChecksChangeTo
		case change.To == "":
			key = views.KeyChecksChangeFrom
		}
		row.Changes = append(row.Changes, text(c, key, "Field", text(c, views.AuditFieldKey(change.Field)),
			"From", auditValue(c, change.Field, change.From), "To", auditValue(c, change.Field, change.To)))
	}
	return row
}

func auditValue(c echo.Context, field, value string) string {
	if key, ok := auditValues[field][value]; ok {
		return text(c, key)
	}
	if field == "sha" {
		return shortSHA(value)
	}
	return value
}
