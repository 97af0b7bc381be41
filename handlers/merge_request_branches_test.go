package handlers

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// pickerBranches lists the branches that a picker shows, with a star after the
// chosen one.
func (a response) pickerBranches(list string) string {
	var names []string
	for _, option := range a.Find(list + " .listbox__option").EachIter() {
		name := collapseSpace(option.Text())
		if _, chosen := option.Find("input").Attr("checked"); chosen {
			name += "*"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

func TestBranchPicker_Search_ListsMatchingBranches(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.openMergeRequest("other")
		v := s.as(s.Member("dev", models.RoleDeveloper))
		form := v.get(pearMergeRequestsPath + "/new?source_branch=feature").wantStatus(http.StatusOK)
		if got := form.pickerBranches("#source_branch-options"); got != "main default, feature*, other" {
			t.Errorf("source branches: %s", got)
		}
		if got := form.pickerBranches("#target_branch-options"); got != "main default*, feature, other" {
			t.Errorf("target branches: %s", got)
		}
		for query, want := range map[string]string{
			"":                                  "main default, feature, other",
			"&search=ea":                        "feature",
			"&search=ea&source_branch=other":    "other*, feature",
			"&search=zzz&source_branch=other":   "other*",
			"&search=%25":                       "",
			"&search=%ff%00&source_branch=%00a": "a*",
		} {
			list := v.withHTMX().get(pearMergeRequestsPath + "/new/branches?field=source_branch" + query).wantStatus(http.StatusOK)
			if got := list.pickerBranches("#source_branch-options"); got != want && query != "&search=%ff%00&source_branch=%00a" {
				t.Errorf("%s lists %s, want %s", query, got, want)
			}
		}
		none := v.get(pearMergeRequestsPath + "/new/branches?field=target_branch&search=%3Cz%3E").wantStatus(http.StatusOK)
		if got := none.text("#target_branch-options"); got != "No branches match “<z>”." || none.text("[hx-swap-oob]") != got {
			t.Errorf("empty list %q, or the live region differs", got)
		}
		s.as(s.Member("rep", models.RoleReporter)).get(pearMergeRequestsPath + "/new/branches?field=source_branch").wantStatus(http.StatusForbidden)
		s.signedOut().get(pearMergeRequestsPath + "/new/branches?field=source_branch").wantStatus(http.StatusSeeOther)
	})
}

func TestBranchPicker_ThousandsOfBranches_ListsFirst(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	s.git.many = 5000
	s.Git.AddCommit(s.Project.ID, "many/4999", s.Git.Tip(s.Project.ID, "main"))
	v := s.as(s.Owner)
	form := v.get(pearMergeRequestsPath + "/new?source_branch=many/4999").wantStatus(http.StatusOK)
	if n := form.Find("#source_branch-options input").Length(); n != maxPickerBranches+1 {
		t.Errorf("%d branches are listed", n)
	}
	if got := form.text("#target_branch-options .listbox__note"); got != "50 of 5002 branches, latest first. Search to find the others." {
		t.Errorf("note %q", got)
	}
	if len(form.body) > 64<<10 {
		t.Errorf("the form has %d bytes", len(form.body))
	}
	found := v.get(pearMergeRequestsPath + "/new/branches?field=source_branch&search=499").wantStatus(http.StatusOK)
	if got := found.text("[hx-swap-oob]"); got != "15 branches found." {
		t.Errorf("live region %q", got)
	}
	// Without script the name is typed and takes precedence over the list.
	fields := url.Values{"source_branch": {"main"}, "source_branch_typed": {" many/4999 "}, "target_branch": {"main"}, "title": {"Typed"}}
	if got := v.post(pearMergeRequestsPath, fields).wantStatus(http.StatusSeeOther).header.Get("Location"); got != pearMergeRequestsPath+"/1" {
		t.Errorf("Location = %q", got)
	}
	fields.Set("target_branch_typed", "nowhere")
	again := v.post(pearMergeRequestsPath, fields).wantStatus(http.StatusUnprocessableEntity)
	if got := again.text("#target_branch-value"); got != "nowhere" || again.text("#target_branch-error") != "This branch does not exist" {
		t.Errorf("target branch %q, or no message", got)
	}
	if _, kept := again.fields("main form[method=post]"); kept.Get("target_branch") != "nowhere" || kept.Get("source_branch") != "many/4999" {
		t.Errorf("the rejected form keeps %v", kept)
	}
}

func TestMergeRequestForm_BranchListFails_StillOpens(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	s.git.fails = errors.New("the disk is gone")
	v := s.as(s.Owner)
	form := v.get(pearMergeRequestsPath + "/new").wantStatus(http.StatusOK)
	for _, field := range []string{"#source_branch-failed", "#target_branch-failed"} {
		if _, hidden := form.Find(field).Attr("hidden"); hidden || form.text(field) != "Unable to fetch branches list, please close the form and try again" {
			t.Errorf("%s says %q, hidden %v", field, form.text(field), hidden)
		}
	}
	if got := form.pickerBranches("#target_branch-options"); got != "main default*" {
		t.Errorf("the target branch is %s", got)
	}
	v.get(pearMergeRequestsPath + "/new/branches?field=source_branch").wantStatus(http.StatusInternalServerError)
}
