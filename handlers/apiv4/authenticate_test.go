package apiv4_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestAuthentication_OnlyValidTokens_AreAccepted(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		secret := s.tokens["reporter"]
		reading := s.token(s.users["developer"], models.ScopeReadAPI)
		revoked := s.token(s.users["reporter"], models.ScopeAPI)
		s.wantAnswer(t, s.send("DELETE", "/personal_access_tokens/self", "", http.Header{"Private-Token": {revoked}}), 204)
		const mr = "/projects/olga%2Fpear/merge_requests/1"

		for name, test := range map[string]struct {
			method, path, header, value string
			status                      int
			text                        string
		}{
			"private token":         {"GET", "/user", "Private-Token", secret, 200, `"username":"reporter"`},
			"bearer":                {"GET", "/user", "Authorization", "Bearer " + secret, 200, `"username":"reporter"`},
			"bearer in lower case":  {"GET", "/user", "Authorization", "bearer " + secret, 200, `"username":"reporter"`},
			"query":                 {"GET", "/user?private_token=" + secret, "Accept", "*/*", 200, `"username":"reporter"`},
			"none":                  {"GET", "/user", "Accept", "*/*", 401, `{"message":"401 Unauthorized"}`},
			"none, unknown project": {"GET", "/projects/999", "Accept", "*/*", 401, `{"message":"401 Unauthorized"}`},
			"wrong":                 {"GET", mr, "Private-Token", auth.NewAccessToken(), 401, `{"message":"401 Unauthorized"}`},
			"not a token":           {"GET", mr, "Private-Token", "secret", 401, `{"message":"401 Unauthorized"}`},
			"revoked":               {"GET", mr, "Private-Token", revoked, 401, `{"message":"401 Unauthorized"}`},
			"a cookie":              {"GET", mr, "Cookie", "mergegate_session=" + secret, 401, `{"message":"401 Unauthorized"}`},
			"basic":                 {"GET", mr, "Authorization", "Basic " + secret, 401, `{"message":"401 Unauthorized"}`},
			"reading with read_api": {"GET", mr, "Private-Token", reading, 200, `"iid":1`},
			"writing with read_api": {"POST", mr + "/approve", "Private-Token", reading, 403, `"error":"insufficient_scope"`},
			"unknown route":         {"GET", "/nowhere", "Private-Token", secret, 404, `{"error":"404 Not Found"}`},
			"unknown method":        {"PATCH", "/version", "Private-Token", secret, 405, `{"error":"405 Method Not Allowed"}`},
		} {
			t.Run(name, func(t *testing.T) {
				a := s.send(test.method, test.path, "", http.Header{test.header: {test.value}})
				s.wantAnswer(t, a, test.status, test.text)
				if a.header.Get("Set-Cookie") != "" {
					t.Error("the API sets a cookie")
				}
			})
		}

		s.Clock.Advance(tokenLifetime + time.Hour)
		s.wantAnswer(t, s.do("reporter", "GET", "/user", ""), 401)
	})
}

// Expected status for each role on a private project: 404 if the user may not see
// the resource, 403 if they may see it but lack the ability.
func TestRoutes_EachRole_GetsExpectedStatus(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		who := []string{"outsider", "guest", "reporter", "developer", "maintainer", "olga", "root"}
		const p, mr = "/projects/olga%2Fpear", "/projects/olga%2Fpear/merge_requests/1"
		for _, test := range []struct {
			method, path, body string
			want               [7]int
		}{
			{"GET", p, "", [7]int{404, 200, 200, 200, 200, 200, 200}},
			{"GET", p + "/members", "", [7]int{404, 200, 200, 200, 200, 200, 200}},
			{"GET", mr, "", [7]int{404, 404, 200, 200, 200, 200, 200}},
			{"GET", mr + "/status_checks", "", [7]int{404, 404, 200, 200, 200, 200, 200}},
			{"GET", p + "/repository/branches", "", [7]int{404, 404, 200, 200, 200, 200, 200}},
			{"POST", mr + "/status_check_responses", `{}`, [7]int{404, 404, 403, 400, 400, 400, 400}},
			{"POST", mr + "/status_checks/999/retry", ``, [7]int{404, 404, 403, 404, 404, 404, 404}},
			{"PUT", mr, `{}`, [7]int{404, 404, 403, 400, 400, 400, 400}},
			{"POST", p + "/merge_requests", `{}`, [7]int{404, 404, 403, 400, 400, 400, 400}},
			{"PUT", mr + "/merge", `{"sha":"0"}`, [7]int{404, 404, 403, 403, 409, 409, 409}},
			{"POST", mr + "/cancel_merge_when_pipeline_succeeds", ``, [7]int{404, 404, 403, 406, 406, 406, 406}},
			{"POST", mr + "/approve", `{"sha":"0"}`, [7]int{404, 404, 403, 409, 409, 409, 409}},
			{"GET", p + "/external_status_checks", ``, [7]int{404, 403, 403, 403, 200, 200, 200}},
			{"POST", p + "/external_status_checks", `{}`, [7]int{404, 403, 403, 403, 400, 400, 400}},
			{"DELETE", p + "/external_status_checks/999", ``, [7]int{404, 403, 403, 403, 404, 404, 404}},
			{"GET", p + "/external_status_checks/999/deliveries", ``, [7]int{404, 403, 403, 403, 404, 404, 404}},
			{"GET", p + "/protected_branches", ``, [7]int{404, 403, 403, 403, 200, 200, 200}},
			{"POST", p + "/members", `{}`, [7]int{404, 403, 403, 403, 400, 400, 400}},
			{"GET", p + "/access_tokens", ``, [7]int{404, 403, 403, 403, 200, 200, 200}},
			{"PUT", p, `{"description":"d"}`, [7]int{404, 403, 403, 403, 200, 200, 200}},
			{"PUT", p, `{"visibility":"internal","name":""}`, [7]int{404, 403, 403, 403, 403, 400, 400}},
			{"GET", "/application/settings", ``, [7]int{403, 403, 403, 403, 403, 403, 200}},
			{"GET", "/users", ``, [7]int{403, 403, 403, 403, 403, 403, 200}},
			{"DELETE", p, ``, [7]int{404, 403, 403, 403, 403, 202, 404}},
		} {
			for i, name := range who {
				if a := s.do(name, test.method, test.path, test.body); a.status != test.want[i] {
					t.Errorf("%s %s as %s: %d, want %d: %s", test.method, test.path, name, a.status, test.want[i], a.body)
				}
			}
		}
	})
}

// A client that went away is no failure of the server in the metrics.
func TestRequest_ClientGone_IsNoServerError(t *testing.T) {
	s := newSite(t, modelstest.SQLite(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v4/projects/1", nil)
	r.Header.Set("Private-Token", s.tokens["developer"])
	w := httptest.NewRecorder()
	s.plain.ServeHTTP(w, r)
	if w.Code != request.StatusClientGone {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}
