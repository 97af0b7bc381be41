package handlers

import (
	"net/http"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
)

// Whatever ends the right to see the checks ends the 204 at the next poll.
func TestPoll_RightsLost_IsNoLongerUnchanged(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.Service("licence")
		mr := s.openMergeRequest("topic")
		exec := func(sql string) func() {
			return func() {
				if _, err := s.DB.SQL(t).Exec(sql); err != nil {
					t.Fatal(err)
				}
			}
		}
		for name, lose := range map[string]func(){
			"session deleted":      exec("DELETE FROM sessions"),
			"session expired":      exec("UPDATE sessions SET expires_at = '2020-01-01 00:00:00+00:00'"),
			"user blocked":         exec("UPDATE users SET blocked = true WHERE username = 'rea'"),
			"password to change":   exec("UPDATE users SET password_change_required = true WHERE username = 'rea'"),
			"member removed":       exec("DELETE FROM members WHERE user_id = (SELECT id FROM users WHERE username = 'rea')"),
			"role lowered":         exec("UPDATE members SET role = 10 WHERE user_id = (SELECT id FROM users WHERE username = 'rea')"),
			"merge request closed": exec("UPDATE merge_requests SET state = 'closed'"),
		} {
			t.Run(name, func(t *testing.T) {
				s.T = t
				exec("UPDATE merge_requests SET state = 'opened'")()
				exec("DELETE FROM namespaces WHERE path_key = 'rea'")()
				exec("DELETE FROM users WHERE username = 'rea'")()
				v := s.as(s.Member("rea", models.RoleReporter))
				poll := v.get(s.mrPath(mr, "")).wantStatus(200).pollURL()
				v.withHTMX().get(poll).wantStatus(http.StatusNoContent)
				lose()
				if a := v.withHTMX().get(poll); a.status == http.StatusNoContent {
					t.Error("the poll is still answered with 204")
				}
			})
		}
	})
}

// A poll extends the session like every other request.
func TestPoll_Unchanged_ExtendsSession(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.Service("licence")
		mr := s.openMergeRequest("topic")
		if _, err := s.DB.SQL(t).Exec("UPDATE merge_request_checks SET timeout_seconds = 7200"); err != nil {
			t.Fatal(err)
		}
		v := s.as(s.Owner)
		poll := v.get(s.mrPath(mr, "")).wantStatus(200).pollURL()
		s.Clock.Advance(11 * time.Minute)
		v.withHTMX().get(poll).wantStatus(http.StatusNoContent)
		sessions, err := s.Store.Sessions(t.Context(), s.Owner.ID)
		if err != nil || len(sessions) != 1 || !sessions[0].LastSeenAt.Equal(s.Store.Now()) {
			t.Errorf("sessions %+v, %v", sessions, err)
		}
	})
}
