package apiv4_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
)

// callbackToken claims the deliveries and returns the callback token of the newest one to
// the service.
func (s *testSite) callbackToken(t *testing.T, serviceID int64) string {
	t.Helper()
	token := ""
	for range 3 { // deliveries of one check follow each other
		claimed := must(s.Store.Claim(t.Context(), models.ClaimOptions{Limit: 50}))(t)
		for _, c := range claimed {
			if c.Delivery.ExternalStatusCheckID == serviceID {
				token = c.CallbackToken
			}
			if err := s.Store.FinishDelivery(t.Context(), c.Delivery, models.AttemptResult{StartedAt: s.Clock.Now(), HTTPStatus: 202}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !strings.HasPrefix(token, models.CallbackTokenPrefix) {
		t.Fatalf("callback token %q", token)
	}
	return token
}

func (s *testSite) callback(token, path, body string) answer {
	s.T.Helper()
	return s.send("POST", path, body, http.Header{"X-Mergegate-Callback-Token": {token}, "Content-Type": {"application/json"}})
}

func TestCallback_SetsStatusOfItsCheckOnly(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		token := s.callbackToken(t, s.service.ID)
		path := strings.TrimPrefix(models.CallbackPath(s.mr.ProjectID, s.mr.IID, s.service.ID), "/api/v4")
		answered := s.wantAnswer(t, s.callback(token, path, `{"status":"passed","description":"fine"}`), 201,
			`"status":"passed"`, `"description":"fine"`, `"sha":"`+s.mr.HeadSHA+`"`, `"via":"callback"`)
		if strings.Contains(answered.body, token) {
			t.Error("the answer contains the token")
		}
		s.wantAnswer(t, s.do("reporter", "GET", "/projects/1/merge_requests/1/status_checks/1/responses", ""), 200, `"user_id":null`, `"via":"callback"`)

		// The same faults in the same order as with an access token.
		s.wantAnswer(t, s.callback(token, path, `{}`), 400, `{"error":"status is missing"}`)
		s.wantAnswer(t, s.callback(token, path, `{"status":"great"}`), 400, "status does not have a valid value")
		s.wantAnswer(t, s.callback(token, path, `{"status":"passed","target_url":"ftp://x"}`), 400, "target_url")
		s.wantAnswer(t, s.callback(token, path, `{"status":"passed","external_status_check_id":2}`), 404)
		s.wantAnswer(t, s.callback(token, path, `{"status":"passed","sha":"`+strings.Repeat("a", 40)+`"}`), 409, s.mr.HeadSHA)
		s.wantAnswer(t, s.callback(token, path, `{"status":"failed","sha":"`+s.mr.HeadSHA+`"}`), 201)
		bearer := http.Header{"Authorization": {"Bearer " + token}}
		s.wantAnswer(t, s.send("POST", path+"?status=pending", "", bearer), 201, `"status":"pending"`)

		// It allows nothing else.
		for _, other := range []string{
			strings.Replace(path, "/status_checks/1/", "/status_checks/2/", 1), strings.Replace(path, "/merge_requests/1/", "/merge_requests/2/", 1),
			strings.Replace(path, "/projects/1/", "/projects/2/", 1),
		} {
			s.wantAnswer(t, s.callback(token, other, `{"status":"passed"}`), 401)
		}
		for _, request := range [][2]string{
			{"POST", "/projects/1/merge_requests/1/status_check_responses"}, {"GET", "/projects/1"}, {"GET", "/user"},
			{"POST", "/projects/1/merge_requests/1/status_checks/1/retry"}, {"PUT", "/projects/1/merge_requests/1/merge"},
		} {
			s.wantAnswer(t, s.send(request[0], request[1], "", bearer), 401)
			s.wantAnswer(t, s.send(request[0], request[1], "", http.Header{"Private-Token": {token}}), 401)
		}
		// An access token is no callback token.
		s.wantAnswer(t, s.do("developer", "POST", path, `{"status":"passed"}`), 401)
		for _, wrong := range []string{"", "mgcb-", "mgcb-!", token[:len(token)-4], token + "AAAA"} {
			s.wantAnswer(t, s.callback(wrong, path, `{"status":"passed"}`), 401, `{"message":"401 Unauthorized"}`)
		}
	})
}

func TestCallback_ExpiresAndFollowsHead(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		token := s.callbackToken(t, s.service.ID)
		path := strings.TrimPrefix(models.CallbackPath(s.mr.ProjectID, s.mr.IID, s.service.ID), "/api/v4")
		s.Clock.Advance(models.CallbackLifetime - time.Minute)
		s.wantAnswer(t, s.callback(token, path, `{"status":"passed"}`), 201)
		s.Clock.Advance(2 * time.Minute)
		s.wantAnswer(t, s.callback(token, path, `{"status":"passed"}`), 401)

		// Redeliver sends a token that is valid again.
		d := s.Deliveries(s.service)
		must(s.Store.Redeliver(t.Context(), s.Owner, s.Project.ID, s.service.ID, d[len(d)-1].ID))(t)
		token = s.callbackToken(t, s.service.ID)
		s.wantAnswer(t, s.callback(token, path, `{"status":"failed"}`), 201)

		if err := s.Store.DeleteExternalStatusCheck(t.Context(), s.Owner, s.Project.ID, s.service.ID); err != nil {
			t.Fatal(err)
		}
		s.wantAnswer(t, s.callback(token, path, `{"status":"passed"}`), 404)
	})
}

func TestCallbackOnly_RefusesAccessTokens(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		service := fmt.Sprintf("/projects/1/external_status_checks/%d", s.service.ID)
		s.wantAnswer(t, s.do("maintainer", "PUT", service, `{"callback_only":true}`), 200, `"callback_only":true`)
		body := fmt.Sprintf(`{"external_status_check_id":%d,"sha":"%s","status":"passed"}`, s.service.ID, s.mr.HeadSHA)
		s.wantAnswer(t, s.do("developer", "POST", "/projects/1/merge_requests/1/status_check_responses", body), 403,
			`{"message":"This status check accepts only responses with the callback token of a delivery"}`)
		path := strings.TrimPrefix(models.CallbackPath(s.mr.ProjectID, s.mr.IID, s.service.ID), "/api/v4")
		s.wantAnswer(t, s.callback(s.callbackToken(t, s.service.ID), path, `{"status":"passed"}`), 201)
		s.wantAnswer(t, s.do("maintainer", "PUT", service, `{"external_url":"http://plain.example"}`), 422,
			`{"message":["Callback only needs an external URL with HTTPS"]}`)
		s.wantAnswer(t, s.do("maintainer", "PUT", service, `{"external_url":"http://127.0.0.1:9000/"}`), 200)
	})
}
