package models_test

import (
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestURLAsSent(t *testing.T) {
	for typed, want := range map[string]string{
		"https://example.test":                     "https://example.test",
		"https://example.test/":                    "https://example.test/",
		"https://example.test?a":                   "https://example.test/?a",
		"HTTPS://EXAMPLE.test:443/A#top":           "https://example.test/A",
		"http://example.test:8080":                 "http://example.test:8080",
		"http://example.test:/x":                   "http://example.test/x",
		"http://BÜCHER.test/":                      "http://xn--bcher-kva.test/",
		"http://bu\u0308cher.test/":                "http://xn--bcher-kva.test/",
		"http://ｅｘａｍｐｌｅ。ｔｅｓｔ/":                     "http://example.test/",
		"http://日本語.test/":                         "http://xn--wgv71a119e.test/",
		"http://under_score.test/":                 "http://under_score.test/",
		"http://[2001:DB8::1]:81/":                 "http://[2001:db8::1]:81/",
		"http://example.test/?name=Grün":           "http://example.test/?name=Gr%C3%BCn",
		"http://example.test/Grün/%C3%BC/%2f":      "http://example.test/Gr%C3%BCn/%C3%BC/%2f",
		"http://example.test/?off=50%&x=%zz&y=%41": "http://example.test/?off=50%25&x=%25zz&y=%41",
		"http://example.test/a[b]?c[d]='e'(f)*":    "http://example.test/a[b]?c[d]='e'(f)*",
		`http://example.test/{a}|"b"?<c>`:          "http://example.test/%7Ba%7D%7C%22b%22?%3Cc%3E",
	} {
		got, ok := models.URLAsSent(typed)
		if !ok || got != want {
			t.Errorf("URLAsSent(%q) = %q, %v, want %q", typed, got, ok, want)
		}
		if again, ok := models.URLAsSent(got); !ok || again != got {
			t.Errorf("URLAsSent(%q) = %q, %v", got, again, ok)
		}
	}
}

// This includes services that an earlier version stored.
func TestServiceURL_IsStoredAsSent(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		add := func(name, url string) (models.ExternalStatusCheck, error) {
			return w.Store.CreateExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, models.ExternalStatusCheckInput{Name: name, ExternalURL: url}, false)
		}
		const sent = "http://xn--bcher-kva.test/?name=Gr%C3%BCn"
		check, err := add("one", " http://BÜCHER.test?name=Grün#x ")
		if err != nil || check.ExternalURL != sent {
			t.Fatalf("stored as %q, %v", check.ExternalURL, err)
		}
		if _, err := add("two", "http://bu\u0308cher.test:80/?name=Gr%C3%BCn"); len(models.FieldErrorsOf(err)) != 1 {
			t.Errorf("the same URL in another form is accepted: %v", err)
		}
		// An earlier version stored URLs as typed and accepted two forms of one URL.
		second, err := add("second", "http://other.test/")
		if err != nil {
			t.Fatal(err)
		}
		for id, url := range map[int64]string{check.ID: "http://BÜCHER.test?name=Grün", second.ID: "http://bücher.test?name=Gr%C3%BCn"} {
			if _, err := db.SQL(t).Exec("UPDATE external_status_checks SET external_url = $1, url_key = $1 WHERE id = $2", url, id); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := w.Store.RewriteURLs(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []int64{check.ID, second.ID} {
			if got, err := w.Store.ExternalStatusCheck(t.Context(), w.Project.ID, id); err != nil || got.ExternalURL != sent {
				t.Errorf("service %d after rewriting: %q, %v", id, got.ExternalURL, err)
			}
		}
		if _, err := add("three", "http://bücher.test/?name=Grün"); len(models.FieldErrorsOf(err)) != 1 {
			t.Errorf("the URL of a rewritten service is accepted: %v", err)
		}
	})
}

func TestTargetURL_IsStoredAsSent(t *testing.T) {
	in := models.ResponseInput{SHA: "a", Status: models.StatusPassed, TargetURL: "HTTPS://Bücher.test/lauf?x=ü#zeile-ü"}
	if err := in.Validate(); err != nil || in.TargetURL != "https://xn--bcher-kva.test/lauf?x=%C3%BC#zeile-%C3%BC" {
		t.Errorf("%q, %v", in.TargetURL, err)
	}
}
