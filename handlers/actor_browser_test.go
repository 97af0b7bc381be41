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

// actor is somebody at a browser who knows the product by what it shows:
// texts, names of links and buttons, labels of fields. What an actor does is the
// same with script and without; journeys are written once for both.
type actor struct {
	*browsertest.Page
	t    *testing.T
	site *testSite
	base string
	// script says that the browser runs script.
	script bool
}

// actor opens a browser on the site, with script or without.
func (s *testSite) actor(t *testing.T, script bool) *actor {
	t.Helper()
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	a := &actor{Page: browsertest.New(t), t: t, site: s, base: server.URL, script: script}
	a.Allow("^(403|404|422) from ") // journeys try what they may not
	if !script {
		a.NoScript()
	}
	return a
}

// opens goes to a page by its address.
func (a *actor) open(path string) {
	a.t.Helper()
	a.Go(a.base + path)
}

// signIn through the form, and arrives at the projects.
func (a *actor) signIn(username string) {
	a.t.Helper()
	a.open(signInPath)
	a.fill("Username", username)
	a.fill("Password", testPassword)
	a.Press("Sign in")
	a.assertHeading("Projects")
}

// assertHeading waits for the page with this heading.
func (a *actor) assertHeading(heading string) { a.t.Helper(); a.WaitText("h1", heading) }

// sees waits for texts anywhere on the page.
func (a *actor) assertText(texts ...string) {
	a.t.Helper()
	for _, text := range texts {
		a.WaitText("body", text)
	}
}

// assertNoText fails when one of the texts stands on the page.
func (a *actor) assertNoText(texts ...string) {
	a.t.Helper()
	for _, text := range texts {
		if browsertest.Eval[bool](a.Page, "document.body.innerText.includes("+strconv.Quote(text)+")") {
			a.t.Errorf("%s shows %q", a.URL(), text)
		}
	}
}

// named is a JavaScript expression for the visible things to press with this
// name.
func controlsNamed(name string) string {
	return `[...document.querySelectorAll("a, button, summary, [type=submit]")].filter((e) => e.checkVisibility()
		&& (e.getAttribute("aria-label") || e.innerText || e.value).replace(/\s+/g, " ").trim() === ` + strconv.Quote(name) + `)`
}

// offered waits until there are links or buttons with these names.
func (a *actor) assertControls(names ...string) {
	a.t.Helper()
	for _, name := range names {
		a.WaitFor(name+" to be offered", controlsNamed(name)+".length > 0")
	}
}

// assertNoControls fails when there is a link or button with one of these names that
// would do something.
func (a *actor) assertNoControls(names ...string) {
	a.t.Helper()
	for _, name := range names {
		if browsertest.Eval[bool](a.Page, controlsNamed(name)+`.some((e) => e.getAttribute("aria-disabled") !== "true")`) {
			a.t.Errorf("%s offers %q", a.URL(), name)
		}
	}
}

// mark waits for an element, given as a JavaScript expression, and gives a
// selector for it.
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

// field marks the control with this label and gives a selector for it.
func (a *actor) field(label string) string {
	a.t.Helper()
	return a.mark("a field called "+label, `[...scope.querySelectorAll("label")].find((l) => {
		const copy = l.cloneNode(true);
		copy.querySelector(".opt")?.remove();
		return l.control?.checkVisibility() && collapseSpace(copy.textContent) === `+strconv.Quote(label)+`;
	})?.control`)
}

// fills a text field, found by its label.
func (a *actor) fill(label, value string) { a.t.Helper(); a.Fill(a.field(label), value) }

// chooses from a list, found by its label.
func (a *actor) choose(label, option string) { a.t.Helper(); a.Choose(a.field(label), option) }

// picks from a selector that opens, found by its label.
func (a *actor) pick(label, option string) {
	a.t.Helper()
	selector := a.mark("a selector called "+label, `[...scope.querySelectorAll("summary[aria-labelledby]")].find((e) =>
		document.getElementById(e.getAttribute("aria-labelledby").split(" ")[0]).textContent.trim() === `+strconv.Quote(label)+`)`)
	a.Click(selector)
	a.Press(option)
	if a.script && a.Count("details:has([role=radiogroup]) > "+selector) > 0 {
		a.WaitGone("details[open] > " + selector) // closes with the choice, a moment later
		return
	}
	a.Click(selector)
}

// openTab presses the tab with this name, which a number may follow.
func (a *actor) openTab(tab string) {
	a.t.Helper()
	a.Click(a.mark("a tab called "+tab, `[...scope.querySelectorAll("nav a")].find((e) =>
		e.checkVisibility() && collapseSpace(e.innerText).replace(/ \d+.*$/, "") === `+strconv.Quote(tab)+`)`))
}

// ticks a box or a radio button, found by its label.
func (a *actor) tick(label string) { a.t.Helper(); a.Click(a.field(label)) }

// button is a selector for the button with this name.
func (a *actor) button(name string) string {
	a.t.Helper()
	return a.mark(name+" to be a button", `[...scope.querySelectorAll("button")].find((e) =>
		e.checkVisibility() && collapseSpace(e.innerText) === `+strconv.Quote(name)+`)`)
}

// submits presses the button with this name: a breadcrumb may have the same.
func (a *actor) submit(name string) {
	a.t.Helper()
	a.Click(a.button(name))
}

// told waits for a message that says what was done, where a screen reader
// hears of it.
func (a *actor) assertAnnounced(message string) {
	a.t.Helper()
	a.WaitText("[role=status], [aria-live]", message)
}

// refused holds that pages exist but not for this actor: 403.
func (a *actor) assertForbidden(paths ...string) {
	a.t.Helper()
	for _, path := range paths {
		a.open(path)
		a.assertHeading("You cannot open this page")
	}
}

// missing holds that pages do not exist for this actor: 404.
func (a *actor) assertNotFound(paths ...string) {
	a.t.Helper()
	for _, path := range paths {
		a.open(path)
		a.assertHeading("Page not found")
	}
}

// assertSignInAsked holds that pages ask to sign in first, and would lead back.
func (a *actor) assertSignInAsked(paths ...string) {
	a.t.Helper()
	for _, path := range paths {
		a.open(path)
		a.assertHeading("Sign in")
		if want := a.base + signInPath + "?return_to=" + url.QueryEscape(path); a.URL() != want {
			a.t.Errorf("%s leads to %s, want %s", path, a.URL(), want)
		}
	}
}

// memberWithPassword makes a user of a role who can sign in.
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

// answer lets a service answer for the HEAD of a merge request.
func (s *testSite) setHeadStatus(iid int64, service models.ExternalStatusCheck, status models.Status) {
	s.T.Helper()
	mr, err := s.Store.MergeRequest(s.T.Context(), s.Project.ID, iid)
	if err == nil {
		err = s.Respond(mr, service, mr.HeadSHA, status)
	}
	if err != nil {
		s.T.Fatal(fmt.Errorf("answer for !%d: %w", iid, err))
	}
}
