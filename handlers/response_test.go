package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
)

// answer is what came back.
type response struct {
	*goquery.Document
	t      testing.TB
	status int
	header http.Header
	body   string
}

// want fails the test when the status is another one.
func (a response) wantStatus(status int) response {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d; Location %q\n%s", a.status, status, a.header.Get("Location"), a.text("body"))
	}
	return a
}

// translate returns the text of what a selector finds, with single spaces.
func (a response) text(selector string) string { return collapseSpace(a.Find(selector).Text()) }

func (a response) has(selector string) bool { return a.Find(selector).Length() > 0 }

// attr is an attribute of the one element that a selector finds.
func (a response) attr(selector, name string) string {
	a.t.Helper()
	found := a.Find(selector)
	if found.Length() != 1 {
		a.t.Fatalf("%d elements match %s", found.Length(), selector)
	}
	value, _ := found.Attr(name)
	return value
}

// fields are the fields of the one form that a selector finds, as a browser
// would send them untouched.
func (a response) fields(selector string) (action string, form url.Values) {
	a.t.Helper()
	found := a.Find(selector)
	if found.Length() != 1 {
		a.t.Fatalf("%d forms match %s", found.Length(), selector)
	}
	form = url.Values{}
	found.Find("input[name], textarea[name], select[name]").Each(func(_ int, field *goquery.Selection) {
		name, _ := field.Attr("name")
		switch {
		case goquery.NodeName(field) == "textarea":
			form.Set(name, field.Text())
		case goquery.NodeName(field) == "select":
			form.Set(name, field.Find("option[selected]").AttrOr("value", ""))
		case field.AttrOr("type", "text") == "checkbox", field.AttrOr("type", "text") == "radio":
			if _, checked := field.Attr("checked"); checked {
				form.Set(name, field.AttrOr("value", "on"))
			}
		default:
			form.Set(name, field.AttrOr("value", ""))
		}
	})
	return found.AttrOr("action", ""), form
}

func collapseSpace(s string) string { return strings.Join(strings.Fields(s), " ") }
