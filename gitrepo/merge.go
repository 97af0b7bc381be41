package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Identity is the name and address that a commit carries.
type Identity struct {
	Name  string
	Email string
}

// MergeInput says what to merge and how.
type MergeInput struct {
	TargetSHA string // the tip of the target branch, the merge's first parent
	SourceSHA string // what is merged into it
	Message   string
	Squash    bool // one commit on the target, without the source as a parent
	Author    Identity
	Committer Identity
	When      time.Time
}

// MergeResult is a prepared merge commit, which no ref points to yet, or the
// reason why there is none.
type MergeResult struct {
	// SHA is the prepared commit; empty when there are conflicts.
	SHA string
	// Conflicts names the files that both sides changed, sorted.
	Conflicts []string
}

// PrepareMerge makes the commit that merges the source into the target,
// without a work tree and without moving a ref; UpdateRef does that when the
// caller has decided. Conflicts are a result, not an error. ErrNothingToMerge,
// ErrUnrelated and ErrNotFound (an unknown commit) are errors.
func (r Repo) PrepareMerge(ctx context.Context, in MergeInput) (MergeResult, error) {
	if contained, err := r.IsAncestor(ctx, in.SourceSHA, in.TargetSHA); err != nil {
		return MergeResult{}, err
	} else if contained {
		return MergeResult{}, ErrNothingToMerge
	}
	if err := r.checkTrees(ctx, in.TargetSHA, in.SourceSHA); err != nil {
		return MergeResult{}, err
	}
	tree, conflicts, err := r.mergeTree(ctx, in.TargetSHA, in.SourceSHA)
	if err != nil || len(conflicts) > 0 {
		return MergeResult{Conflicts: conflicts}, err
	}
	parents := []string{in.TargetSHA}
	if !in.Squash {
		parents = append(parents, in.SourceSHA)
	}
	sha, err := r.commitTree(ctx, tree, parents, in)
	return MergeResult{SHA: sha}, err
}

// Conflicts names the files that a merge of source into target could not
// merge, sorted; none when it could. ErrUnrelated, ErrNotFound (an unknown
// commit) and ErrTooLarge are errors. The result must not be changed.
func (r Repo) Conflicts(ctx context.Context, target, source string) ([]string, error) {
	if err := checkIDs(target, source); err != nil {
		return nil, err
	}
	return cached(ctx, &r.store.answers, answerKey{r.id, "conflicts", target, source, DiffLimits{}}, func(ctx context.Context) ([]string, int, bool, error) {
		_, conflicts, err := r.mergeTree(ctx, target, source)
		size := 0
		for _, name := range conflicts {
			size += len(name) + 50
		}
		return conflicts, size, err == nil, r.unknownCommit(ctx, err, target, source)
	})
}

// checkTrees reads every folder of the commits, each tree once however often
// it is used. The git of 2024 and before takes a folder that is damaged for an
// empty one when it merges, and would make a merge that deletes its files.
func (r Repo) checkTrees(ctx context.Context, ids ...string) error {
	c := r.command(append([]string{"rev-list", "--no-walk", "--objects", "--filter=blob:none", "--end-of-options"}, ids...)...)
	err := r.store.stream(ctx, c, func(out io.Reader) (bool, error) {
		_, err := io.Copy(io.Discard, out)
		return true, err
	})
	if err != nil {
		return fmt.Errorf("the files of %s cannot be read: %w", strings.Join(ids, " or "), err)
	}
	return nil
}

// mergeTree merges two commits to a tree, or names the files in conflict.
func (r Repo) mergeTree(ctx context.Context, target, source string) (tree string, conflicts []string, err error) {
	out, err := r.git(ctx, "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", "--end-of-options", target, source)
	records := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	// Exit code 1 means conflicts, but an unknown revision too: only with the
	// id of a tree first is it an answer.
	if code := exitCode(err); (err == nil || code == 1) && idPattern.MatchString(records[0]) {
		if err == nil {
			return records[0], nil, nil
		}
		for _, name := range records[1:] {
			if name == "" {
				break
			}
			conflicts = append(conflicts, validText(name))
		}
		if len(conflicts) == 0 {
			return "", nil, fmt.Errorf("merge-tree reports conflicts and names none: %w", err)
		}
		return "", conflicts, nil
	}
	if base, ok, baseErr := r.MergeBase(ctx, target, source); baseErr == nil && !ok && base == "" {
		return "", nil, ErrUnrelated
	}
	if err == nil {
		err = errors.New("merge-tree printed no tree")
	}
	return "", nil, err
}

// commitTree makes a commit of a tree.
func (r Repo) commitTree(ctx context.Context, tree string, parents []string, in MergeInput) (string, error) {
	args := []string{"commit-tree", "-F", "-"}
	for _, p := range parents {
		args = append(args, "-p", p)
	}
	c := r.command(append(args, tree)...)
	c.stdin = strings.NewReader(cleanMessage(in.Message))
	date := strconv.FormatInt(in.When.Unix(), 10) + " +0000"
	author, committer := in.Author.clean(), in.Committer.clean()
	c.env = []string{
		"GIT_AUTHOR_NAME=" + author.Name, "GIT_AUTHOR_EMAIL=" + author.Email, "GIT_AUTHOR_DATE=@" + date,
		"GIT_COMMITTER_NAME=" + committer.Name, "GIT_COMMITTER_EMAIL=" + committer.Email, "GIT_COMMITTER_DATE=@" + date,
	}
	out, err := r.store.run(ctx, c)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(out)), nil
}

// cleanMessage is a commit message as git takes it: valid text that ends with
// one line break.
func cleanMessage(message string) string {
	return strings.TrimRight(strings.ReplaceAll(validText(message), "\r\n", "\n"), "\n") + "\n"
}

// clean is the identity without what git refuses or strips: control
// characters, angle brackets, and names made of punctuation only.
func (i Identity) clean() Identity {
	strip := func(s string) string {
		return strings.Trim(strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f || r == '<' || r == '>' {
				return -1
			}
			return r
		}, validText(s)), " .,:;\"\\'")
	}
	i.Name, i.Email = strip(i.Name), strip(i.Email)
	if i.Name == "" {
		if i.Name, _, _ = strings.Cut(i.Email, "@"); i.Name == "" {
			i.Name = "Unknown"
		}
	}
	return i
}
