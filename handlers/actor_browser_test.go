package handlers

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
)

// actor drives Chromium by what a page shows: texts, names of links and buttons,
// labels of fields. The methods work with and without JavaScript, so one journey
// tests both.
type actor struct {
	*browsertest.Page
	t    *testing.T
	site *testSite
	base string
	// script reports whether the browser runs JavaScript.
	script bool
}

// actor opens a browser tab on the site, with or without JavaScript.
func (s *testSite) actor(t *testing.T, script bool) *actor {
	t.Helper()
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	a := &actor{Page: browsertest.New(t), t: t, site: s, base: server.URL, script: script}
	a.Allow("^(403|404|422) from ") // journeys also try what is forbidden
	if !script {
		a.NoScript()
	}
	return a
}

// open loads a page by its path.
func (a *actor) open(path string) {
	a.t.Helper()
	a.Go(a.base + path)
}

// signIn signs a user in through the form and waits for the list of projects.
func (a *actor) signIn(username string) {
	a.t.Helper()
	a.open(signInPath)
	a.fill("Username", username)
	a.fill("Password", testPassword)
	a.Press("Sign in")
	a.assertHeading("Projects")
}

// assertHeading waits for a page with this first heading.
func (a *actor) assertHeading(heading string) { a.t.Helper(); a.WaitText("h1", heading) }

// assertText waits until the page shows all of the texts.
func (a *actor) assertText(texts ...string) {
	a.t.Helper()
	for _, text := range texts {
		a.WaitText("body", text)
	}
}

// assertNoText fails the test if the page shows one of the texts.
func (a *actor) assertNoText(texts ...string) {
	a.t.Helper()
	for _, text := range texts {
		if browsertest.Eval[bool](a.Page, "document.body.innerText.includes("+strconv.Quote(text)+")") {
			a.t.Errorf("%s shows %q", a.URL(), text)
		}
	}
}

// controlsNamed returns a JavaScript expression for the visible links and buttons
// with this name.
func controlsNamed(name string) string {
	return `[...document.querySelectorAll("a, button, summary, [type=submit]")].filter((e) => e.checkVisibility()
		&& (e.getAttribute("aria-label") || e.innerText || e.value || "").replace(/\s+/g, " ").trim() === ` + strconv.Quote(name) + `)`
}

// assertControls waits until there are links or buttons with these names.
func (a *actor) assertControls(names ...string) {
	a.t.Helper()
	for _, name := range names {
		a.WaitFor("a control called "+name, controlsNamed(name)+".length > 0")
	}
}

// assertNoControls fails the test if there is an enabled link or button with one
// of these names.
func (a *actor) assertNoControls(names ...string) {
	a.t.Helper()
	for _, name := range names {
		if browsertest.Eval[bool](a.Page, controlsNamed(name)+`.some((e) => e.getAttribute("aria-disabled") !== "true")`) {
			a.t.Errorf("%s has a control called %q", a.URL(), name)
		}
	}
}

// mark waits for the element that a JavaScript expression returns, marks it and
// returns a selector for it.
func (a *actor) mark(what, expression string) string {
	a.t.Helper()
	a.WaitFor(what, `(() => {
		const scope = document.querySelector("dialog:modal") ?? document;
		const collapseSpace = (text) => text.replace(/\s+/g, " ").trim();
		const found = `+expression+`;
		document.querySelector("[data-actor]")?.removeAttribute("data-actor");
		found?.setAttribute("data-actor", "");
		return Boolean(found);
	})()`)
	return "[data-actor]"
}

// field waits for the field with this label and returns a selector for it.
func (a *actor) field(label string) string {
	a.t.Helper()
	return a.mark("a field called "+label, `[...scope.querySelectorAll("label")].find((l) => {
		const copy = l.cloneNode(true);
		copy.querySelector(".opt")?.remove();
		return l.control?.checkVisibility() && collapseSpace(copy.textContent) === `+strconv.Quote(label)+`;
	})?.control`)
}

// fill types into the text field with this label.
func (a *actor) fill(label, value string) { a.t.Helper(); a.Fill(a.field(label), value) }

// choose selects an option of the list with this label.
func (a *actor) choose(label, option string) { a.t.Helper(); a.Choose(a.field(label), option) }

// pick opens the drop-down with this label and chooses an option.
func (a *actor) pick(label, option string) {
	a.t.Helper()
	selector := a.mark("a selector called "+label, `[...scope.querySelectorAll("summary[aria-labelledby]")].find((e) =>
		document.getElementById(e.getAttribute("aria-labelledby").split(" ")[0]).textContent.trim() === `+strconv.Quote(label)+`)`)
	a.Click(selector)
	a.Press(option)
	if a.script && a.Count("details:has([role=radiogroup]) > "+selector) > 0 {
		a.WaitGone("details[open] > " + selector) // the script closes it shortly after
		return
	}
	a.Click(selector)
}

// openTab clicks the tab with this name; a count after the name is ignored.
func (a *actor) openTab(tab string) {
	a.t.Helper()
	a.Click(a.mark("a tab called "+tab, `[...scope.querySelectorAll("nav a")].find((e) =>
		e.checkVisibility() && collapseSpace(e.innerText).replace(/ \d+.*$/, "") === `+strconv.Quote(tab)+`)`))
}

// tick clicks the check box or radio button with this label.
func (a *actor) tick(label string) { a.t.Helper(); a.Click(a.field(label)) }

// button waits for the button with this name and returns a selector for it.
func (a *actor) button(name string) string {
	a.t.Helper()
	return a.mark("a button called "+name, `[...scope.querySelectorAll("button")].find((e) =>
		e.checkVisibility() && collapseSpace(e.innerText) === `+strconv.Quote(name)+`)`)
}

// submit clicks the button with this name. Press could also find a breadcrumb
// with the same name.
func (a *actor) submit(name string) {
	a.t.Helper()
	a.Click(a.button(name))
}

// assertAnnounced waits for a message in a live region, where screen readers
// announce it.
func (a *actor) assertAnnounced(message string) {
	a.t.Helper()
	a.WaitText("[role=status], [aria-live]", message)
}

// assertForbidden checks that the pages answer 403.
func (a *actor) assertForbidden(paths ...string) {
	a.t.Helper()
	for _, path := range paths {
		a.open(path)
		a.assertHeading("You cannot open this page")
	}
}

// assertNotFound checks that the pages answer 404.
func (a *actor) assertNotFound(paths ...string) {
	a.t.Helper()
	for _, path := range paths {
		a.open(path)
		a.assertHeading("Page not found")
	}
}

// assertSignInAsked checks that the pages redirect to the sign-in form, which
// keeps their address.
func (a *actor) assertSignInAsked(paths ...string) {
	a.t.Helper()
	for _, path := range paths {
		a.open(path)
		a.assertHeading("Sign in")
		if want := a.base + signInPath + "?return_to=" + url.QueryEscape(path); a.URL() != want {
			a.t.Errorf("%s redirects to %s, want %s", path, a.URL(), want)
		}
	}
}

// memberWithPassword creates a member with a role, or a user without membership
// if role is RoleNone, who can sign in with testPassword.
func (s *testSite) memberWithPassword(name string, role models.Role, admin bool) models.User {
	s.T.Helper()
	user := s.createUser(models.UserInput{Username: name, Admin: admin})
	if role == models.RoleNone {
		return user
	}
	if _, err := s.Store.AddMember(s.T.Context(), s.Owner, models.RoleOwner, s.Project.ID, user.ID, role); err != nil {
		s.T.Fatal(err)
	}
	return user
}

// setHeadStatus sets the status of a service for the HEAD of a merge request.
func (s *testSite) setHeadStatus(iid int64, service models.ExternalStatusCheck, status models.Status) {
	s.T.Helper()
	mr, err := s.Store.MergeRequest(s.T.Context(), s.Project.ID, iid)
	if err == nil {
		err = s.Respond(mr, service, mr.HeadSHA, status)
	}
	if err != nil {
		s.T.Fatal(fmt.Errorf("set status of !%d: %w", iid, err))
	}
}

// value returns the value of the field with this label.
func (a *actor) value(label string) string {
	a.t.Helper()
	return browsertest.Eval[string](a.Page, "document.querySelector("+strconv.Quote(a.field(label))+").value")
}

// doubleClick clicks the button with this name twice without waiting.
func (a *actor) doubleClick(name string) {
	a.t.Helper()
	a.ClickTwice(a.button(name))
}
