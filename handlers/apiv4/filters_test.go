package apiv4_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// Sends every filter of every list empty, as every role. The answer must not
// contain anything that the list without the filter does not contain.
func TestExhaustiveFilters_Empty_DoNotWidenLists(t *testing.T) {
	doc, err := openAPIDocument()
	if err != nil {
		t.Fatal(err)
	}
	type list struct {
		path, filter string
	}
	var lists []list
	values := strings.NewReplacer("{id}", "1", "{iid}", "1", "{check_id}", "1", "{namespace_id}", "1", "{sha}", "main", "{version_id}", "1")
	for path, item := range doc.Paths.Map() {
		if item.Get == nil {
			continue
		}
		for _, parameter := range item.Get.Parameters {
			if p := parameter.Value; p.In == "query" && p.Name != "page" && p.Name != "per_page" {
				lists = append(lists, list{values.Replace(path), p.Name})
			}
		}
	}
	if len(lists) < 40 {
		t.Fatalf("only %d filters in openapi.yaml", len(lists))
	}
	eachDatabase(t, func(t *testing.T, s *testSite) {
		robot := readToken(t, s.do("olga", "POST", "/projects/1/access_tokens", `{"name":"robot","scopes":["api"],"access_level":20}`))
		s.tokens["robot"] = robot.Token
		for _, who := range []string{"", "outsider", "guest", "reporter", "developer", "maintainer", "olga", "root", "robot"} {
			for _, l := range lists {
				whole := s.do(who, "GET", l.path+"?per_page=100", "")
				for _, value := range []string{l.filter + "=", l.filter + "[]=", l.filter + "=%20", l.filter} {
					name := fmt.Sprintf("%s?%s as %q", l.path, value, who)
					got := s.do(who, "GET", l.path+"?per_page=100&"+value, "")
					if whole.status >= 300 {
						if got.status < 300 && got.status != whole.status && entryIDs(t, got) != nil {
							t.Errorf("%s: status %d with %s, without the filter %d", name, got.status, got.body, whole.status)
						}
						continue
					}
					for _, id := range entryIDs(t, got) {
						if !slices.Contains(entryIDs(t, whole), id) {
							t.Errorf("%s contains %s, which the list without the filter does not", name, id)
						}
					}
				}
			}
		}
	})
}

// entryIDs returns the ids and names in a list, and nil for an empty list or a refusal.
func entryIDs(t *testing.T, a answer) []string {
	t.Helper()
	var entries []map[string]any
	if a.status >= 300 || json.Unmarshal([]byte(a.body), &entries) != nil {
		return nil
	}
	var ids []string
	for _, entry := range entries {
		ids = append(ids, fmt.Sprint(entry["id"], entry["name"]))
	}
	return ids
}

// Users who may not see a project may not see its bot.
func TestUsers_BotOfHiddenProject_IsNotFound(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		robot := readToken(t, s.do("olga", "POST", "/projects/1/access_tokens", `{"name":"robot","scopes":["api"],"access_level":20}`))
		s.tokens["robot"] = robot.Token
		path := fmt.Sprintf("/users/%d", robot.UserID)
		for _, who := range []string{"guest", "maintainer", "root", "robot"} {
			s.wantAnswer(t, s.do(who, "GET", path, ""), 200, `"username":"project_1_bot_`)
		}
		s.wantAnswer(t, s.do("outsider", "GET", path, ""), 404, "404 User Not Found")
		s.wantAnswer(t, s.do("outsider", "GET", "/users/99999", ""), 404, "404 User Not Found")
		bot := must(s.Store.User(t.Context(), robot.UserID))(t)
		s.wantAnswer(t, s.do("outsider", "GET", "/users?username="+url.QueryEscape(bot.Username), ""), 200, "[]")

		internal := models.VisibilityInternal
		if _, err := s.Store.UpdateProject(t.Context(), s.Owner, s.Project.ID, models.ProjectUpdate{Visibility: &internal}); err != nil {
			t.Fatal(err)
		}
		s.wantAnswer(t, s.do("outsider", "GET", path, ""), 200)
	})
}
