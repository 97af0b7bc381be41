package handlers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// draftReceiver is a service that keeps what it receives.
type draftReceiver struct {
	*httptest.Server
	received atomic.Int64
	header   http.Header
	body     string
}

func newDraftReceiver(t *testing.T) *draftReceiver {
	r := &draftReceiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.header, r.body = request.Header, string(body)
		r.received.Add(1)
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "<b>short & stout</b>"+strings.Repeat("x", 20<<10))
	}))
	t.Cleanup(r.Close)
	return r
}

func TestDraftTest_NewService_ShowsAnswerAndStoresNothing(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		r, db, v := newDraftReceiver(t), s.DB.SQL(t), s.as(s.Owner)
		typed := url.Values{
			"name": {"Fresh"}, "external_url": {r.URL + "/hook"}, "shared_secret": {"hush-hush-secret"}, "timeout": {"3 days"}, "informational": {"1"},
			"header_name": {"X-Key"}, "header_value": {"very secret value"}, "also_apply": {"1"},
		}
		path := pearServicesPath + "/new/test"
		before := databaseSnapshot(t, db)
		for _, htmx := range []bool{false, true} {
			if htmx {
				v = v.withHTMX()
			}
			a := v.post(path, typed).wantStatus(http.StatusOK)
			if got := collapseSpace(a.Find("#draft-test .card").Text()); !strings.Contains(got, "HTTP 418") || !strings.Contains(got, "<b>short & stout</b>") || !strings.Contains(got, "16 KiB") {
				t.Errorf("answer %.200q", got)
			}
			if !strings.Contains(r.body, `"test":true`) || r.header.Get("X-Key") != "very secret value" || r.header.Get("X-Mergegate-Callback-Token") != "" {
				t.Errorf("received %v %s", r.header, r.body)
			}
			head := a.Find("#draft-request-head").Text()
			for _, want := range []string{"X-Gitlab-Signature: " + r.header.Get("X-Gitlab-Signature"), "Webhook-Signature: v1,", "X-Key: [masked]", "POST /hook"} {
				if !strings.Contains(head, want) {
					t.Errorf("the request shows no %q: %s", want, head)
				}
			}
			if !strings.Contains(a.Find("#draft-request-body").Text(), `"test": true`) {
				t.Error("the payload is not shown")
			}
			for _, secret := range []string{"hush-hush-secret", "very secret value"} {
				if strings.Contains(a.body, secret) {
					t.Errorf("the page shows %q", secret)
				}
			}
			if form := a.Find("#status-check-form"); htmx != (form.Length() == 0) {
				t.Errorf("htmx %t: %d forms", htmx, form.Length())
			} else if !htmx {
				for field, want := range map[string]string{"name": "Fresh", "external_url": r.URL + "/hook", "timeout": "3 days", "header_name": "X-Key", "shared_secret": ""} {
					if got := form.Find("[name="+field+"]").AttrOr("value", ""); got != want {
						t.Errorf("%s holds %q, want %q", field, got, want)
					}
				}
				if form.Find("[name=informational][checked], [name=also_apply][checked]").Length() != 2 {
					t.Error("the check boxes are not kept")
				}
			}
		}
		if now := databaseSnapshot(t, db); now != before {
			t.Errorf("the database changed to\n%s\nfrom\n%s", now, before)
		}
	})
}

func TestDraftTest_InvalidInput_SendsNothing(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		path := pearServicesPath + "/new/test"
		typed := url.Values{"external_url": {"ftp://x"}, "header_name": {"X-Key"}, "header_value": {""}}
		a := s.as(s.Owner).withHTMX().post(path, typed).wantStatus(http.StatusUnprocessableEntity)
		if got := collapseSpace(a.Find("#draft-test").Text()); got != "Please provide a valid URLEnter a value for X-Key" {
			t.Errorf("messages %q", got)
		}
		a = s.as(s.Owner).post(path, typed).wantStatus(http.StatusUnprocessableEntity)
		if got := collapseSpace(a.Find("#status-check-url-error").Text()); got != "Please provide a valid URL" {
			t.Errorf("message %q", got)
		}
		// Addresses are guarded as for deliveries.
		a = s.as(s.Owner).withHTMX().post(path, url.Values{"external_url": {"http://10.0.0.1/"}}).wantStatus(http.StatusOK)
		if got := collapseSpace(a.Find("#draft-test .card").Text()); !strings.Contains(got, "must not reach") {
			t.Errorf("a private address: %q", got)
		}
		s.as(s.Member("dora", models.RoleDeveloper)).post(path, typed).wantStatus(http.StatusForbidden)
	})
}

// Stored values are sent only to the stored URL.
func TestDraftTest_EditedService_WithholdsStoredValues(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		r := newDraftReceiver(t)
		service, err := s.Store.CreateExternalStatusCheck(t.Context(), s.Owner, s.Project.ID, models.ExternalStatusCheckInput{
			Name: "stored", ExternalURL: r.URL + "/hook", SharedSecret: "hush-hush-secret", CustomHeaders: []models.CustomHeaderInput{{Name: "X-Key", Value: "very secret value"}},
		}, false)
		if err != nil {
			t.Fatal(err)
		}
		v, path := s.as(s.Owner).withHTMX(), pearServicesPath+"/"+itoa(service.ID)+"/edit/test"
		typed := url.Values{"name": {"stored"}, "external_url": {r.URL + "/hook"}, "header_name": {"X-Key"}, "header_value": {""}}
		a := v.post(path, typed).wantStatus(http.StatusOK)
		if r.header.Get("X-Key") != "very secret value" || r.header.Get("X-Gitlab-Signature") == "" {
			t.Errorf("to the stored URL: %v", r.header)
		}
		if strings.Contains(a.body, r.header.Get("X-Gitlab-Signature")) {
			t.Error("the page shows a signature with a stored secret")
		}
		typed.Set("external_url", r.URL+"/other")
		a = v.post(path, typed).wantStatus(http.StatusOK)
		if r.header.Get("X-Key") != "" || r.header.Get("X-Gitlab-Signature") != "" || r.header.Get("Webhook-Signature") != "" {
			t.Errorf("to another URL: %v", r.header)
		}
		if got := collapseSpace(a.Find("#draft-test").Text()); !strings.Contains(got, "were not sent, because this URL is not saved yet") {
			t.Errorf("result %q", got)
		}
	})
}

func TestDraftTest_TooMany_AreRefused(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		r, v := newDraftReceiver(t), s.as(s.Owner).withHTMX()
		typed := url.Values{"external_url": {r.URL}}
		for range models.MaxDraftTests {
			v.post(pearServicesPath+"/new/test", typed).wantStatus(http.StatusOK)
		}
		a := v.post(pearServicesPath+"/new/test", typed).wantStatus(http.StatusTooManyRequests)
		if got := collapseSpace(a.Find("#draft-test").Text()); got != "Too many tests. Please wait a minute and try again." || r.received.Load() != models.MaxDraftTests {
			t.Errorf("%d received, message %q", r.received.Load(), got)
		}
		s.Clock.Advance(models.DraftTestWindow)
		v.post(pearServicesPath+"/new/test", typed).wantStatus(http.StatusOK)
	})
}
