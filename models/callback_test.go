package models_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestMayCarryToken(t *testing.T) {
	for target, want := range map[string]bool{
		"https://ci.example.test/hook": true, "HTTPS://CI.example.test": true, "http://127.0.0.1:9000/": true, "http://[::1]/": true,
		"http://localhost:8080/": true, "http://ci.example.test/": false, "http://10.0.0.1/": false, "http://localhost.example.test/": false,
		"http://127.0.0.1.example.test/": false, "ftp://127.0.0.1/": false, "": false, "http://127.0.0.1@ci.example.test/": false,
	} {
		if got := models.MayCarryToken(target); got != want {
			t.Errorf("%q: %t, want %t", target, got, want)
		}
	}
}

func TestCallbackToken_OnlyForChecksOverHTTPS(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		seconds := int64(models.MaxTimeout / time.Second)
		slow := createService(t, w, "slow", seconds, false)
		plain, err := w.Store.CreateExternalStatusCheck(t.Context(), w.Owner, w.Project.ID,
			models.ExternalStatusCheckInput{Name: "plain", ExternalURL: "http://plain.example.test/"}, false)
		if err != nil {
			t.Fatal(err)
		}
		mr := w.MergeRequest("feature", "main")
		if _, err := w.Store.SendTest(t.Context(), w.Owner, w.Project.ID, slow.ID); err != nil {
			t.Fatal(err)
		}
		claimed, err := w.Store.Claim(t.Context(), models.ClaimOptions{Limit: 10})
		if err != nil || len(claimed) != 3 {
			t.Fatalf("claimed %d, %v", len(claimed), err)
		}
		tokens := 0
		for _, c := range claimed {
			if c.CallbackToken == "" {
				continue
			}
			tokens++
			callback, ok := w.Store.OpenCallback(c.CallbackToken)
			want := models.Callback{ProjectID: w.Project.ID, MergeRequestIID: mr.IID, ServiceID: slow.ID, SHA: mr.HeadSHA, ExpiresAt: callback.ExpiresAt}
			if !ok || callback != want || c.Delivery.Kind == models.DeliveryOfTest || strings.Contains(c.CallbackToken, mr.HeadSHA) {
				t.Errorf("token %q of %s: %+v, %t", c.CallbackToken, c.Delivery.URL, callback, ok)
			}
			if left := callback.ExpiresAt.Sub(w.Clock.Now()); left < models.MaxTimeout-time.Second {
				t.Errorf("valid for %v, less than the time-out", left)
			}
		}
		if tokens != 1 {
			t.Errorf("%d deliveries carry a token, want one; %s has none", tokens, plain.Name)
		}
	})
}
