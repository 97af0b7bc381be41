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

// TestBrowserBranchPicker_MouseAndKeyboard_ChooseBranch by mouse, by keys and with a failing search.
func TestBrowserBranchPicker_MouseAndKeyboard_ChooseBranch(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	s.git.many = 60
	p := browsertest.Open(t, s.as(s.Member("dev", models.RoleDeveloper)).serve()+pearMergeRequestsPath+"/new")
	focus := func(id string) {
		t.Helper()
		p.WaitFor("focus on "+id, `document.activeElement.id === "`+id+`" || document.activeElement.value === "`+id+`"`)
	}
	chosen := func() string { return p.Text("#source_branch-value") }

	// By mouse: the list opens at its search, and a click chooses and closes.
	p.Click("#source_branch")
	focus("source_branch-search")
	p.Press("feature")
	focus("source_branch")
	if got := chosen(); got != "feature" || p.Count("#source_branch-picker[open]") != 0 {
		t.Errorf("a click chose %q", got)
	}

	// By keys: search, walk, choose; the choice stays in the next search.
	Eval := browsertest.Eval[bool]
	p.Key(kb.Enter)
	focus("source_branch-search")
	p.Key("many/003")
	p.WaitText("#source_branch-found", "10 branches found.")
	if n := p.Count("#source_branch-options input"); n != 11 {
		t.Errorf("%d branches are listed", n)
	}
	p.Key(kb.Enter)
	focus("feature") // the chosen one first
	p.Key(kb.ArrowDown)
	focus("many/0030")
	p.Key(kb.ArrowDown)
	focus("many/0031")
	if !Eval(p, `document.querySelector("#source_branch-picker").open`) {
		t.Error("walking through the list closes it")
	}
	p.Key(kb.Enter)
	focus("source_branch")
	if got := chosen(); got != "many/0031" || p.Count("#source_branch-picker[open]") != 0 {
		t.Errorf("Enter chose %q", got)
	}
	if strings.HasSuffix(p.URL(), "/branches") || p.Text("h1") != "New merge request" {
		t.Fatalf("Enter in the list sent a form: %s", p.URL())
	}
	p.Key(kb.Enter)
	focus("source_branch-search")
	p.Key(kb.Escape)
	focus("source_branch")

	// A search that fails says so in the form, which stands.
	p.Fill("#mr-title", "Trim the pear")
	s.git.fails = errors.New("the disk is gone")
	p.Allow("500")
	p.Click("#target_branch")
	focus("target_branch-search")
	p.Key("rel")
	p.WaitText("#target_branch-failed", "Unable to fetch branches list")
	s.git.fails = nil
	p.Key("e")
	p.WaitGone("#target_branch-failed:not([hidden])")
	if got := Eval(p, `document.querySelector("#mr-title").value === "Trim the pear"`); !got || chosen() != "many/0031" {
		t.Error("the form lost what was typed")
	}
	p.Click("h1")
	p.WaitGone("#target_branch-picker[open]")
}
