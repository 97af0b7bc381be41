package handlers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models/modelstest"
)

// Tabs and histories tell pages apart: every page has a title of its own, with
// its project and the product behind it, in the reader's language.
func TestEveryPageHasATitleOfItsOwn(t *testing.T) {
	s := newMRSite(t, modelstest.SQLite(t))
	service := s.Service("licence")
	mr := s.open("topic")
	const inside = "/olga/pear"
	for language, first := range map[string]string{"en": "Projects · Mergegate", "ja": "プロジェクト · Mergegate"} {
		owner, seen := s.as(s.Owner).reading(language), map[string]string{}
		for _, path := range []string{
			"/", "/projects/new", userSettingsPath, newPasswordPath, personalTokensPath,
			inside, inside + "/-/branches", inside + "/-/project_members", inside + "/-/settings/general", inside + "/-/settings/access_tokens",
			inside + "/-/settings/merge_requests", inside + "/-/settings/merge_requests/status_checks/new",
			inside + "/-/settings/merge_requests/status_checks/" + itoa(service.ID), inside + "/-/settings/repository/branch_rules",
			inside + "/-/audit_events", inside + "/-/merge_requests", inside + "/-/merge_requests/new", s.mrPath(mr, ""), s.mrPath(mr, "/edit"),
		} {
			page := owner.get(path).want(http.StatusOK)
			title := page.text("head title")
			if other, taken := seen[title]; taken {
				t.Errorf("%s and %s are both called %q", path, other, title)
			}
			seen[title] = path
			if strings.HasPrefix(path, inside+"/") && !strings.HasSuffix(title, " · pear · Mergegate") || !strings.HasSuffix(title, " · Mergegate") {
				t.Errorf("%s is called %q", path, title)
			}
			if got := page.attr("html", "lang"); got != language {
				t.Errorf("%s is in %q", path, got)
			}
		}
		if seen[first] != "/" || seen["pear · Mergegate"] != inside {
			t.Errorf("titles %q", seen)
		}
	}
}
