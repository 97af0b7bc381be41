package handlers

import (
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestBrowserMembers_Dialogs_AddAndRemove(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.User("mona")
	p := browsertest.Open(t, s.as(s.Owner).serve()+pearMembersPath)
	p.Allow("422")

	p.Click("#add-member")
	p.WaitFor("the focus on the name", focusIs("#username"))
	p.Fill("#username", "mnoa")
	p.Click("#submit-member")
	p.WaitText("#username-error", "There is no user with this name")
	p.WaitFor("the focus on the invalid field", focusIs("#username"))
	if got := browsertest.Eval[string](p, `document.querySelector("#username").value`); got != "mnoa" {
		t.Errorf("the field holds %q, want mnoa", got)
	}
	p.Fill("#username", "mona")
	p.Choose("#access_level", "Reporter")
	p.Click("#submit-member")
	p.WaitText("#toasts", "Member added.")
	p.WaitText("table", "@mona")
	if p.Count("dialog") != 0 {
		t.Error("the drawer is still open")
	}

	remove := "[aria-label='Remove mona']"
	p.Click(remove)
	p.WaitText("dialog", "You are about to remove mona from")
	p.WaitFor("the focus on Cancel", focusIs("dialog .dialog__foot a"))
	p.Click("dialog .dialog__foot a")
	p.WaitGone("dialog")
	p.WaitFor("the focus to return to the opener", focusIs(remove))
	p.Click(remove)
	p.Click("dialog .btn--danger")
	p.WaitText("#toasts", "Member removed.")
	if p.Count(remove) != 0 {
		t.Error("the member is still listed")
	}
}
