package auth

import (
	"fmt"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// subjects are the columns of the table in TestCan, for each visibility.
var subjects = func() (all []Subject) {
	for _, v := range []models.Visibility{models.VisibilityPrivate, models.VisibilityInternal, models.VisibilityPublic} {
		all = append(all, Subject{Visibility: v})
		for _, r := range append([]models.Role{models.RoleNone}, models.Roles...) {
			all = append(all, Subject{SignedIn: true, Role: r, Visibility: v})
		}
	}
	return all
}()

// TestCan compares the table of abilities with one that is written out. For
// each visibility there is a letter for visitor, signed-in non-member, Guest,
// Reporter, Developer, Maintainer and Owner: y is Allowed, . is Forbidden and
// - is Hidden.
func TestCan(t *testing.T) {
	want := map[Ability][3]string{
		//                        private    internal   public
		ReadProject:             {"--yyyyy", "-yyyyyy", "yyyyyyy"},
		ReadCode:                {"---yyyy", "-yyyyyy", "yyyyyyy"},
		ReadStatusChecks:        {"---yyyy", "-yyyyyy", "---yyyy"},
		ReadServiceURL:          {"----yyy", "----yyy", "----yyy"},
		CreateMergeRequest:      {"---.yyy", "-...yyy", "....yyy"},
		UpdateMergeRequest:      {"---.yyy", "-...yyy", "....yyy"},
		Approve:                 {"---.yyy", "-...yyy", "....yyy"},
		Merge:                   {"---.yyy", "-...yyy", "....yyy"},
		PushCode:                {"---.yyy", "-...yyy", "....yyy"},
		RetryStatusCheck:        {"---.yyy", "-...yyy", "....yyy"},
		SetStatus:               {"---.yyy", "-...yyy", "....yyy"},
		ManageStatusChecks:      {"--...yy", "-....yy", ".....yy"},
		ManageProtectedBranches: {"--...yy", "-....yy", ".....yy"},
		ManageMembers:           {"--...yy", "-....yy", ".....yy"},
		ManageTokens:            {"--...yy", "-....yy", ".....yy"},
		ManageMergeChecks:       {"--...yy", "-....yy", ".....yy"},
		ReadDeliveries:          {"--...yy", "-....yy", ".....yy"},
		ReadAuditEvents:         {"--...yy", "-....yy", ".....yy"},
		AdminProject:            {"--....y", "-.....y", "......y"},
		ManageOwners:            {"--....y", "-.....y", "......y"},
		CreateProject:           {".yyyyyy", ".yyyyyy", ".yyyyyy"},
		CreateNamespace:         {".......", ".......", "......."},
		ManageUsers:             {".......", ".......", "......."},
		AdminInstance:           {".......", ".......", "......."},
	}
	if len(want) != len(rules) {
		t.Errorf("the test covers %d abilities, the table has %d", len(want), len(rules))
	}
	letters := map[Verdict]byte{Allowed: 'y', Forbidden: '.', Hidden: '-'}
	for ability, columns := range want {
		for i, s := range subjects {
			letter := columns[i/7][i%7]
			name := fmt.Sprintf("%s: %s project, signed in %v, %s", ability, s.Visibility, s.SignedIn, s.Role)
			if got := Can(s, ability); got != (letter == 'y') {
				t.Errorf("%s: Can = %v", name, got)
			}
			if got := letters[Decide(s, ability)]; got != letter {
				t.Errorf("%s: Decide = %c, want %c", name, got, letter)
			}
		}
	}
}

func TestCan_Admin_HasEveryAbility(t *testing.T) {
	for ability := range rules {
		for _, s := range subjects {
			s.SignedIn, s.Admin = true, true
			if !Can(s, ability) || Decide(s, ability) != Allowed {
				t.Errorf("%s: refused to an administrator (%+v)", ability, s)
			}
		}
	}
}

func TestCan_Visitor_IgnoresAdminAndRole(t *testing.T) {
	s := Subject{Admin: true, Role: models.RoleOwner, Visibility: models.VisibilityPrivate}
	for ability := range rules {
		if Can(s, ability) {
			t.Errorf("%s: allowed for a visitor", ability)
		}
	}
}

func TestCan_UnknownAbility_IsRefused(t *testing.T) {
	s := Subject{SignedIn: true, Admin: true, Role: models.RoleOwner, Visibility: models.VisibilityPublic}
	if Can(s, "fly") || Decide(s, "fly") != Hidden {
		t.Error("an ability that does not exist was granted")
	}
}
