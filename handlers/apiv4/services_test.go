package apiv4_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// All faults of a service are reported at once, in GitLab's words.
func TestServices_InvalidInput_GetsGitLabMessages(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		const path = "/projects/1/external_status_checks"
		elsewhere := must(s.Store.CreateProject(t.Context(), s.Owner, models.ProjectInput{NamespaceID: s.Project.NamespaceID, Path: "plum"}, true))(t)
		foreign := must(s.Store.ProtectedBranchByName(t.Context(), elsewhere.ID, "main"))(t).ID
		for body, want := range map[string]struct {
			status int
			text   string
		}{
			`{}`:                            {400, `{"error":"name is missing, external_url is missing"}`},
			`{"name":"","external_url":""}`: {400, `{"error":"name is empty, external_url is empty"}`},
			`{"name":"LICENCES","external_url":"https://NOTARY.example:443"}`:                                      {422, `{"message":["External url has already been taken","Name has already been taken"]}`},
			`{"name":"x","external_url":"ftp://x.example"}`:                                                        {422, `{"message":["External url is invalid"]}`},
			`{"name":"x","external_url":"https://x.example","protected_branch_ids":[` + fmt.Sprint(foreign) + `]}`: {422, `{"message":["all protected branches must exist within the project"]}`},
			`{"name":"x","external_url":"https://x.example","shared_secret":"` + strings.Repeat("s", 256) + `"}`:   {422, `{"message":["Shared secret is too long (maximum is 255 characters)"]}`},
			`{"name":"` + strings.Repeat("n", 256) + `","external_url":"https://x.example"}`:                       {422, `{"message":["Name is too long (maximum is 255 characters)"]}`},
		} {
			s.wantAnswer(t, s.do("maintainer", "POST", path, body), want.status, want.text)
		}
		s.wantAnswer(t, s.do("maintainer", "PUT", path+"/1", `{"shared_secret":"another"}`), 422,
			`{"message":["Shared secret cannot be changed: delete the status check and create it again"]}`)
		s.wantAnswer(t, s.do("maintainer", "PUT", path+"/1", `{"shared_secret":"s3cret"}`), 200)
		a := s.wantAnswer(t, s.do("maintainer", "GET", path, ""), 200)
		if strings.Contains(a.body, "s3cret") {
			t.Error("the list contains the secret")
		}
		s.wantAnswer(t, s.do("maintainer", "PUT", "/projects/2/external_status_checks/1", `{"name":"x"}`), 404)
	})
}

// A branch stays in a service's scope when it is unprotected. The API shows it with
// its last id and accepts that id. Protecting the name again gives it the new id.
func TestScope_UnprotectedBranch_IsKeptAndReconnected(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		const path = "/projects/1/external_status_checks/2"
		id := s.other.Branches[0].ProtectedBranchID
		s.wantAnswer(t, s.do("maintainer", "DELETE", "/projects/1/protected_branches/release%2F*", ""), 204)
		body := fmt.Sprintf(`{"name":"notary","protected_branch_ids":[%d]}`, id)
		s.wantAnswer(t, s.do("maintainer", "PUT", path, body), 200,
			fmt.Sprintf(`"protected_branches":[{"id":%d,`, id), `"name":"release/*"`, `"created_at":null`)
		a := s.wantAnswer(t, s.do("maintainer", "POST", "/projects/1/protected_branches?name=release/*", "{}"), 201)
		reconnected := `"protected_branches":[{"id":` + a.field(t, "id") + `,`
		s.wantAnswer(t, s.do("maintainer", "GET", "/projects/1/external_status_checks", ""), 200, reconnected)
		body = fmt.Sprintf(`{"protected_branch_ids":[%s]}`, a.field(t, "id"))
		s.wantAnswer(t, s.do("maintainer", "PUT", path, body), 200, reconnected)
	})
}

func TestIDs_OfAnotherProject_AreNotFound(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		_ = must(s.Store.CreateProject(t.Context(), s.Owner, models.ProjectInput{NamespaceID: s.Project.NamespaceID, Path: "plum"}, true))(t)
		tokens := must(s.Store.PersonalTokens(t.Context(), s.users["reporter"].ID))(t)
		for _, request := range [][2]string{
			{"DELETE", "/projects/2/external_status_checks/1"},
			{"PUT", "/projects/2/external_status_checks/1"},
			{"POST", "/projects/2/external_status_checks/1/test"},
			{"GET", "/projects/2/external_status_checks/1/deliveries"},
			{"GET", "/projects/1/external_status_checks/2/deliveries/1"},
			{"POST", "/projects/1/external_status_checks/2/deliveries/1/redeliver"},
			{"GET", "/projects/2/merge_requests/1"},
			{"POST", "/projects/2/merge_requests/1/status_checks/1/retry"},
			{"DELETE", "/projects/2/protected_branches/release%2F*"},
			{"DELETE", "/projects/2/members/" + fmt.Sprint(s.users["guest"].ID)},
			{"DELETE", "/projects/1/access_tokens/" + fmt.Sprint(tokens[0].ID)},
			{"DELETE", "/personal_access_tokens/" + fmt.Sprint(tokens[0].ID)},
		} {
			s.wantAnswer(t, s.do("olga", request[0], request[1], ""), 404)
		}
		s.wantAnswer(t, s.do("reporter", "GET", "/user", ""), 200)
		s.wantAnswer(t, s.do("olga", "DELETE", fmt.Sprintf("/projects/1/members/%d", s.Owner.ID), ""), 422,
			"The last Owner of a project cannot be removed or demoted")
	})
}

func TestPersonalTokens_OfOtherUsers_NeedAdministrator(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		tokens := must(s.Store.PersonalTokens(t.Context(), s.users["reporter"].ID))(t)
		path := fmt.Sprintf("/personal_access_tokens/%d", tokens[0].ID)
		for _, method := range []string{"GET", "DELETE"} {
			s.wantAnswer(t, s.do("olga", method, path, ""), 404)
		}
		s.wantAnswer(t, s.do("reporter", "GET", path, ""), 200, `"active":true`)
		s.wantAnswer(t, s.do("root", "GET", path, ""), 200, `"active":true`)
		s.wantAnswer(t, s.do("root", "DELETE", path, ""), 204)
		s.wantAnswer(t, s.do("reporter", "GET", "/user", ""), 401)
	})
}

func TestDeliveryFilters_SelectDeliveries(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		const path = "/projects/1/external_status_checks/1/deliveries"
		s.wantAnswer(t, s.do("maintainer", "POST", "/projects/1/external_status_checks/1/test", ""), 202)
		ids := func(query string) []string {
			list := entryIDs(t, s.wantAnswer(t, s.do("maintainer", "GET", path+query, ""), 200))
			for i, id := range list {
				list[i] = strings.TrimSuffix(id, " <nil>") // a delivery has no name
			}
			return list
		}
		all := ids("")
		test, event := all[0], all[len(all)-1]
		for query, want := range map[string][]string{
			"event=test": {test}, "event=open&state=waiting": {event}, "state=delivered": nil, "http_status=5xx": nil, "http_status=none": nil,
			"search=" + event: {event}, "merge_request_iid=1&event=open": {event}, "merge_request_iid=99": nil,
			"created_after=2030-01-01T00:00:00Z": nil, "created_before=2030-01-01T00:00:00Z": all, "created_before=2020-01-01": nil,
		} {
			if got := ids("?" + query); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v of %v", query, got, want, all)
			}
		}
		for query, want := range map[string]string{
			"state=lost&event=x": "state does not have a valid value, event does not have a valid value", "http_status=20": "http_status does not",
			"search=abc": "search does not", "merge_request_iid=0": "merge_request_iid does not", "created_after=yesterday": "created_after is invalid",
		} {
			s.wantAnswer(t, s.do("maintainer", "GET", path+"?"+query, ""), 400, want)
		}
	})
}

func TestRedeliverAll_QueuesDeliveriesOfFilter(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		const path = "/projects/1/external_status_checks/1/deliveries/redeliver"
		claimed, err := s.Store.Claim(t.Context(), models.ClaimOptions{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		failed := 0
		for _, c := range claimed {
			if c.Delivery.ExternalStatusCheckID == 1 {
				failed++
			}
			if err := s.Store.FinishDelivery(t.Context(), c.Delivery, models.AttemptResult{StartedAt: s.Clock.Now(), HTTPStatus: 410}); err != nil {
				t.Fatal(err)
			}
		}
		if failed == 0 {
			t.Fatal("no delivery of the service")
		}
		s.wantAnswer(t, s.do("developer", "POST", path, `{"since":"2020-01-01T00:00:00Z"}`), 403)
		s.wantAnswer(t, s.do("maintainer", "POST", path, `{}`), 400, "since is missing")
		s.wantAnswer(t, s.do("maintainer", "POST", path, `{"since":"yesterday"}`), 400, "since is invalid")
		s.wantAnswer(t, s.do("maintainer", "POST", path, `{"since":"2030-01-01T00:00:00Z"}`), 202, `{"queued":0,"remaining":0}`)
		s.wantAnswer(t, s.do("maintainer", "POST", path, `{"state":"waiting"}`), 400, "state does not have a valid value")
		s.wantAnswer(t, s.do("maintainer", "POST", path, `{"event":"sneeze"}`), 400, "event does not have a valid value")
		s.wantAnswer(t, s.do("maintainer", "POST", path, `{"state":"delivered"}`), 202, `{"queued":0,"remaining":0}`)
		s.wantAnswer(t, s.do("maintainer", "POST", path, `{"since":"2020-01-01T00:00:00Z","http_status":"5xx"}`), 202, `{"queued":0,"remaining":0}`)
		s.wantAnswer(t, s.do("maintainer", "POST", path, `{"since":"2020-01-01T00:00:00Z"}`), 202, fmt.Sprintf(`{"queued":%d,"remaining":0}`, failed))
	})
}

// Mergegate's own settings of a service stand beside GitLab's.
func TestServices_OwnSettings(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		const path = "/projects/1/external_status_checks"
		for body, want := range map[string]string{
			`"timeout_seconds":9`:                                                      "Timeout seconds must be between 10 and 604800",
			`"timeout_seconds":604801`:                                                 "Timeout seconds must be between 10 and 604800",
			`"custom_headers":[{"key":"Host","value":"x"}]`:                            "Custom headers cannot contain Host",
			`"custom_headers":[{"key":"X Key","value":"x"}]`:                           "Custom headers have a name that is not a header name",
			`"custom_headers":[{"key":"X-Key"}]`:                                       "Custom headers have no value for X-Key",
			`"custom_headers":[{"key":"X-Key","value":"a\u0001"}]`:                     "Custom headers have an invalid value for X-Key: printable ASCII, 2048 characters at most",
			`"custom_headers":[` + strings.Repeat(`{"key":"X"},`, 10) + `{"key":"X"}]`: "Custom headers are too many (maximum is 10)",
		} {
			s.wantAnswer(t, s.do("maintainer", "POST", path, `{"name":"x","external_url":"https://x.example",`+body+`}`), 422, `{"message":["`+want+`"]}`)
		}
		for _, body := range []string{`{"timeout_seconds":"soon"}`, `{"informational":"perhaps"}`, `{"custom_headers":["X-Key: 1"]}`, `{"custom_headers":[{"key":"X","value":1}]}`} {
			s.wantAnswer(t, s.do("maintainer", "PUT", path+"/1", body), 400, "is invalid")
		}
		own := `"timeout_seconds":90,"informational":true,"custom_headers":[{"key":"X-Key"},{"key":"X-Team"}]`
		a := s.wantAnswer(t, s.do("maintainer", "POST", path, `{"name":"own","external_url":"https://own.example","timeout_seconds":"90","informational":"True",`+
			`"custom_headers":[{"key":"X-Key","value":"very secret value"},{"key":"X-Team","value":"pears"}]}`), 201, own)
		if strings.Contains(a.body, "very secret") {
			t.Error("the answer contains the value of a header")
		}
		one := path + "/" + a.field(t, "id")
		// GitLab's clients send only what they know.
		s.wantAnswer(t, s.do("maintainer", "PUT", one, `{"name":"own","external_url":"https://own.example","shared_secret":"","protected_branch_ids":[]}`), 200, own)
		s.wantAnswer(t, s.do("maintainer", "PUT", one, `{"external_url":"https://new.example"}`), 422,
			`{"message":["Custom headers must be given again with their values, because the URL changes (X-Key)","Custom headers must be given again with their values, because the URL changes (X-Team)"]}`)
		s.wantAnswer(t, s.do("maintainer", "PUT", one+"?custom_headers[][key]=X-New&custom_headers[][value]=new&informational=0", ""), 200,
			`"timeout_seconds":90,"informational":false,"custom_headers":[{"key":"X-New"}]`)
		s.wantAnswer(t, s.do("maintainer", "PUT", one, `{"custom_headers":[]}`), 200, `"custom_headers":[]`)
		s.wantAnswer(t, s.do("maintainer", "GET", "/projects/1/merge_requests/1/status_checks", ""), 200, `"timeout_seconds":120,"informational":false`)
	})
}
