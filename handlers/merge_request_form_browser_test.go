package handlers

import (
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestBrowserMergeRequestForm_TargetBranch_ListsItsChecks(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.Service("licence")
	s.Service("gate", "release/*")
	s.Git.AddCommit(s.Project.ID, "release/1", s.Git.Tip(s.Project.ID, "main"))
	s.setGate(true)
	p := browsertest.Open(t, s.as(s.Member("mona", models.RoleDeveloper)).serve()+pearMergeRequestsPath+"/new")
	p.WaitText("#checks-preview", "1 status check will run")
	p.WaitText("#checks-preview", "licence. All must pass before merging.")
	p.Fill("#mr-title", "Trim the pear")
	p.Click("#target_branch")
	p.Press("release/1")
	p.WaitText("#checks-preview", "2 status checks will run")
	p.WaitText("#checks-preview", "licence, gate.")
	if title := browsertest.Eval[string](p, `document.querySelector("#mr-title").value`); title != "Trim the pear" {
		t.Errorf("the title is %q", title)
	}
}
