package handlers

import (
	"errors"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestBrowserBranchPicker_MouseAndKeyboard_ChooseBranch(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.git.many = 60
	p := browsertest.Open(t, s.as(s.Member("dev", models.RoleDeveloper)).serve()+pearMergeRequestsPath+"/new")
	waitFocus := func(id string) {
		t.Helper()
		p.WaitFor("focus on "+id, `document.activeElement.id === "`+id+`" || document.activeElement.value === "`+id+`"`)
	}
	chosen := func() string { return p.Text("#source_branch-value") }

	// Mouse: the list opens with the focus in its search; a click chooses and closes.
	p.Click("#source_branch")
	waitFocus("source_branch-search")
	p.Press("feature")
	waitFocus("source_branch")
	if got := chosen(); got != "feature" || p.Count("#source_branch-picker[open]") != 0 {
		t.Errorf("the click chose %q, or the list is still open", got)
	}

	// Keyboard: search, move, choose. The chosen branch stays in later searches.
	evalBool := browsertest.Eval[bool]
	p.Key(kb.Enter)
	waitFocus("source_branch-search")
	p.Key("many/003")
	p.WaitText("#source_branch-found", "10 branches found.")
	if n := p.Count("#source_branch-options input"); n != 11 {
		t.Errorf("%d branches are listed, want 11", n)
	}
	p.Key(kb.Enter)
	waitFocus("feature") // the chosen one first
	p.Key(kb.ArrowDown)
	waitFocus("many/0030")
	p.Key(kb.ArrowDown)
	waitFocus("many/0031")
	if !evalBool(p, `document.querySelector("#source_branch-picker").open`) {
		t.Error("the arrow keys close the list")
	}
	p.Key(kb.Enter)
	waitFocus("source_branch")
	if got := chosen(); got != "many/0031" || p.Count("#source_branch-picker[open]") != 0 {
		t.Errorf("Enter chose %q, or the list is still open", got)
	}
	if strings.HasSuffix(p.URL(), "/branches") || p.Text("h1") != "New merge request" {
		t.Fatalf("Enter in the list submitted the form: %s", p.URL())
	}
	p.Key(kb.Enter)
	waitFocus("source_branch-search")
	p.Key(kb.Escape)
	waitFocus("source_branch")

	// A failed search shows a message and keeps the form.
	p.Fill("#mr-title", "Trim the pear")
	s.git.fails = errors.New("the disk is gone")
	p.Allow("500")
	p.Click("#target_branch")
	waitFocus("target_branch-search")
	p.Key("rel")
	p.WaitText("#target_branch-failed", "Unable to fetch branches list")
	s.git.fails = nil
	p.Key("e")
	p.WaitGone("#target_branch-failed:not([hidden])")
	if got := evalBool(p, `document.querySelector("#mr-title").value === "Trim the pear"`); !got || chosen() != "many/0031" {
		t.Error("the form lost its input")
	}
	p.Click("h1")
	p.WaitGone("#target_branch-picker[open]")
}
