package gitrepo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// WriteInput is the input of WriteCommit.
type WriteInput struct {
	// Branch is created if it does not exist; otherwise its tip must be Parent.
	Branch string
	// Parent is the id of the parent commit. Empty creates a first commit.
	Parent string
	// Files are the contents of the files to write, by path.
	Files map[string]string
	// Delete lists the paths to delete.
	Delete  []string
	Message string
	Author  Identity // also the committer
	When    time.Time
}

// WriteCommit creates a commit on a branch and returns its id. If the branch exists
// and its tip is not Parent, it returns ErrRefMoved. No hook runs.
func (r Repo) WriteCommit(ctx context.Context, in WriteInput) (string, error) {
	if err := checkBranch(in.Branch); err != nil {
		return "", err
	}
	old, exists, err := r.BranchTip(ctx, in.Branch)
	if err != nil {
		return "", err
	}
	if !exists {
		if err := checkNewRef(in.Branch); err != nil {
			return "", err
		}
		old = ZeroID
	} else if old != in.Parent {
		return "", fmt.Errorf("%s is at %s, not at %q: %w", in.Branch, old, in.Parent, ErrRefMoved)
	}
	// fast-import writes to a temporary ref, because it cannot move a branch by
	// compare-and-swap.
	temporary := "refs/mergegate/import/" + randomName()
	stream, err := in.stream(temporary)
	if err != nil {
		return "", err
	}
	if err := r.change(ctx, stream, "fast-import", "--quiet", "--done", "--date-format=raw"); err != nil {
		return "", fmt.Errorf("write a commit on %s: %w", in.Branch, r.unknownCommit(ctx, err, in.Parent))
	}
	sha, ok, err := r.refTip(ctx, temporary)
	if err != nil || !ok {
		return "", fmt.Errorf("read the commit written on %s: %w", in.Branch, err)
	}
	moveErr := r.UpdateRef(ctx, "refs/heads/"+in.Branch, sha, old)
	if err := r.DeleteRef(ctx, temporary, sha); err != nil {
		r.store.log.WarnContext(ctx, "deleting a temporary ref failed", "project_id", r.id, "ref", temporary, "error", err)
	}
	return sha, moveErr
}

// stream returns the commit as the input of git fast-import.
func (in WriteInput) stream(ref string) (string, error) {
	var b strings.Builder
	if in.Parent != "" {
		if err := checkIDs(in.Parent); err != nil {
			return "", err
		}
	}
	who := in.Author.clean()
	message := cleanMessage(in.Message)
	fmt.Fprintf(&b, "commit %s\n", ref)
	for _, role := range []string{"author", "committer"} {
		fmt.Fprintf(&b, "%s %s <%s> %s +0000\n", role, who.Name, who.Email, strconv.FormatInt(in.When.Unix(), 10))
	}
	fmt.Fprintf(&b, "data %d\n%s\n", len(message), message)
	if in.Parent != "" {
		fmt.Fprintf(&b, "from %s\n", in.Parent)
	}
	for _, path := range in.Delete {
		quoted, err := quotePath(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "D %s\n", quoted)
	}
	for _, path := range slices.Sorted(maps.Keys(in.Files)) {
		quoted, err := quotePath(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "M 100644 inline %s\ndata %d\n%s\n", quoted, len(in.Files[path]), in.Files[path])
	}
	b.WriteString("done\n")
	return b.String(), nil
}

// quotePath quotes a path for git fast-import. It returns an error for paths that
// git refuses to check out.
func quotePath(path string) (string, error) {
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." || strings.EqualFold(part, ".git") || strings.ContainsAny(part, "\x00\n") {
			return "", fmt.Errorf("%q is not a valid path of a file", validText(path))
		}
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path) + `"`, nil
}
