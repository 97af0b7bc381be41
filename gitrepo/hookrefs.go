package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
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
