package handlers

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
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
	"delivery_state":     outcomeWords(),
	"event":              eventTexts,
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
// deleted projects. With scope=all it lists those of all projects, too.
func (p *pages) instanceAuditEvents(c echo.Context) error {
	return p.renderAudit(c, instanceAuditPath, views.SectionAdminAuditEvents, text.KeyPeopleInstanceAuditIntro)
}

func (p *pages) renderAudit(c echo.Context, path, section string, intro text.Key) error {
	number, projectID := pageNumber(c), request.Project(c).ID
	title, frame := translate(c, text.KeyChecksAuditEvents), p.page
	if projectID == 0 {
		frame = p.adminFrame
	}
	page, err := frame(c, title, section)
	if err != nil {
		return err
	}
	if projectID != 0 {
		addBreadcrumbs(&page, translate(c, text.KeyManage), path)
	}
	addBreadcrumbs(&page, title, path)
	filter, form := auditFilter(c, projectID)
	events, total, err := p.Store.AuditEvents(c.Request().Context(), projectID, filter, models.Page{Number: number, Size: pageSize})
	if err != nil {
		return err
	}
	view := views.AuditEvents{
		Page: page, Intro: intro, Path: path, Filter: form, Filtered: filter != models.AuditFilter{}, Pages: boundedLinks(c, number, len(events), total),
		ExportURL: path + ".csv", Instance: projectID == 0,
	}
	query := c.Request().URL.Query()
	if query.Del("page"); len(query) > 0 {
		view.ExportURL += "?" + query.Encode()
	}
	for _, kind := range auditKinds(projectID) {
		view.Kinds = append(view.Kinds, views.Option{Value: string(kind), Text: translate(c, auditKindTexts[kind])})
	}
	paths, err := p.projectPaths(c, events...)
	if err != nil {
		return err
	}
	for _, e := range events {
		view.Rows = append(view.Rows, auditRow(c, e, paths))
	}
	return render(c, http.StatusOK, views.AuditEventsView(view))
}

// auditKinds returns the kinds that the filter of a project, or of the instance, offers.
func auditKinds(projectID int64) []models.AuditKind {
	if projectID == 0 {
		return models.AllAuditKinds()
	}
	return models.AuditKindsOf(projectID)
}

// projectPaths returns the paths of the events' projects on the page of the instance.
func (p *pages) projectPaths(c echo.Context, events ...models.AuditEvent) (map[int64]string, error) {
	if request.Project(c).ID != 0 {
		return nil, nil
	}
	var ids []int64
	for _, e := range events {
		if e.ProjectID != nil {
			ids = append(ids, *e.ProjectID)
		}
	}
	return p.Store.ProjectPaths(c.Request().Context(), ids)
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
	if kind := models.AuditKind(searchParam(c, "kind")); slices.Contains(auditKinds(projectID), kind) {
		filter.Kind = kind
		form.Values.Set("kind", string(kind))
	}
	if projectID == 0 {
		filter.Author, filter.Everywhere = searchParam(c, "author"), c.QueryParam("scope") == auditEverywhere
		form.Values.Set("author", filter.Author)
		if filter.Everywhere {
			form.Values.Set("scope", auditEverywhere)
		}
	}
	return filter, form
}

// auditEverywhere is the value of the filter scope that includes the events of projects.
const auditEverywhere = "all"

// auditRow presents an event. paths are those of projects on the page of the instance.
func auditRow(c echo.Context, e models.AuditEvent, paths map[int64]string) views.AuditEventRow {
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
	if e.ProjectID != nil && paths[*e.ProjectID] != "" {
		row.Project = paths[*e.ProjectID]
		row.RequestURL = withID("/"+row.Project+mergeRequestsPath, e.TargetID)
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

// maxExported is how many events an export has.
const maxExported = 100_000

// exportAuditEvents writes the newest maxExported events of the list as CSV. A last line says
// if there are more.
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
	paths := map[int64]string{}
	more, err := p.Store.EachAuditEvent(c.Request().Context(), projectID, filter, maxExported, func(e models.AuditEvent) error {
		if e.ProjectID != nil && paths[*e.ProjectID] == "" {
			found, err := p.projectPaths(c, e)
			if err != nil {
				return err
			}
			maps.Copy(paths, found)
		}
		row := auditRow(c, e, paths)
		cells := []string{
			row.At.UTC().Format(time.RFC3339), row.Author, row.Username, row.Action, strings.TrimSpace(row.Project + " " + row.Object + " " + row.Request),
			strings.Join(row.Changes, "\n"), row.IP,
		}
		for i, cell := range cells {
			cells[i] = escapeFormula(cell)
		}
		return out.Write(cells)
	})
	if more && err == nil {
		err = out.Write([]string{translate(c, text.KeyAdminAuditCut, "Limit", "100,000")})
	}
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
