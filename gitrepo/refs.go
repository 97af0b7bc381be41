package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxBranchBytes is the maximum length of a branch name. File systems allow as
// much for one segment of a path, and databases can index it.
const maxBranchBytes = 255

// Branch is a branch and the commit it points to.
type Branch struct {
	Name   string
	Commit Commit
}

// checkBranch returns an error if name is not a valid name of a branch or tag.
func checkBranch(name string) error {
	switch {
	case name == "", len(name) > maxBranchBytes, !utf8.ValidString(name):
	case name == "@", name == "HEAD", name[0] == '-', name[0] == '/', name[len(name)-1] == '/', name[len(name)-1] == '.':
	case strings.Contains(name, ".."), strings.Contains(name, "//"), strings.Contains(name, "@{"):
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) }):
	default:
		for part := range strings.SplitSeq(name, "/") {
			if strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
				return fmt.Errorf("%q is not a valid name of a branch", name)
			}
		}
		return nil
	}
	return fmt.Errorf("%q is not a valid name of a branch", validText(name))
}

var fullID = regexp.MustCompile(`^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$`)

// checkNewRef returns an error for names that a new branch or tag must not have:
// object ids, which git would read as the object, and names with bidirectional
// control characters, which look like other names.
func checkNewRef(name string) error {
	switch {
	case fullID.MatchString(name):
		return fmt.Errorf("%q is not allowed as the name of a branch or tag because it is an object id", name)
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }):
		return fmt.Errorf("%q is not allowed as the name of a branch or tag because it contains bidirectional control characters", name)
	}
	return nil
}

// BranchTip returns the commit that a branch points to; exists is false when
// there is no such branch.
func (r Repo) BranchTip(ctx context.Context, branch string) (sha string, exists bool, err error) {
	if checkBranch(branch) != nil {
		return "", false, nil
	}
	if sha := r.storedTip(branch); sha != "" {
		return sha, true, nil
	}
	r.view = false // one ref costs little, so it does not wait for other views
	return r.refTip(ctx, "refs/heads/"+branch)
}

// maxPackedRefs is the largest packed-refs file that storedTip reads, in bytes.
const maxPackedRefs = 1 << 20

// storedTip returns the tip of a branch from the files in which git stores refs, or "" if
// git must be asked: for a symbolic ref, many packed refs, the reftable format, or a
// branch that does not exist. It needs no process.
func (r Repo) storedTip(branch string) string {
	folder := r.store.path(r.id)
	// git replaces these files by renaming, so they are never half written. A ref that is
	// not in its own file is in packed-refs, and git writes its own file first.
	if own, err := os.ReadFile(filepath.Join(folder, "refs", "heads", filepath.FromSlash(branch))); err == nil {
		if sha := strings.TrimSuffix(string(own), "\n"); fullID.MatchString(sha) {
			return sha
		}
		return ""
	} else if !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	path := filepath.Join(folder, "packed-refs")
	if info, err := os.Stat(path); err != nil || info.Size() > maxPackedRefs {
		return ""
	}
	packed, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	end := bytes.Index(packed, []byte(" refs/heads/"+branch+"\n"))
	if end < 0 {
		return ""
	}
	sha := string(packed[bytes.LastIndexByte(packed[:end], '\n')+1 : end])
	if !fullID.MatchString(sha) {
		return ""
	}
	return sha
}

// BranchStamp returns a text that changes when the branch is created, moved or
// deleted. It may also change at other times. It reads a file and runs no program,
// so it is cheap enough for polls. If nothing can be read, it returns "".
func (r Repo) BranchStamp(branch string) string {
	if checkBranch(branch) != nil {
		return ""
	}
	folder := r.store.path(r.id)
	if tip, err := os.ReadFile(filepath.Join(folder, "refs", "heads", filepath.FromSlash(branch))); err == nil {
		return strings.TrimSpace(string(tip))
	}
	for _, name := range []string{"packed-refs", filepath.Join("reftable", "tables.list")} {
		if info, err := os.Stat(filepath.Join(folder, name)); err == nil {
			return strconv.FormatInt(info.ModTime().UnixNano(), 36) + "." + strconv.FormatInt(info.Size(), 36)
		}
	}
	return ""
}

// HasBranch reports whether a branch exists. To be fast in lists of projects, it
// reads the files in which git stores refs, and runs git only for a repository in
// the reftable format.
func (r Repo) HasBranch(ctx context.Context, branch string) (bool, error) {
	if checkBranch(branch) != nil {
		return false, nil
	}
	folder, ref := r.store.path(r.id), "refs/heads/"+branch
	if _, err := os.Stat(filepath.Join(folder, "reftable")); err == nil {
		_, ok, err := r.refTip(ctx, ref)
		return ok, err
	}
	if info, err := os.Stat(filepath.Join(folder, filepath.FromSlash(ref))); err == nil && info.Mode().IsRegular() {
		return true, nil
	}
	packed, err := os.ReadFile(filepath.Join(folder, "packed-refs"))
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(folder)
		if errors.Is(err, fs.ErrNotExist) {
			err = ErrMissing
		}
		return false, err
	}
	return bytes.Contains(packed, []byte(" "+ref+"\n")), err
}

// refTip returns the object to which a full ref name points.
func (r Repo) refTip(ctx context.Context, ref string) (sha string, ok bool, err error) {
	out, err := r.git(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", ref)
	if err != nil {
		if exitCode(err) == 1 {
			return "", false, nil
		}
		return "", false, err
	}
	return strings.TrimSpace(string(out)), true, nil
}

// Resolve returns the commit that name means: a full object id, a branch, a tag or
// at least seven digits of an object id, in this order. If there is none, it
// returns ErrNotFound.
func (r Repo) Resolve(ctx context.Context, name string) (string, error) {
	var candidates []string
	if fullID.MatchString(name) {
		candidates = append(candidates, name)
	}
	if checkBranch(name) == nil {
		candidates = append(candidates, "refs/heads/"+name, "refs/tags/"+name)
	}
	if len(name) >= 7 && len(name) < 40 && strings.Trim(name, "0123456789abcdefABCDEF") == "" {
		candidates = append(candidates, name)
	}
	for _, c := range candidates {
		out, err := r.git(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", c+"^{commit}")
		if err == nil {
			return strings.TrimSpace(string(out)), nil
		}
		if code := exitCode(err); code != 1 && code != 128 { // 128 for a tag of a tree
			return "", err
		}
	}
	return "", fmt.Errorf("%q is not a commit, branch or tag: %w", validText(name), ErrNotFound)
}

// eachBranch calls f with every branch, in the order of git.
func (r Repo) eachBranch(ctx context.Context, f func(name, sha string)) error {
	out, err := r.git(ctx, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(out)) {
		sha, ref, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		f(strings.TrimPrefix(ref, "refs/heads/"), sha)
	}
	return nil
}

// Branches lists the branches whose name contains search, ignoring case. The
// branches named in first come first; both parts are ordered by name. It skips
// offset branches and returns at most limit; total is the number of all that
// match.
func (r Repo) Branches(ctx context.Context, search string, offset, limit int, first ...string) (page []Branch, total int, err error) {
	search = strings.ToLower(search)
	var ids []string
	err = r.eachBranch(ctx, func(name, sha string) {
		if strings.Contains(strings.ToLower(name), search) {
			page = append(page, Branch{Name: name, Commit: Commit{SHA: sha}})
		}
	})
	if err != nil {
		return nil, 0, err
	}
	total = len(page)
	sort.Slice(page, func(i, j int) bool {
		if a, b := slices.Contains(first, page[i].Name), slices.Contains(first, page[j].Name); a != b {
			return a
		}
		return page[i].Name < page[j].Name
	})
	offset = min(max(offset, 0), total)
	page = page[offset : offset+min(max(limit, 0), total-offset)]
	for _, b := range page {
		ids = append(ids, b.Commit.SHA)
	}
	commits, err := r.commitsByID(ctx, ids)
	if err != nil {
		return nil, 0, err
	}
	for i, b := range page {
		page[i].Commit = commits[b.Commit.SHA]
	}
	return page, total, nil
}

// RecentBranches returns the names of the branches that contain search, ignoring
// case: the branch first, then the others by the date of their commit, newest
// first. It returns at most limit names; total is the number of all that match. It
// runs one git process.
func (r Repo) RecentBranches(ctx context.Context, search, first string, limit int) (names []string, total int, err error) {
	out, err := r.git(ctx, "for-each-ref", "--sort=refname", "--sort=-committerdate", "--format=%(refname)", "refs/heads")
	if err != nil {
		return nil, 0, err
	}
	search = strings.ToLower(search)
	for line := range strings.Lines(string(out)) {
		name := strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "refs/heads/")
		if !strings.Contains(strings.ToLower(name), search) {
			continue
		}
		total++
		switch {
		case name == first:
			names = append([]string{name}, names...)
		case len(names) <= limit: // one more, in case first follows
			names = append(names, name)
		}
	}
	return names[:min(max(limit, 0), len(names))], total, nil
}

// UpdateRef moves a ref, given by its full name, from old to new. ZeroID as old
// creates it. If the ref does not have the value old, it returns ErrRefMoved. No
// hook runs, so the caller processes the change.
func (r Repo) UpdateRef(ctx context.Context, ref, new, old string) error {
	if err := checkRefUpdate(ref, new, old); err != nil {
		return err
	}
	err := r.change(ctx, "", "update-ref", "--no-deref", "--end-of-options", ref, new, old)
	return r.refError(ctx, ref, old, err)
}

// DeleteRef deletes a ref, given by its full name. If the ref does not have the
// value old, it returns ErrRefMoved.
func (r Repo) DeleteRef(ctx context.Context, ref, old string) error {
	if err := checkRefUpdate(ref, old); err != nil {
		return err
	}
	err := r.change(ctx, "", "update-ref", "--no-deref", "-d", "--end-of-options", ref, old)
	return r.refError(ctx, ref, old, err)
}

// KeepHead points refs/merge-requests/<iid>/head to a commit, so the commit can be
// fetched and is kept after its branch is deleted.
func (r Repo) KeepHead(ctx context.Context, iid int64, sha string) error {
	if err := checkIDs(sha); err != nil {
		return err
	}
	err := r.change(ctx, "", "update-ref", "--no-deref", "--end-of-options", HeadRef(iid), sha)
	if exitCode(err) == 128 { // an id that git does not know
		return fmt.Errorf("keep HEAD of merge request %d: %w", iid, err)
	}
	return err
}

// HeadRef returns the ref that keeps HEAD of a merge request.
func HeadRef(iid int64) string {
	return "refs/merge-requests/" + strconv.FormatInt(iid, 10) + "/head"
}

// refError returns ErrRefMoved if moving a ref failed because it has another value
// than old. It reads the ref, because the messages of git differ between versions.
func (r Repo) refError(ctx context.Context, ref, old string, err error) error {
	var failed *CommandError
	if !errors.As(err, &failed) {
		return err
	}
	now, ok, readErr := r.refTip(ctx, ref)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	if !ok {
		now = ZeroID
	}
	if now != old {
		return fmt.Errorf("%s is at %s, not at %s: %w", ref, now, old, ErrRefMoved)
	}
	return fmt.Errorf("move %s: %w", ref, err)
}

// checkRefUpdate returns an error for an invalid full ref name and for anything but
// full object ids.
func checkRefUpdate(ref string, ids ...string) error {
	name, ok := strings.CutPrefix(ref, "refs/")
	if !ok || !strings.Contains(name, "/") || checkBranch(name) != nil {
		return fmt.Errorf("%q is not a ref", validText(ref))
	}
	return checkIDs(ids...)
}
