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

// Identity is the name and email address of an author or committer.
type Identity struct {
	Name  string
	Email string
}

// MergeInput is the input of PrepareMerge.
type MergeInput struct {
	TargetSHA string // tip of the target branch, the first parent
	SourceSHA string // commit to merge, the second parent
	Message   string
	Squash    bool // create the commit without the second parent
	Author    Identity
	Committer Identity
	When      time.Time
}

// MergeResult is a prepared merge commit, to which no ref points yet, or the files
// in conflict.
type MergeResult struct {
	// SHA is the prepared commit; empty if there are conflicts.
	SHA string
	// Conflicts are the paths of the files in conflict, sorted.
	Conflicts []string
}

// PrepareMerge creates the commit that merges the source into the target. It uses
// no work tree and moves no ref; call UpdateRef for that. Conflicts are a result,
// not an error. Errors are ErrNothingToMerge, ErrUnrelated and ErrNotFound (an
// unknown commit).
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

// Conflicts returns the paths of the files that would be in conflict if source
// were merged into target, sorted. Errors are ErrUnrelated, ErrNotFound (an unknown
// commit) and ErrTooLarge. The result is cached and must not be changed.
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

// checkTrees reads every tree of the commits once and returns an error if one is
// damaged. git before 2.46 treats a damaged tree as empty, so a merge would delete
// its files.
func (r Repo) checkTrees(ctx context.Context, ids ...string) error {
	c := r.command(append([]string{"rev-list", "--no-walk", "--objects", "--filter=blob:none", "--end-of-options"}, ids...)...)
	err := r.store.stream(ctx, c, func(out io.Reader) (bool, error) {
		_, err := io.Copy(io.Discard, out)
		return true, err
	})
	if err != nil {
		return fmt.Errorf("read the trees of %s: %w", strings.Join(ids, " and "), err)
	}
	return nil
}

// mergeTree merges two commits and returns the tree, or the files in conflict.
func (r Repo) mergeTree(ctx context.Context, target, source string) (tree string, conflicts []string, err error) {
	out, err := r.git(ctx, "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", "--end-of-options", target, source)
	records := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	// Exit code 1 means conflicts or an unknown revision. With conflicts, the
	// output begins with the id of a tree.
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
			return "", nil, fmt.Errorf("git merge-tree listed no conflicts: %w", err)
		}
		return "", conflicts, nil
	}
	if base, ok, baseErr := r.MergeBase(ctx, target, source); baseErr == nil && !ok && base == "" {
		return "", nil, ErrUnrelated
	}
	if err == nil {
		err = errors.New("git merge-tree printed no tree")
	}
	return "", nil, err
}

// commitTree creates a commit of a tree and returns its id.
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

// cleanMessage returns a commit message in valid UTF-8, with LF line ends and
// exactly one at the end.
func cleanMessage(message string) string {
	return strings.TrimRight(strings.ReplaceAll(validText(message), "\r\n", "\n"), "\n") + "\n"
}

// clean returns the identity without the characters that git rejects or strips:
// control characters, angle brackets and surrounding punctuation. An empty name
// becomes the local part of the email address, or "Unknown".
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
