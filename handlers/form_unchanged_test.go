package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// withCRLF gives the line breaks of every field as browsers send them.
func withCRLF(form url.Values) url.Values {
	for _, values := range form {
		for i, value := range values {
			values[i] = strings.ReplaceAll(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(value), "\n", "\r\n")
		}
	}
	return form
}

// TestForms_SavedUnchanged_ChangeNothing opens every form that edits something,
// sends it back untouched and looks for a trace: an event, a delivery, an audit
// event or another text.
func TestForms_SavedUnchanged_ChangeNothing(t *testing.T) {
	texts := []string{"", "\nfirst line is empty", "\n\n\ntwo more\n", "\r\nby API\r\nwith CR LF\r\n", "old\rMac", " \n x", "<b>&amp;</b>\n", "\t\n"}
	titles := []string{"Plain", "Draft: one", "[Draft] two", "(draft)  three", "draft:four", "Ein „Titel“ & <b>"}
	eachDatabase(t, func(t *testing.T, s *testSite) {
		db := s.DB.SQL(t)
		service := s.Service("licence", "main")
		mr := s.openMergeRequest("topic")
		owner := s.as(s.Owner)
		trace := func() string {
			return databaseSnapshot(t, db) + itoa(int64(s.queryInt(t, "SELECT count(*) FROM audit_events")))
		}
		unchanged := func(what, page, form string) {
			t.Helper()
			action, fields := owner.get(page).wantStatus(http.StatusOK).fields(form)
			before := trace()
			owner.post(action, withCRLF(fields)).wantStatus(http.StatusSeeOther)
			if now := trace(); now != before {
				t.Errorf("%s: changed by saving it unchanged:\n%s\nwas\n%s", what, now, before)
			}
		}
		for i, text := range texts {
			title := titles[i%len(titles)]
			if _, err := s.Store.UpdateMergeRequest(t.Context(), s.Owner, s.Project.ID, mr.IID, models.MergeRequestUpdate{Title: &title, Description: &text}); err != nil {
				t.Fatal(err)
			}
			unchanged("merge request "+title+" "+text, s.mrPath(mr, "/edit"), `.content form[method=post], main form[method=post]`)
			if _, err := s.Store.UpdateProject(t.Context(), s.Owner, s.Project.ID, models.ProjectUpdate{Description: &text}); err != nil {
				t.Fatal(err)
			}
			unchanged("project "+text, pearGeneralPath, `form[action$="/settings/general"]`)
		}
		unchanged("name and visibility", pearGeneralPath, `form[action$="/advanced"]`)
		unchanged("service", servicePath(service)+"/edit", "#status-check-form")
		unchanged("branch rule", pearRulesPath+"/"+s.ruleID(s.Project, "main")+"/edit", "#protected-branch-form")
	})
}
