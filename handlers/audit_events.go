package handlers

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// auditValues maps values of audited changes to words, by field.
var auditValues = map[string]map[string]text.Key{
	"target_branches":  {"*": text.KeyChecksAllBranches},
	"admin":            {"on": text.KeyChecksOn, "off": text.KeyChecksOffWord},
	"hmac":             {"on": text.KeyChecksOn, "off": text.KeyChecksOffWord},
	"callback_only":    {"on": text.KeyChecksOn, "off": text.KeyChecksOffWord},
	"via":              {string(models.ViaCallback): text.KeyChecksAuditViaCallback},
	"informational":    {"on": text.KeyChecksOn, "off": text.KeyChecksOffWord},
	"allow_force_push": {"on": text.KeyChecksAllowed, "off": text.KeyChecksNotAllowed},
	"role": {
		models.RoleGuest.String(): text.KeyRoleGuest, models.RoleReporter.String(): text.KeyRoleReporter,
		models.RoleDeveloper.String(): text.KeyRoleDeveloper, models.RoleMaintainer.String(): text.KeyRoleMaintainer,
		models.RoleOwner.String(): text.KeyRoleOwner,
	},
	"visibility": {
		models.VisibilityPrivate.String(): text.KeyVisibilityPrivate, models.VisibilityInternal.String(): text.KeyVisibilityInternal,
		models.VisibilityPublic.String(): text.KeyVisibilityPublic,
	},
	"push_access_level":  levelTexts,
	"merge_access_level": levelTexts,
	"status":             statusTexts,
	"reason":             auditReasons(),
	"auto_merge":         {"on": text.KeyChecksOn},
	"late_status":        statusTexts,
	"only_allow_merge_if_all_status_checks_passed": {"on": text.KeyChecksOn, "off": text.KeyChecksOffWord},
}

// auditReasons returns abortTexts by the values of audited changes.
func auditReasons() map[string]text.Key {
	words := map[string]text.Key{}
	for reason, key := range abortTexts {
		words[string(reason)] = key
	}
	return words
}

var statusTexts = map[string]text.Key{"pending": text.KeyStatusPending, "passed": text.KeyStatusPassed, "failed": text.KeyStatusFailed}

var levelTexts = map[string]text.Key{
	models.RoleNone.String():       text.KeyChecksLevelNoOne,
	models.RoleDeveloper.String():  text.KeyChecksLevelDevelopers,
	models.RoleMaintainer.String(): text.KeyChecksLevelMaintainers,
}

var auditKindTexts = map[models.AuditKind]text.Key{
	models.AuditKindStatusChecks:  text.KeyPeopleKindStatusChecks,
	models.AuditKindMergeRequests: text.KeyPeopleKindMergeRequests,
	models.AuditKindMembers:       text.KeyPeopleKindMembers,
	models.AuditKindTokens:        text.KeyPeopleKindTokens,
	models.AuditKindBranches:      text.KeyPeopleKindBranches,
	models.AuditKindProject:       text.KeyPeopleKindProject,
	models.AuditKindSignIns:       text.KeyPeopleKindSignIns,
	models.AuditKindUsers:         text.KeyPeopleKindUsers,
	models.AuditKindInstance:      text.KeyPeopleKindInstance,
}

// auditEvents lists the project's audit events, newest first.
func (p *pages) auditEvents(c echo.Context) error {
	return p.renderAudit(c, auditEventsURL(c), views.SectionAuditEvents, text.KeyChecksAuditEventsIntro)
}

// instanceAuditEvents lists the events outside projects: sign-ins, users, personal tokens and
// deleted projects.
func (p *pages) instanceAuditEvents(c echo.Context) error {
	return p.renderAudit(c, instanceAuditPath, "", text.KeyPeopleInstanceAuditIntro)
}

func (p *pages) renderAudit(c echo.Context, path, section string, intro text.Key) error {
	page, err := p.page(c, translate(c, text.KeyChecksAuditEvents), section)
	if err != nil {
		return err
	}
	if section != "" {
		addBreadcrumbs(&page, translate(c, text.KeyManage), path)
	}
	addBreadcrumbs(&page, translate(c, text.KeyChecksAuditEvents), path)
	number, projectID := pageNumber(c), request.Project(c).ID
	filter, form := auditFilter(c, projectID)
	events, total, err := p.Store.AuditEvents(c.Request().Context(), projectID, filter, models.Page{Number: number, Size: pageSize})
	if err != nil {
		return err
	}
	view := views.AuditEvents{
		Page: page, Intro: intro, Path: path, Filter: form, Filtered: filter != models.AuditFilter{}, Pages: pageLinks(c, number, len(events), total),
		ExportURL: path + ".csv",
	}
	query := c.Request().URL.Query()
	if query.Del("page"); len(query) > 0 {
		view.ExportURL += "?" + query.Encode()
	}
	for _, kind := range models.AuditKindsOf(projectID) {
		view.Kinds = append(view.Kinds, views.Option{Value: string(kind), Text: translate(c, auditKindTexts[kind])})
	}
	for _, e := range events {
		view.Rows = append(view.Rows, auditRow(c, e))
	}
	return render(c, http.StatusOK, views.AuditEventsView(view))
}

// auditFilter reads the filter from the query. An invalid date is an error in the form and
// does not filter. Days are in UTC.
func auditFilter(c echo.Context, projectID int64) (models.AuditFilter, views.Form) {
	form := views.Form{Values: url.Values{}, Errors: map[string]string{}}
	day := func(name string) time.Time {
		value := searchParam(c, name)
		form.Values.Set(name, value)
		if value == "" {
			return time.Time{}
		}
		at, err := time.Parse(time.DateOnly, value)
		if err != nil {
			form.Errors[name] = translate(c, text.KeyDateInvalid)
		}
		return at
	}
	filter := models.AuditFilter{From: day("from"), Before: day("to")}
	if !filter.Before.IsZero() {
		filter.Before = filter.Before.AddDate(0, 0, 1)
	}
	if kind := models.AuditKind(searchParam(c, "kind")); slices.Contains(models.AuditKindsOf(projectID), kind) {
		filter.Kind = kind
		form.Values.Set("kind", string(kind))
	}
	return filter, form
}

func auditRow(c echo.Context, e models.AuditEvent) views.AuditEventRow {
	row := views.AuditEventRow{
		At: e.CreatedAt, Author: e.UserName, Action: translate(c, views.AuditActionKey(string(e.Action))), Object: e.Target, IP: e.IP,
	}
	switch {
	case e.UserID == nil && e.UserName == models.SystemName:
		row.Author = translate(c, text.KeyChecksAuditSystem)
	case e.User != nil:
		row.Author, row.Username, row.Bot = e.User.Name, e.UserName, e.User.Bot
	}
	if e.Action.TargetsMergeRequest() {
		row.Request = fmt.Sprintf("!%d", e.TargetID)
		row.RequestURL = mergeRequestURL(c, e.TargetID)
	}
	for _, change := range e.Details {
		key := text.KeyChecksChangeBoth
		switch {
		case change.From == "":
			key = text.KeyChecksChangeTo
		case change.To == "":
			key = text.KeyChecksChangeFrom
		}
		row.Changes = append(row.Changes, translate(c, key, "Field", translate(c, views.AuditFieldKey(change.Field)),
			"From", auditValue(c, change.Field, change.From), "To", auditValue(c, change.Field, change.To)))
	}
	return row
}

func auditValue(c echo.Context, field, value string) string {
	if key, ok := auditValues[field][value]; ok {
		return translate(c, key)
	}
	switch field {
	case "sha":
		return shortSHA(value)
	case "expires_at":
		if at, err := time.Parse(time.DateOnly, value); err == nil {
			return views.Day(c.Request().Context(), at)
		}
	}
	return value
}

// exportAuditEvents writes all pages of the list as CSV.
func (p *pages) exportAuditEvents(c echo.Context) error {
	projectID := request.Project(c).ID
	filter, _ := auditFilter(c, projectID)
	name := "audit-events"
	if projectID != 0 {
		name += "-" + request.Project(c).Path
	}
	header := c.Response().Header()
	header.Set(echo.HeaderContentType, "text/csv; charset=utf-8")
	header.Set(echo.HeaderContentDisposition, fmt.Sprintf(`attachment; filename="%s-%s.csv"`, name, p.Store.Now().Format(time.DateOnly)))
	c.Response().WriteHeader(http.StatusOK)
	// The byte order mark tells spreadsheets that the file is UTF-8.
	if _, err := io.WriteString(c.Response(), "\ufeff"); err != nil {
		return err
	}
	out := csv.NewWriter(c.Response())
	titles := []string{
		translate(c, text.KeyChecksDate), translate(c, text.KeyChecksAuthor), translate(c, text.KeyUsername), translate(c, text.KeyChecksAction),
		translate(c, text.KeyChecksObject), translate(c, text.KeyPeopleChanges), translate(c, text.KeySessionAddress),
	}
	if err := out.Write(titles); err != nil {
		return err
	}
	err := p.Store.EachAuditEvent(c.Request().Context(), projectID, filter, func(e models.AuditEvent) error {
		row := auditRow(c, e)
		cells := []string{
			row.At.UTC().Format(time.RFC3339), row.Author, row.Username, row.Action, strings.TrimSpace(row.Object + " " + row.Request),
			strings.Join(row.Changes, "\n"), row.IP,
		}
		for i, cell := range cells {
			cells[i] = escapeFormula(cell)
		}
		return out.Write(cells)
	})
	out.Flush()
	if err = errors.Join(err, out.Error()); err != nil {
		// The status was sent already. Aborting the connection tells the client that the file
		// is incomplete.
		p.logFailure(c, "audit event export failed", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// formulaStarts are the characters that begin a formula in spreadsheets, with the full-width
// forms of Japanese keyboards.
const formulaStarts = "=+-@\t\r\n＝＋－＠"

// escapeFormula returns a cell that spreadsheets do not interpret as a formula.
func escapeFormula(cell string) string {
	if strings.IndexAny(cell, formulaStarts) == 0 {
		return "'" + cell
	}
	return cell
}
