package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// withCRLF returns the form with line breaks as browsers send them.
func withCRLF(form url.Values) url.Values {
	for _, values := range form {
		for i, value := range values {
			values[i] = strings.ReplaceAll(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(value), "\n", "\r\n")
		}
	}
	return form
}

// TestForms_SavedUnchanged_ChangeNothing sends every edit form back unchanged.
// No text may change, and no event, delivery or audit event may be recorded.
func TestForms_SavedUnchanged_ChangeNothing(t *testing.T) {
	texts := []string{"", "\nfirst line is empty", "\n\n\ntwo more\n", "\r\nby API\r\nwith CR LF\r\n", "old\rMac", " \n x", "<b>&amp;</b>\n", "\t\n"}
	titles := []string{"Plain", "Draft: one", "[Draft] two", "(draft)  three", "draft:four", "Ein „Titel“ & <b>"}
	eachDatabase(t, func(t *testing.T, s *testSite) {
		db := s.DB.SQL(t)
		service := s.Service("licence", "main")
		mr := s.openMergeRequest("topic")
		owner := s.as(s.Owner)
		snapshot := func() string {
			return databaseSnapshot(t, db) + itoa(int64(s.queryInt(t, "SELECT count(*) FROM audit_events")))
		}
		saveUnchanged := func(what, page, form string) {
			t.Helper()
			action, fields := owner.get(page).wantStatus(http.StatusOK).fields(form)
			before := snapshot()
			owner.post(action, withCRLF(fields)).wantStatus(http.StatusSeeOther)
			if now := snapshot(); now != before {
				t.Errorf("%s: saving unchanged gives\n%s\nwant\n%s", what, now, before)
			}
		}
		for i, text := range texts {
			title := titles[i%len(titles)]
			if _, err := s.Store.UpdateMergeRequest(t.Context(), s.Owner, s.Project.ID, mr.IID, models.MergeRequestUpdate{Title: &title, Description: &text}); err != nil {
				t.Fatal(err)
			}
			saveUnchanged("merge request "+title+" "+text, s.mrPath(mr, "/edit"), `.content form[method=post], main form[method=post]`)
			if _, err := s.Store.UpdateProject(t.Context(), s.Owner, s.Project.ID, models.ProjectUpdate{Description: &text}); err != nil {
				t.Fatal(err)
			}
			saveUnchanged("project "+text, pearGeneralPath, `form[action$="/settings/general"]`)
		}
		saveUnchanged("name and visibility", pearGeneralPath, `form[action$="/advanced"]`)
		saveUnchanged("service", servicePath(service)+"/edit", "#status-check-form")
		saveUnchanged("branch rule", pearRulesPath+"/"+s.ruleID(s.Project, "main")+"/edit", "#protected-branch-form")
	})
}
