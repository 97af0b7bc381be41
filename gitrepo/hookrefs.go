package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"unicode/utf8"
)

// checkRefs rejects refs that are not allowed because of their names.
func (h hook) checkRefs(ctx context.Context, updates []RefUpdate) error {
	var created []string
	gone := map[string]bool{}
	for _, u := range updates {
		name, branch := strings.CutPrefix(u.Ref, "refs/heads/")
		if !branch {
			var tag bool
			if name, tag = strings.CutPrefix(u.Ref, "refs/tags/"); !tag {
				return refusal(fmt.Sprintf("%s cannot be pushed: only branches and tags can be pushed.", validText(u.Ref)))
			}
		}
		if u.New == ZeroID {
			gone[u.Ref] = true
			continue // a ref with an invalid name may be deleted
		}
		if !utf8.ValidString(name) || checkBranch(name) != nil {
			return refusal(fmt.Sprintf("%q cannot be pushed: a name must be valid for git and UTF-8, must not begin with a dash and may have at most %d bytes.", validText(name), maxBranchBytes))
		}
		if err := checkNewRef(name); err != nil && (u.Old == ZeroID || fullID.MatchString(name)) {
			return refusal("The push was rejected: " + err.Error() + ".")
		}
		if u.Old == ZeroID {
			created = append(created, u.Ref)
		}
	}
	if len(created) == 0 {
		return nil
	}
	out, err := h.git(ctx, "", "for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags")
	if err != nil {
		return errUnreachable
	}
	taken := map[string]bool{}
	for ref := range strings.Lines(string(out)) {
		if ref = strings.TrimSuffix(ref, "\n"); !gone[ref] {
			taken[ref] = true
		}
	}
	for _, ref := range created {
		taken[ref] = true
	}
	return checkClashes(created, taken)
}

// checkClashes rejects names like main/x if main exists. git stores refs as files
// and folders, and its own error message would not name the reason.
func checkClashes(created []string, taken map[string]bool) error {
	inside := map[string]string{} // a ref by each folder that contains it
	for ref := range taken {
		for i := len(ref) - 1; i > len("refs/heads"); i-- {
			if ref[i] == '/' {
				inside[ref[:i]] = ref
			}
		}
	}
	short := func(ref string) string {
		return strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/")
	}
	for _, ref := range created {
		other := inside[ref]
		for i := len(ref) - 1; i > len("refs/heads") && other == ""; i-- {
			if ref[i] == '/' && taken[ref[:i]] {
				other = ref[:i]
			}
		}
		if other != "" {
			return refusal(fmt.Sprintf("%s cannot be created because %s exists: git does not allow both names.", short(ref), short(other)))
		}
	}
	return nil
}

// markForced sets Forced if a branch loses commits or a tag moves.
func (h hook) markForced(ctx context.Context, updates []RefUpdate) error {
	var moved []*RefUpdate
	for i, u := range updates {
		switch {
		case u.Old == ZeroID || u.New == ZeroID:
		case strings.HasPrefix(u.Ref, "refs/tags/"):
			updates[i].Forced = true
		default:
			moved = append(moved, &updates[i])
		}
	}
	var parents map[string][]string
	if len(moved) > 1 {
		var err error
		if parents, err = h.newCommits(ctx, moved); err != nil {
			return errUnreachable
		}
	}
	for _, u := range moved {
		if leadsTo(parents, u.New, u.Old) {
			continue
		}
		_, err := h.git(ctx, "", "merge-base", "--is-ancestor", u.Old, u.New)
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == 1 {
			u.Forced = true
		} else if err != nil {
			return errUnreachable
		}
	}
	return nil
}

// maxNewCommits limits what newCommits reads.
const maxNewCommits = 50_000

// newCommits returns the parents of commits that updates bring, by commit: those
// reachable from a new tip but from no old one, as far as maxNewCommits. Most updates
// can be judged with them, so a push of many branches takes one process instead of one
// per branch.
func (h hook) newCommits(ctx context.Context, updates []*RefUpdate) (map[string][]string, error) {
	var tips strings.Builder
	for _, u := range updates {
		fmt.Fprintf(&tips, "%s\n^%s\n", u.New, u.Old)
	}
	out, err := h.git(ctx, tips.String(), "rev-list", "--parents", "--max-count="+strconv.Itoa(maxNewCommits), "--stdin")
	parents := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		ids := strings.Fields(line)
		parents[ids[0]] = ids[1:]
	}
	return parents, err
}

// leadsTo reports whether old is an ancestor of id, or id itself, as far as parents shows.
func leadsTo(parents map[string][]string, id, old string) bool {
	seen, next := map[string]bool{}, []string{id}
	for len(next) > 0 {
		id, next = next[len(next)-1], next[:len(next)-1]
		if id == old {
			return true
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		next = append(next, parents[id]...)
	}
	return false
}
