package gitrepo

import (
	"slices"
	"testing"
)

// A push of several branches marks those that lose commits, whatever else it brings.
func TestPush_SeveralBranches_MarksForcedOnes(t *testing.T) {
	h := newGitHost(t, Options{})
	c := newClient(t, h.url)
	base := c.commit("a.txt", "one\n")
	c.git("push", "origin", "main", "main:ahead", "main:lost", "main:back", "main:same")
	ahead := c.commit("a.txt", "two\n")
	c.git("push", "origin", "main:back")
	c.git("commit", "--quiet", "--amend", "-m", "Other")
	c.git("switch", "--quiet", "--orphan", "orphan")
	orphan := c.commit("b.txt", "x\n")
	c.git("push", "--force", "origin", ahead+":refs/heads/ahead", orphan+":refs/heads/lost", base+":refs/heads/back", base+":refs/heads/same", ahead+":refs/heads/new")
	pre := h.seen(preReceive)
	var forced []string
	for _, u := range pre[len(pre)-1].Updates {
		if u.Forced {
			forced = append(forced, u.Ref)
		}
	}
	slices.Sort(forced)
	if want := []string{"refs/heads/back", "refs/heads/lost"}; !slices.Equal(forced, want) {
		t.Errorf("forced %v, want %v", forced, want)
	}
}
