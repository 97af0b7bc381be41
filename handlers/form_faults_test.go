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

// formCase is one form and every kind of invalid input for it.
type formCase struct {
	name string
	// action is the address that the form posts to.
	action string
	as     visitor
	// good are values that the form accepts.
	good url.Values
	// dialog reports whether htmx opens the form as a dialog.
	dialog bool
	// hidden are the passwords and secrets, which a response never contains.
	hidden []string
	faults []fault
}

// fault is one kind of invalid input: the form's good values with some fields
// changed. A nil value leaves the field out.
type fault struct {
	name   string
	change url.Values
	// want are the English messages by field; "" is the whole form.
	want map[string]string
	// status is the expected status, 422 if it is 0.
	status int
}

// oneMessage expects a message at one field.
func oneMessage(field, message string) map[string]string { return map[string]string{field: message} }

// TestExhaustiveForms_InvalidInput_ShowMessagesAndKeepInput posts every fault of every
// form in both languages, and as htmx where the form is a dialog. Each message
// must be in the reader's language and where the control's aria-describedby
// points; the control is marked as invalid; the first one has the focus; the
// input is kept; and nothing is saved.
func TestExhaustiveForms_InvalidInput_ShowMessagesAndKeepInput(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		db := s.DB.SQL(t)
		for _, form := range s.formCases() {
			t.Run(form.name, func(t *testing.T) {
				for _, tt := range form.faults {
					t.Run(tt.name, func(t *testing.T) {
						before := databaseSnapshot(t, db)
						for _, language := range []string{"en", "ja"} {
							assertFault(t, form, tt, form.as.withLanguage(language))
							if form.dialog {
								assertFault(t, form, tt, form.as.withLanguage(language).withHTMX())
							}
						}
						if now := databaseSnapshot(t, db); now != before {
							t.Errorf("the database changed to\n%s\nfrom\n%s", now, before)
						}
					})
				}
			})
		}
	})
}

// assertFault posts one fault and checks the response.
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
			t.Errorf("the page shows the value of %s", field)
		}
	}
	if a.has("dialog") != v.htmx {
		t.Errorf("response is a dialog: %t, want %t", a.has("dialog"), v.htmx)
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
				t.Errorf("%s: message of the form %q, want %q", where, got, message)
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

// controlOf returns the element that describes the errors of a field: its input
// or list, the group of its choices, or the button that opens them.
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

// assertFieldMessage checks that the message is one of the texts that describe
// the control.
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

// assertInvalidFieldsMarked checks that exactly the invalid controls are marked
// and that the first of them has autofocus. For an error of the whole form any
// of its controls may have it.
func assertInvalidFieldsMarked(t *testing.T, where string, a response, form *goquery.Selection, want map[string]string) {
	t.Helper()
	focused := a.Find("[autofocus]").First()
	if form.Find("[autofocus]").First().IsSelection(focused) != (focused.Length() == 1) || focused.Length() == 0 {
		t.Errorf("%s: the focus is not in the form", where)
	}
	if _, ok := want[""]; ok {
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
		t.Errorf("%s: the focus is on %q, want the first invalid field", where, focused.AttrOr("name", focused.AttrOr("id", "?")))
	}
}

// assertInputKept checks that a field shows the sent value again, and that a
// secret field does not. A value that a list does not offer cannot be kept.
func assertInputKept(t *testing.T, where string, form *goquery.Selection, field string, sent []string, hidden bool) {
	t.Helper()
	found := form.Find(fmt.Sprintf("[name=%q]:not([type=hidden])", field))
	typed := strings.Join(sent, "")
	switch {
	case hidden:
		if found.AttrOr("value", "") != "" {
			t.Errorf("%s: the secret field %s has a value", where, field)
		}
	case found.Is("select"):
		if found.Find(fmt.Sprintf("option[value=%q]", typed)).Length() == 1 && found.Find("option[selected]").AttrOr("value", "") != typed {
			t.Errorf("%s: %q is no longer selected in %s", where, typed, field)
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
			t.Errorf("%s: %s holds %.60q, want %.60q", where, field, got, want)
		}
	}
}

// databaseSnapshot returns as text what forms can change in the database.
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

// TestForms_EveryForm_HasInvalidInputCases fails for a form that is missing in
// formCases. Forms without input that can be invalid are listed here.
func TestForms_EveryForm_HasInvalidInputCases(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	tested := map[string]bool{}
	for _, form := range s.formCases() {
		path, _, _ := strings.Cut(form.action, "?")
		tested[path] = true
	}
	withoutInput := []string{
		setupPath, // see TestSetup_FirstAdministrator
		signOutPath, "/-/theme", userSettingsPath + "/sessions/:id/end", userSettingsPath + "/sessions/end_others",
		personalTokensPath + "/:id/revoke", projectRoute + "/-/settings/access_tokens/:id/revoke",
		projectRoute + "/-/project_members/:id/remove", projectRoute + servicesPath + "/:id/remove", projectRoute + servicesPath + "/:id/test",
		projectRoute + servicesPath + "/:id/deliveries/:delivery/redeliver", projectRoute + branchRulesPath + "/:id/unprotect",
		projectRoute + mergeRequestsPath + "/:iid/close", projectRoute + mergeRequestsPath + "/:iid/reopen", projectRoute + mergeRequestsPath + "/:iid/approve", projectRoute + mergeRequestsPath + "/:iid/unapprove",
		projectRoute + mergeRequestsPath + "/:iid/merge", projectRoute + mergeRequestsPath + "/:iid/cancel_auto_merge",
		projectRoute + mergeRequestsPath + "/:iid/status_checks/:id/retry",
		projectRoute + mergeRequestsPath + "/:iid/status_checks/retry_failed",
		// Buttons of the form of a service, see TestDraftTest_InvalidInput_SendsNothing.
		projectRoute + servicesPath + "/new/test", projectRoute + servicesPath + "/:id/edit/test",
		projectRoute + "/-/settings/merge_requests", // one check box
		adminUserPath + "/block", adminUserPath + "/unblock", adminUserPath + "/password", adminUserPath + "/invitation",
		adminNamespacesPath + "/:id/remove", backgroundWorkPath + "/retry",
		adminUserPath + "/sessions/:id/end", adminUserPath + "/sessions/end_all",
		adminUserPath + "/personal_access_tokens/:id/revoke", adminUserPath + "/access_tokens/:id/revoke",
		projectRoute + "/-/project_members/:id", // one list, see TestMembers_OwnerRole_OnlyOwnersChangeIt
	}
	for _, r := range s.routeTable() {
		if r.method != http.MethodPost || slices.Contains(withoutInput, r.path) {
			continue
		}
		matches := func(action string) bool { return routeMatches(r.path, action) }
		if !slices.ContainsFunc(keysOf(tested), matches) {
			t.Errorf("formCases has no form that posts to %s", r.path)
		}
	}
}

// routeMatches reports whether an address matches a route's path.
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

// japaneseMessage returns the Japanese text of an English message. It fails the
// test for a message that is missing in formMessages.
func japaneseMessage(t *testing.T, english string) string {
	t.Helper()
	if japanese, known := formMessages[english]; known {
		return japanese
	}
	t.Errorf("formMessages has no Japanese text for %q", english)
	return ""
}
