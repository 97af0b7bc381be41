package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// roleOf returns a user's role in the project, RoleNone if the user is no
// member.
func (s *testSite) roleOf(user models.User) models.Role {
	s.T.Helper()
	member, err := s.Store.Member(s.T.Context(), s.Project.ID, user.ID)
	if models.KindOf(err) == models.KindNotFound {
		return models.RoleNone
	}
	if err != nil {
		s.T.Fatal(err)
	}
	return member.Role
}

func TestMembers_AddChangeRemove_WithoutScript(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		jonas := s.User("jonas")
		s.userWithPassword("boss")
		boss, err := s.Store.UserByUsername(t.Context(), "boss")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Store.AddMember(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, boss.ID, models.RoleOwner); err != nil {
			t.Fatal(err)
		}
		b := s.signIn("boss")
		action, form := b.get(pearMembersPath + "/new").wantStatus(http.StatusOK).fields("#member-form")
		if form.Get("access_level") != "30" {
			t.Errorf("suggested role %s, want Developer", form.Get("access_level"))
		}
		form.Set("username", " @JONAS ")
		page := b.postAndFollow(action, form)
		if got := page.text("#toasts .toast > span"); got != "Member added." {
			t.Errorf("toast %q", got)
		}
		if got := s.roleOf(jonas); got != models.RoleDeveloper {
			t.Fatalf("role %v", got)
		}
		row := fmt.Sprintf("#member-%d", jonas.ID)
		action, form = page.fields(row + " form")
		form.Set("access_level", "40")
		b.postAndFollow(action, form)
		if got := s.roleOf(jonas); got != models.RoleMaintainer {
			t.Errorf("role %v after the change", got)
		}

		remove := page.attr(row+" .cell-actions a", "href")
		action, form = b.get(remove).wantStatus(http.StatusOK).fields("form.dialog__foot")
		if b.get(remove).has("dialog") {
			t.Error("without htmx the page has a dialog")
		}
		b.header.Set("HX-Request", "true")
		if fragment := b.get(remove).wantStatus(http.StatusOK); !fragment.has("dialog.modal form") || fragment.has(".topbar") {
			t.Error("with htmx the response is not only a dialog")
		}
		b.header.Del("HX-Request")
		b.postAndFollow(action, form)
		if got := s.roleOf(jonas); got != models.RoleNone {
			t.Errorf("role %v after removal", got)
		}
	})
}

func TestMembers_OwnerRole_OnlyOwnersChangeIt(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	maintainer, jonas := s.Member("mara", models.RoleMaintainer), s.User("jonas")
	visitor := s.as(maintainer)
	page := visitor.get(pearMembersPath).wantStatus(http.StatusOK)
	if page.has(fmt.Sprintf("#member-%d form", s.Owner.ID)) {
		t.Error("a Maintainer sees the form to change an Owner")
	}
	if visitor.get(pearMembersPath + "/new").wantStatus(http.StatusOK).has(`#access_level option[value="50"]`) {
		t.Error("a Maintainer can choose the role Owner")
	}
	visitor.post(pearMembersPath, url.Values{"username": {"jonas"}, "access_level": {"50"}}).wantStatus(http.StatusForbidden)
	visitor.post(fmt.Sprintf("%s/%d", pearMembersPath, s.Owner.ID), url.Values{"access_level": {"10"}}).wantStatus(http.StatusForbidden)
	visitor.post(fmt.Sprintf("%s/%d/remove", pearMembersPath, s.Owner.ID), nil).wantStatus(http.StatusForbidden)
	if s.roleOf(jonas) != models.RoleNone || s.roleOf(s.Owner) != models.RoleOwner {
		t.Error("a forbidden request changed a role")
	}
	for _, path := range []string{"", "/remove"} {
		page := s.as(s.Owner).post(fmt.Sprintf("%s/%d%s", pearMembersPath, s.Owner.ID, path), url.Values{"access_level": {"10"}}).
			wantStatus(http.StatusUnprocessableEntity)
		if got := page.text(".alert--danger"); got != "A project needs at least one owner. Make somebody else an owner first." {
			t.Errorf("message %q", got)
		}
	}
	// Users who lower their own role leave the page.
	to := visitor.post(fmt.Sprintf("%s/%d", pearMembersPath, maintainer.ID), url.Values{"access_level": {"30"}}).wantStatus(http.StatusSeeOther)
	if got := to.header.Get("Location"); got != "/" {
		t.Errorf("redirected to %q", got)
	}
}

func TestMembers_SearchAndRole_FilterPages(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	for i := range 25 {
		s.Member(fmt.Sprintf("dev%02d", i), models.RoleDeveloper)
	}
	v := s.as(s.Owner)
	page := v.get(pearMembersPath + "?search=DEV&role=30").wantStatus(http.StatusOK)
	if n := page.Find("tr[id^=member-]").Length(); n != 20 || page.attr("#member-search", "value") != "DEV" || !page.has(`#member-role option[value="30"][selected]`) {
		t.Errorf("%d members", n)
	}
	next := page.Find(".pagination a").Last().AttrOr("href", "")
	if n := v.get(next).wantStatus(http.StatusOK).Find("tr[id^=member-]").Length(); n != 5 || !strings.Contains(next, "role=30") || !strings.Contains(next, "search=DEV") {
		t.Errorf("%d members at %s", n, next)
	}
	page = v.get(pearMembersPath + "?role=50").wantStatus(http.StatusOK)
	row := fmt.Sprintf("#member-%d", s.Owner.ID)
	if got := page.text(row); !strings.Contains(got, "The last owner cannot be removed.") || page.has(row+" form") || page.has(row+" a") {
		t.Errorf("row of the last owner: %q", got)
	}
	if page = v.get(pearMembersPath + "?role=20&search=%3Cscript%3E"); page.text(".empty p") != "No members match." || page.attr("#member-search", "value") != "<script>" {
		t.Errorf("empty list: %q", page.text(".empty"))
	}
	for _, role := range []string{"x", "35", "-1", "99999999999999999999"} {
		if n := v.get(pearMembersPath + "?role=" + role).wantStatus(http.StatusOK).Find("tr[id^=member-]").Length(); n != 20 {
			t.Errorf("role %s: %d members", role, n)
		}
	}
}
