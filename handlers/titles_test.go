package handlers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models/modelstest"
)

// Every page's title names the page, its project and the product, in the
// reader's language.
func TestPages_HaveUniqueTitles(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	service := s.Service("licence")
	mr := s.openMergeRequest("topic")
	for language, first := range map[string]string{"en": "Projects · Mergegate", "ja": "プロジェクト · Mergegate"} {
		owner, seen := s.as(s.Owner).withLanguage(language), map[string]string{}
		for _, path := range []string{
			"/", "/projects/new", userSettingsPath, newPasswordPath, personalTokensPath,
			pearPath, pearPath + "/-/branches", pearPath + "/-/project_members", pearPath + "/-/settings/general", pearPath + "/-/settings/access_tokens",
			pearPath + "/-/settings/merge_requests", pearPath + "/-/settings/merge_requests/status_checks/new",
			pearPath + "/-/settings/merge_requests/status_checks/" + itoa(service.ID), pearPath + "/-/settings/repository/branch_rules",
			pearPath + "/-/audit_events", pearPath + "/-/merge_requests", pearPath + "/-/merge_requests/new", s.mrPath(mr, ""), s.mrPath(mr, "/edit"),
		} {
			page := owner.get(path).wantStatus(http.StatusOK)
			title := page.text("head title")
			if other, taken := seen[title]; taken {
				t.Errorf("%s and %s have the same title %q", path, other, title)
			}
			seen[title] = path
			if strings.HasPrefix(path, pearPath+"/") && !strings.HasSuffix(title, " · pear · Mergegate") || !strings.HasSuffix(title, " · Mergegate") {
				t.Errorf("%s has the title %q", path, title)
			}
			if got := page.attr("html", "lang"); got != language {
				t.Errorf("%s has the language %q", path, got)
			}
		}
		if seen[first] != "/" || seen["pear · Mergegate"] != pearPath {
			t.Errorf("titles %q", seen)
		}
	}
}
