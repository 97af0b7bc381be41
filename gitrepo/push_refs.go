package gitrepo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// pushCheck checks a push before its handler sees it.
type pushCheck struct {
	repo    Repo
	objects []string // environment variables with which git finds the new objects
}

// run rejects the push with a refusal, or sets Forced of its updates.
func (c pushCheck) run(ctx context.Context, updates []RefUpdate) error {
	if err := c.checkRefs(ctx, updates); err != nil {
		return err
	}
	return c.markForced(ctx, updates)
}

// command returns a git command that sees the new objects. It takes no place in a
// pool, because receive-pack, which waits for it, has one.
func (c pushCheck) command(input string, args ...string) command {
	cmd := c.repo.command(args...)
	cmd.stdin = strings.NewReader(input)
	cmd.limits = c.repo.store.serviceLimits()
	cmd.limits.pool = nil
	cmd.env = c.objects
	return cmd
}

// checkRefs rejects refs that are not allowed because of their names.
func (c pushCheck) checkRefs(ctx context.Context, updates []RefUpdate) error {
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
	taken := map[string]bool{}
	err := c.lines(ctx, c.command("", "for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags"), func(ref string) {
		if !gone[ref] {
			taken[ref] = true
		}
	})
	if err != nil {
		return err
	}
	for _, ref := range created {
		taken[ref] = true
	}
	return checkClashes(created, taken)
}

// lines calls f with each line of the output of a command.
func (c pushCheck) lines(ctx context.Context, cmd command, f func(line string)) error {
	return c.repo.store.stream(ctx, cmd, func(out io.Reader) (bool, error) {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			f(lines.Text())
		}
		return true, lines.Err()
	})
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
func (c pushCheck) markForced(ctx context.Context, updates []RefUpdate) error {
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
		if parents, err = c.newCommits(ctx, moved); err != nil {
			return err
		}
	}
	for _, u := range moved {
		if leadsTo(parents, u.New, u.Old) {
			continue
		}
		_, err := c.repo.store.run(ctx, c.command("", "merge-base", "--is-ancestor", u.Old, u.New))
		if exitCode(err) == 1 {
			u.Forced = true
		} else if err != nil {
			return err
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
func (c pushCheck) newCommits(ctx context.Context, updates []*RefUpdate) (map[string][]string, error) {
	var tips strings.Builder
	for _, u := range updates {
		fmt.Fprintf(&tips, "%s\n^%s\n", u.New, u.Old)
	}
	parents := map[string][]string{}
	cmd := c.command(tips.String(), "rev-list", "--parents", "--max-count="+strconv.Itoa(maxNewCommits), "--stdin")
	err := c.lines(ctx, cmd, func(line string) {
		ids := strings.Fields(line)
		parents[ids[0]] = ids[1:]
	})
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
