package handlers

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/mergegate/mergegate/models/modelstest"
)

// formCase is one form and everything that can be typed wrong into it. The
// tables are in form_faults_cases_test.go.
type formCase struct {
	name string
	// action is the address it posts to, by which it is found on the page.
	action string
	as     visitor
	// good is what would be accepted.
	good url.Values
	// dialogs are those that htmx opens over a page.
	dialog bool
	// hidden are the fields that never come back: passwords and secrets.
	hidden []string
	faults []fault
}

// fault is one wrong filling-in: good with some fields changed, nil leaving
// one out.
type fault struct {
	why    string
	change url.Values
	// want are the messages by field, in English; "" is the form as a whole.
	want map[string]string
	// status is 422 where it is 0.
	status int
}

// says is the message of one field.
func oneMessage(field, message string) map[string]string { return map[string]string{field: message} }

// TestForms_InvalidInput_ShowMessagesAndKeepInput types every fault into every field of every form, as readers
// of both languages, and reads the page that comes back: every message stands
// where the control's aria-describedby points, in the reader's language; the
// control is marked; the first one has the focus; everything typed stands; and
// nothing is written.
func TestForms_InvalidInput_ShowMessagesAndKeepInput(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		db := s.DB.SQL(t)
		for _, form := range s.formCases() {
			t.Run(form.name, func(t *testing.T) {
				for _, tt := range form.faults {
					t.Run(tt.why, func(t *testing.T) {
						before := databaseSnapshot(t, db)
						for _, language := range []string{"en", "ja"} {
							assertFault(t, form, tt, form.as.withLanguage(language))
							if form.dialog {
								assertFault(t, form, tt, form.as.withLanguage(language).withHTMX())
							}
						}
						if now := databaseSnapshot(t, db); now != before {
							t.Errorf("written all the same:\n%s\nwas\n%s", now, before)
						}
					})
				}
			})
		}
	})
}

// assertFault posts one fault and reads the answer.
func assertFault(t *testing.T, form formCase, tt fault, v visitor) {
	t.Helper()
	sent := url.Values{}
	for name, values := range form.good {
		sent[name] = values
	}
	for name, values := range tt.change {
		sent[name] = values
	}
	v.t = t
	status := http.StatusUnprocessableEntity
	if tt.status != 0 {
		status = tt.status
	}
	a := v.post(form.action, sent).wantStatus(status)
	for _, field := range form.hidden {
		if secret := sent.Get(field); len(secret) >= 8 && strings.Contains(a.body, secret) {
			t.Errorf("the page shows what was typed into %s", field)
		}
	}
	if a.has("dialog") != v.htmx {
		t.Errorf("dialog: %t, htmx: %t", a.has("dialog"), v.htmx)
	}
	found := a.Find(fmt.Sprintf("form[method=post][action=%q]", form.action))
	if found.Length() != 1 {
		t.Fatalf("%d forms post to %s", found.Length(), form.action)
	}
	where := v.language
	if v.htmx {
		where += ", dialog"
	}
	for field, english := range tt.want {
		message := english
		if v.language == "ja" {
			message = japaneseMessage(t, english)
		}
		if field == "" {
			if got := collapseSpace(a.Find("#form-error[role=alert], #form-error [role=alert]").Text()); got != message {
				t.Errorf("%s: the form says %q, want %q", where, got, message)
			}
			continue
		}
		assertFieldMessage(t, where, a, found, field, message)
	}
	assertInvalidFieldsMarked(t, where, a, found, tt.want)
	for field := range form.good {
		assertInputKept(t, where, found, field, sent[field], slices.Contains(form.hidden, field))
	}
}

// control is what a field's faults are told about: its input or list, the
// group of its choices, or what opens them.
func controlOf(form *goquery.Selection, field string) *goquery.Selection {
	found := form.Find(fmt.Sprintf("[name=%q]:not([type=hidden])", field))
	if found.Is("details input") {
		return found.First().Closest("details").Find("summary")
	}
	if found.Is("[type=radio], [type=checkbox]") {
		return found.First().Closest("fieldset")
	}
	return found
}

// assertFieldMessage reads what a control is described by: the message must be
// one of those texts.
func assertFieldMessage(t *testing.T, where string, a response, form *goquery.Selection, field, message string) {
	t.Helper()
	marked := controlOf(form, field)
	if marked.Length() != 1 {
		t.Fatalf("%s: %d controls for %s", where, marked.Length(), field)
	}
	var texts []string
	for _, id := range strings.Fields(marked.AttrOr("aria-describedby", "")) {
		texts = append(texts, collapseSpace(a.Find("#"+id).Text()))
	}
	if !slices.Contains(texts, message) {
		t.Errorf("%s: %s is described by %q, want %q", where, field, texts, message)
	}
}

// assertInvalidFieldsMarked holds that exactly the faulty controls are marked, and that the
// first of them, or for a fault of the whole form one of its controls, is
// where the page puts the focus: browsers take the first that asks.
func assertInvalidFieldsMarked(t *testing.T, where string, a response, form *goquery.Selection, want map[string]string) {
	t.Helper()
	focused := a.Find("[autofocus]").First()
	if form.Find("[autofocus]").First().IsSelection(focused) != (focused.Length() == 1) || focused.Length() == 0 {
		t.Errorf("%s: the focus is not in the form", where)
	}
	if _, whole := want[""]; whole {
		return
	}
	marked := a.Find("[aria-invalid=true]")
	if marked.Length() != len(want) {
		t.Errorf("%s: %d controls are marked, want %d", where, marked.Length(), len(want))
	}
	for field := range want {
		if !controlOf(form, field).Is("[aria-invalid=true]") {
			t.Errorf("%s: %s is not marked", where, field)
		}
	}
	if first := marked.First(); !first.IsSelection(focused) && !first.Find("[autofocus]").First().IsSelection(focused) {
		t.Errorf("%s: the focus is on %q, not on the first fault", where, focused.AttrOr("name", focused.AttrOr("id", "?")))
	}
}

// assertInputKept holds that what was typed stands in the field again, and that a
// secret does not. A choice that is none cannot stand.
func assertInputKept(t *testing.T, where string, form *goquery.Selection, field string, sent []string, hidden bool) {
	t.Helper()
	found := form.Find(fmt.Sprintf("[name=%q]:not([type=hidden])", field))
	typed := strings.Join(sent, "")
	switch {
	case hidden:
		if found.AttrOr("value", "") != "" {
			t.Errorf("%s: the secret %s comes back", where, field)
		}
	case found.Is("select"):
		if found.Find(fmt.Sprintf("option[value=%q]", typed)).Length() == 1 && found.Find("option[selected]").AttrOr("value", "") != typed {
			t.Errorf("%s: %q is not chosen any more in %s", where, typed, field)
		}
	case found.Is("[type=radio], [type=checkbox]"):
		found.Each(func(_ int, choice *goquery.Selection) {
			_, checked := choice.Attr("checked")
			value := choice.AttrOr("value", "")
			if value != "" && checked != slices.Contains(sent, value) {
				t.Errorf("%s: the choice %q of %s is checked: %t", where, value, field, checked)
			}
		})
	default:
		got := found.AttrOr("value", found.Text())
		want := strings.ToValidUTF8(strings.ReplaceAll(typed, "\x00", "\uFFFD"), "\uFFFD")
		if strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%s: %s stands as %.60q, typed was %.60q", where, field, got, want)
		}
	}
}

// written is all that forms write, as text.
func databaseSnapshot(t *testing.T, db *sql.DB) string {
	t.Helper()
	var out strings.Builder
	for _, query := range []string{
		"SELECT count(*) FROM sessions",
		"SELECT id, name, path, description, visibility, default_branch FROM projects ORDER BY id",
		"SELECT project_id, user_id, role FROM members ORDER BY project_id, user_id",
		"SELECT id, project_id, name, push_access_level, merge_access_level FROM protected_branches ORDER BY id",
		"SELECT id, project_id, name, external_url FROM external_status_checks ORDER BY id",
		"SELECT id, project_id, title, description, target_branch, draft FROM merge_requests ORDER BY id",
		"SELECT id, name, user_id FROM access_tokens ORDER BY id",
		"SELECT id, password_digest, theme, language FROM users ORDER BY id",
		"SELECT count(*) FROM deliveries",
	} {
		rows, err := db.Query(query)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values, targets := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				targets[i] = &values[i]
			}
			if err := rows.Scan(targets...); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&out, values...)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// TestForms_EveryForm_HasInvalidInputCases: a form that somebody adds must come into the
// table, by the address that it posts to. Forms without anything to type wrong
// are named here.
func TestForms_EveryForm_HasInvalidInputCases(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	tested := map[string]bool{}
	for _, form := range s.formCases() {
		tested[form.action] = true
	}
	harmless := []string{
		signOutPath, "/-/theme", userSettingsPath + "/sessions/:id/end", userSettingsPath + "/sessions/end_others",
		personalTokensPath + "/:id/revoke", projectRoute + "/-/settings/access_tokens/:id/revoke",
		projectRoute + "/-/project_members/:id/remove", projectRoute + servicesPath + "/:id/remove", projectRoute + servicesPath + "/:id/test",
		projectRoute + servicesPath + "/:id/deliveries/:delivery/redeliver", projectRoute + branchRulesPath + "/:id/unprotect",
		projectRoute + mergeRequestsPath + "/:iid/close", projectRoute + mergeRequestsPath + "/:iid/reopen", projectRoute + mergeRequestsPath + "/:iid/approve", projectRoute + mergeRequestsPath + "/:iid/unapprove",
		projectRoute + mergeRequestsPath + "/:iid/merge", projectRoute + mergeRequestsPath + "/:iid/status_checks/:id/retry",
		projectRoute + "/-/settings/merge_requests", // one check box
		projectRoute + "/-/project_members/:id",     // one list, TestMembers_OwnerRole_OnlyOwnersChangeIt
	}
	for _, r := range s.routeTable() {
		if r.method != http.MethodPost || slices.Contains(harmless, r.path) {
			continue
		}
		matches := func(action string) bool { return routeMatches(r.path, action) }
		if !slices.ContainsFunc(keysOf(tested), matches) {
			t.Errorf("no fault is typed into the form that posts to %s", r.path)
		}
	}
}

// routeMatches reports whether an address belongs to a route.
func routeMatches(path, address string) bool {
	parts, given := strings.Split(path, "/"), strings.Split(address, "/")
	if len(parts) != len(given) {
		return false
	}
	for i, part := range parts {
		if part != given[i] && !strings.HasPrefix(part, ":") {
			return false
		}
	}
	return true
}

func keysOf(set map[string]bool) []string {
	var keys []string
	for key := range set {
		keys = append(keys, key)
	}
	return keys
}

// japaneseMessage is the message of a form as Japanese readers see it.
func japaneseMessage(t *testing.T, english string) string {
	t.Helper()
	if japanese, known := formMessages[english]; known {
		return japanese
	}
	t.Errorf("the table has no Japanese for %q", english)
	return ""
}
