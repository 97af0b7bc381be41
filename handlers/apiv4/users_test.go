package apiv4_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/mergegate/mergegate/models"
)

func TestGitLabClient_Users(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		c := s.client(t, "root").Users
		created, r, err := c.CreateUser(&gitlab.CreateUserOptions{
			Username: gitlab.Ptr("mona"), Name: gitlab.Ptr("Mona Weiss"), Email: gitlab.Ptr("mona@example.test"), Password: gitlab.Ptr("a long quince and pear"),
			SkipConfirmation: gitlab.Ptr(true),
		})
		assertStatus(t, r, err, 201)
		if created.Username != "mona" || created.Email != "mona@example.test" || created.IsAdmin || created.State != "active" || created.NamespaceID == 0 {
			t.Errorf("created %+v", created)
		}
		_, r, err = c.CreateUser(&gitlab.CreateUserOptions{Username: gitlab.Ptr("MONA"), Name: gitlab.Ptr("x"), ForceRandomPassword: gitlab.Ptr(true)})
		assertStatus(t, r, err, 409)
		_, r, err = c.CreateUser(&gitlab.CreateUserOptions{Username: gitlab.Ptr("noor"), Name: gitlab.Ptr("Noor")})
		assertStatus(t, r, err, 400)
		_, r, err = c.CreateUser(&gitlab.CreateUserOptions{Username: gitlab.Ptr("noor"), Name: gitlab.Ptr("Noor"), Password: gitlab.Ptr("short")})
		assertStatus(t, r, err, 400)

		modified, r, err := c.ModifyUser(created.ID, &gitlab.ModifyUserOptions{Name: gitlab.Ptr("Mona"), Admin: gitlab.Ptr(true)})
		assertStatus(t, r, err, 200)
		if modified.Name != "Mona" || !modified.IsAdmin || modified.Email != "mona@example.test" {
			t.Errorf("modified %+v", modified)
		}
		_, r, err = c.ModifyUser(created.ID, &gitlab.ModifyUserOptions{Username: gitlab.Ptr("root")})
		assertStatus(t, r, err, 409)
		_, r, err = c.ModifyUser(created.ID, &gitlab.ModifyUserOptions{Username: gitlab.Ptr("api")})
		assertStatus(t, r, err, 400)
		modified, r, err = c.ModifyUser(created.ID, &gitlab.ModifyUserOptions{Username: gitlab.Ptr("mina")})
		assertStatus(t, r, err, 200)
		if modified.Username != "mina" || modified.NamespaceID != created.NamespaceID {
			t.Errorf("renamed %+v", modified)
		}
		if _, err := c.BlockUser(created.ID); err != nil {
			t.Errorf("block: %v", err)
		}
		blocked, r, err := c.ListUsers(&gitlab.ListUsersOptions{Blocked: gitlab.Ptr(true)})
		assertStatus(t, r, err, 200)
		if len(blocked) != 1 || blocked[0].ID != created.ID || blocked[0].State != "blocked" {
			t.Errorf("blocked users %+v", blocked)
		}
		root := s.users["root"].ID
		r, err = c.BlockUser(root) // oneself
		assertStatus(t, r, err, 403)
		_, r, err = c.ModifyUser(root, &gitlab.ModifyUserOptions{Admin: gitlab.Ptr(false)})
		assertStatus(t, r, err, 403) // the last active one
		if _, err := c.UnblockUser(created.ID); err != nil {
			t.Errorf("unblock: %v", err)
		}
		admins, r, err := c.ListUsers(&gitlab.ListUsersOptions{Admins: gitlab.Ptr(true), Active: gitlab.Ptr(true)})
		assertStatus(t, r, err, 200)
		if len(admins) != 2 {
			t.Errorf("%d administrators, want 2", len(admins))
		}
		for _, hard := range []struct {
			value  string
			status int
		}{{"?hard_delete=true", 400}, {"?hard_delete=false", 204}, {"", 404}} {
			s.wantAnswer(t, s.do("root", "DELETE", "/users/"+strconv.FormatInt(created.ID, 10)+hard.value, ""), hard.status)
		}
		r, err = c.DeleteUser(root) // oneself
		assertStatus(t, r, err, 403)
		if _, err := c.BlockUser(999999); err == nil {
			t.Error("an unknown user was blocked")
		}
		_, r, err = s.client(t, "maintainer").Users.CreateUser(&gitlab.CreateUserOptions{Username: gitlab.Ptr("eve"), Name: gitlab.Ptr("Eve"), ForceRandomPassword: gitlab.Ptr(true)})
		assertStatus(t, r, err, 403)
	})
}

// reset_password answers with a link that works.
func TestCreateUser_ResetPassword_AnswersWithInvitation(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		var user struct {
			InvitationURL string `json:"invitation_url"`
		}
		answer := s.do("root", "POST", "/users", `{"username":"mona","name":"Mona","reset_password":true}`)
		s.wantAnswer(t, answer, 201)
		if err := json.Unmarshal([]byte(answer.body), &user); err != nil {
			t.Fatal(err)
		}
		path, found := strings.CutPrefix(user.InvitationURL, "https://gate.example")
		page := httptest.NewRecorder()
		s.plain.ServeHTTP(page, httptest.NewRequest(http.MethodGet, path, nil))
		if !found || page.Code != http.StatusOK {
			t.Errorf("link %q: status %d", user.InvitationURL, page.Code)
		}
	})
}

func TestGitLabClient_AuditEvents(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		client := s.client(t, "root")
		if _, err := client.Users.BlockUser(s.users["guest"].ID); err != nil {
			t.Fatal(err)
		}
		events, r, err := client.AuditEvents.ListInstanceAuditEvents(nil)
		assertStatus(t, r, err, 200)
		if len(events) == 0 || events[0].EventName != string(models.AuditUserBlocked) || events[0].EntityType != "User" ||
			events[0].EntityID != s.users["guest"].ID || events[0].AuthorID != s.users["root"].ID || events[0].Details.AuthorName != "root" {
			t.Fatalf("events %+v", events)
		}
		one, r, err := client.AuditEvents.GetInstanceAuditEvent(events[0].ID)
		assertStatus(t, r, err, 200)
		if one.ID != events[0].ID || one.Details.TargetDetails != "guest" {
			t.Errorf("event %+v", one)
		}
		future := s.Clock.Now().Add(48 * time.Hour)
		events, r, err = client.AuditEvents.ListInstanceAuditEvents(&gitlab.ListAuditEventsOptions{CreatedAfter: &future})
		assertStatus(t, r, err, 200)
		if len(events) != 0 {
			t.Errorf("%d events of the future", len(events))
		}
		projects := s.do("root", "GET", "/audit_events?entity_type=Project&entity_id="+strconv.FormatInt(s.Project.ID, 10), "")
		s.wantAnswer(t, projects, 200, `"entity_path":"olga/pear"`)
		if strings.Contains(projects.body, `"User"`) {
			t.Errorf("events of the project: %s", projects.body)
		}
		s.wantAnswer(t, s.do("root", "GET", "/audit_events?entity_id=1", ""), 400)
		s.wantAnswer(t, s.do("root", "GET", "/audit_events/999999", ""), 404)
		s.wantAnswer(t, s.do("maintainer", "GET", "/audit_events", ""), 403)
	})
}
