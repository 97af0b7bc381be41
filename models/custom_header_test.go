package models_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestCustomHeaders_Validation(t *testing.T) {
	many := make([]models.CustomHeaderInput, models.MaxCustomHeaders+1)
	for i := range many {
		many[i] = models.CustomHeaderInput{Name: fmt.Sprintf("X-%d", i), Value: "v"}
	}
	one := func(name, value string) []models.CustomHeaderInput {
		return []models.CustomHeaderInput{{Name: name, Value: value}}
	}
	cases := map[string]struct {
		headers []models.CustomHeaderInput
		want    models.Code // "" for valid
	}{
		"usual":               {one("X-Api-Key", "abc 123"), ""},
		"authorization":       {one("Authorization", "Bearer abc"), ""},
		"surrounding space":   {one(" X-Api-Key ", " abc "), ""},
		"ten":                 {many[:models.MaxCustomHeaders], ""},
		"eleven":              {many, models.CodeTooMany},
		"empty name":          {one("", "abc"), models.CodeInvalid},
		"space in name":       {one("X Key", "abc"), models.CodeInvalid},
		"colon in name":       {one("X-Key:", "abc"), models.CodeInvalid},
		"name beyond ASCII":   {one("X-Clé", "abc"), models.CodeInvalid},
		"long name":           {one(strings.Repeat("x", 101), "abc"), models.CodeInvalid},
		"line break in value": {one("X-Key", "abc\r\nX-Other: 1"), models.CodeInvalidValue},
		"value beyond ASCII":  {one("X-Key", "clé"), models.CodeInvalidValue},
		"longest value":       {one("X-Key", strings.Repeat("v", 2048)), ""},
		"long value":          {one("X-Key", strings.Repeat("v", 2049)), models.CodeInvalidValue},
		"same name twice":     {append(one("X-Key", "a"), one("x-key", "b")...), models.CodeTaken},
	}
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "host", "Content-Type",
		"content-length", "X-Gitlab-Event", "x-gitlab-signature", "Webhook-Id", "webhook-timestamp", "Idempotency-Key",
		"X-Mergegate-Callback-Token", "X-Hub-Signature-256", "Signature", "User-Agent", "Expect",
	} {
		cases["reserved "+name] = struct {
			headers []models.CustomHeaderInput
			want    models.Code
		}{one(name, "abc"), models.CodeReserved}
	}
	for name, c := range cases {
		in := models.ExternalStatusCheckInput{Name: "a", ExternalURL: "https://a.example.test/", CustomHeaders: c.headers}
		got := models.Code("")
		if fields := models.FieldErrorsOf(in.Validate()); len(fields) > 0 {
			got = fields[0].Code
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// claimedHeaders claims the newest due delivery and returns its custom headers.
func claimedHeaders(t *testing.T, w *modelstest.Fixture) []models.HeaderValue {
	t.Helper()
	claimed, err := w.Store.Claim(t.Context(), models.ClaimOptions{Limit: 1})
	if err != nil || len(claimed) != 1 || claimed[0].SecretError != nil {
		t.Fatalf("claimed %+v, %v", claimed, err)
	}
	if err := w.Store.FinishDelivery(t.Context(), claimed[0].Delivery, models.AttemptResult{StartedAt: w.Clock.Now(), HTTPStatus: 202}); err != nil {
		t.Fatal(err)
	}
	return claimed[0].Headers
}

func TestCustomHeaders_SealedAndSent(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := createService(t, w, "a", 120, false)
		set := func(headers ...models.CustomHeaderInput) { // a method of the API and the form
			t.Helper()
			updateService(t, w, service, models.ExternalStatusCheckUpdate{CustomHeaders: &headers}, false)
		}
		set(models.CustomHeaderInput{Name: "X-Key", Value: "very secret value"}, models.CustomHeaderInput{Name: "X-Team", Value: "payments team"})
		var stored string
		if err := db.SQL(t).QueryRow("SELECT custom_headers FROM external_status_checks").Scan(&stored); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(stored, "very secret") || !strings.Contains(stored, "X-Key") {
			t.Errorf("stored as %s", stored)
		}
		w.MergeRequest("feature", "main")
		want := []models.HeaderValue{{Name: "X-Key", Value: "very secret value"}, {Name: "X-Team", Value: "payments team"}}
		if got := claimedHeaders(t, w); !slices.Equal(got, want) {
			t.Errorf("sent %v, want %v", got, want)
		}

		// A header without a value keeps it, one that is left out is removed.
		set(models.CustomHeaderInput{Name: "x-key"}, models.CustomHeaderInput{Name: "X-New", Value: "new"})
		w.Push("feature")
		want = []models.HeaderValue{{Name: "x-key", Value: "very secret value"}, {Name: "X-New", Value: "new"}}
		if got := claimedHeaders(t, w); !slices.Equal(got, want) {
			t.Errorf("after the update: sent %v, want %v", got, want)
		}
		set()
		w.Push("feature")
		if got := claimedHeaders(t, w); len(got) != 0 {
			t.Errorf("after the removal: sent %v", got)
		}
	})
}

func TestCustomHeaders_ValueMissing_IsRefused(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := createService(t, w, "a", 120, false)
		_, err := w.Store.UpdateExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, service.ID,
			models.ExternalStatusCheckUpdate{CustomHeaders: &[]models.CustomHeaderInput{{Name: "X-Key"}}}, false)
		if fields := models.FieldErrorsOf(err); len(fields) != 1 || fields[0].Code != models.CodeBlank || fields[0].Params["name"] != "X-Key" {
			t.Errorf("error %v", err)
		}
	})
}

// Whoever changes the URL cannot direct a value to it that another maintainer typed.
func TestCustomHeaders_NewURL_NeedsValuesAgain(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := createService(t, w, "a", 120, false)
		headers := []models.CustomHeaderInput{{Name: "X-Key", Value: "very secret value"}}
		updateService(t, w, service, models.ExternalStatusCheckUpdate{CustomHeaders: &headers}, false)
		w.MergeRequest("feature", "main")

		moved := models.ExternalStatusCheckUpdate{ExternalURL: ptr("https://elsewhere.example.test/")}
		for name, kept := range map[string]*[]models.CustomHeaderInput{"left out": nil, "without value": {{Name: "X-Key"}}} {
			moved.CustomHeaders = kept
			_, err := w.Store.UpdateExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, service.ID, moved, false)
			if fields := models.FieldErrorsOf(err); len(fields) != 1 || fields[0].Code != models.CodeGivenAgain {
				t.Errorf("headers %s: %v", name, err)
			}
		}
		moved.CustomHeaders = &[]models.CustomHeaderInput{{Name: "X-Key", Value: "another secret"}}
		updateService(t, w, service, moved, false)
		// The delivery was recorded with the former URL.
		if got := claimedHeaders(t, w); len(got) != 0 {
			t.Errorf("sent %v to the former server", got)
		}
	})
}
