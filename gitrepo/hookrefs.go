package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"unicode/utf8"
)

// checkRefs refuses what can be told from the names alone.
func (h hook) checkRefs(ctx context.Context, updates []RefUpdate) error {
	var created []string
	gone := map[string]bool{}
	for _, u := range updates {
		name, branch := strings.CutPrefix(u.Ref, "refs/heads/")
		if !branch {
			var tag bool
			if name, tag = strings.CutPrefix(u.Ref, "refs/tags/"); !tag {
				return refusal(fmt.Sprintf("%s cannot be pushed: only branches and tags can.", validText(u.Ref)))
			}
		}
		if u.New == ZeroID {
			gone[u.Ref] = true
			continue // whatever its name, it may go
		}
		if !utf8.ValidString(name) || checkBranch(name) != nil {
			return refusal(fmt.Sprintf("%q cannot be pushed: names are valid UTF-8, do not begin with a dash and have at most %d bytes.", validText(name), maxBranchBytes))
		}
		if err := checkNewRef(name); err != nil && (u.Old == ZeroID || fullID.MatchString(name)) {
			return refusal("The push was refused: " + err.Error() + ".")
		}
		if u.Old == ZeroID {
			created = append(created, u.Ref)
		}
	}
	if len(created) == 0 {
		return nil
	}
	out, err := h.git(ctx, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags").Output()
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

// checkClashes refuses names like main/x beside main: git keeps refs as files
// and folders and would only say that it failed to update the ref.
func checkClashes(created []string, taken map[string]bool) error {
	inside := map[string]string{} // folder -> a ref in it
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
			return refusal(fmt.Sprintf("%s cannot be created because %s exists: git cannot have both names at once.", short(ref), short(other)))
		}
	}
	return nil
}

// markForced finds out whether a branch loses commits. Tags have no history to
// lose: a tag that moves is forced.
func (h hook) markForced(ctx context.Context, u *RefUpdate) error {
	if u.Old == ZeroID || u.New == ZeroID {
		return nil
	}
	if strings.HasPrefix(u.Ref, "refs/tags/") {
		u.Forced = true
		return nil
	}
	err := h.git(ctx, "merge-base", "--is-ancestor", u.Old, u.New).Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		u.Forced = true
		return nil
	}
	if err != nil {
		return errUnreachable
	}
	return nil
}
