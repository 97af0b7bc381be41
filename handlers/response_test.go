package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
)

// response is a response of the site with its HTML parsed.
type response struct {
	*goquery.Document
	t      testing.TB
	status int
	header http.Header
	body   string
}

// wantStatus fails the test unless the response has the status.
func (a response) wantStatus(status int) response {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d; Location %q\n%s", a.status, status, a.header.Get("Location"), a.text("body"))
	}
	return a
}

// text returns the text of the elements that a selector finds, with single
// spaces.
func (a response) text(selector string) string { return collapseSpace(a.Find(selector).Text()) }

// has reports whether a selector finds an element.
func (a response) has(selector string) bool { return a.Find(selector).Length() > 0 }

// attr returns an attribute of the only element that a selector finds, or "".
func (a response) attr(selector, name string) string {
	a.t.Helper()
	found := a.Find(selector)
	if found.Length() != 1 {
		a.t.Fatalf("%d elements match %s", found.Length(), selector)
	}
	value, _ := found.Attr(name)
	return value
}

// fields returns the action and the fields of the only form that a selector
// finds, as a browser would send them unchanged.
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

// collapseSpace trims s and replaces each run of white space with one space.
func collapseSpace(s string) string { return strings.Join(strings.Fields(s), " ") }
