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

// maxBranchBytes is the longest branch name taken: the file systems' limit for
// one segment, applied to the whole, which databases can index.
const maxBranchBytes = 255

// Branch is a branch and the commit it points to.
type Branch struct {
	Name   string
	Commit Commit
}

// checkBranch refuses what cannot be the name of a branch.
func checkBranch(name string) error {
	switch {
	case name == "", len(name) > maxBranchBytes, !utf8.ValidString(name):
	case name == "@", name == "HEAD", name[0] == '-', name[0] == '/', name[len(name)-1] == '/', name[len(name)-1] == '.':
	case strings.Contains(name, ".."), strings.Contains(name, "//"), strings.Contains(name, "@{"):
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) }):
	default:
		for part := range strings.SplitSeq(name, "/") {
			if strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
				return fmt.Errorf("%q cannot be the name of a branch", name)
			}
		}
		return nil
	}
	return fmt.Errorf("%q cannot be the name of a branch", validText(name))
}

var fullID = regexp.MustCompile(`^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$`)

// checkNewRef refuses what a new branch or tag must not be called: a full object
// id, which git and clients would take for the object, and names with
// bidirectional control characters, which look like other names.
func checkNewRef(name string) error {
	switch {
	case fullID.MatchString(name):
		return fmt.Errorf("%q cannot be the name of a branch or tag: it is an object id", name)
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }):
		return fmt.Errorf("%q cannot be the name of a branch or tag: it has bidirectional control characters", name)
	}
	return nil
}

// BranchTip returns the commit that a branch points to; exists is false when
// there is no such branch.
func (r Repo) BranchTip(ctx context.Context, branch string) (sha string, exists bool, err error) {
	if checkBranch(branch) != nil {
		return "", false, nil
	}
	r.view = false // one ref costs little, so it does not wait for other views
	return r.refTip(ctx, "refs/heads/"+branch)
}

// BranchStamp is a text that changes when the branch moves, comes or goes. It
// may change without that. It reads the repository's files and runs no program,
// so it is cheap enough for polls; "" where nothing can be read.
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

// HasBranch reports whether there is a branch. For lists of projects it looks
// into the repository's files itself, where git keeps one file per ref or a line
// per ref in packed-refs; a repository that keeps them otherwise is asked.
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

// refTip is the object a full ref name points to.
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

// Resolve finds the commit that a whole object id, a branch, a tag or at least
// seven digits of an object id name, in this order. A name of nothing is
// ErrNotFound.
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
		if code := exitCode(err); code != 1 && code != 128 { // 128: a tag of a tree
			return "", err
		}
	}
	return "", fmt.Errorf("%q names no commit: %w", validText(name), ErrNotFound)
}

// eachBranch calls f with every branch in git's order (by bytes of the name).
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

// Branches lists the branches whose name contains search, without regard to
// case, those named in first before the others and each sorted by name, from
// offset on, limit at most, with their commits; total counts all that match.
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

// RecentBranches names the branches whose name contains search, without regard
// to case: the branch first before all others, then the one committed to most
// lately, limit at most; total counts all that match. One process answers,
// however many branches there are.
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
		case len(names) <= limit: // one more, for first may still come
			names = append(names, name)
		}
	}
	return names[:min(max(limit, 0), len(names))], total, nil
}

// UpdateRef moves a full ref name from the id old to the id new, both whole;
// ZeroID as old creates it. A ref that is elsewhere gives ErrRefMoved and
// stays. No hook runs: whoever moves a ref tells of it.
func (r Repo) UpdateRef(ctx context.Context, ref, new, old string) error {
	if err := checkRefUpdate(ref, new, old); err != nil {
		return err
	}
	err := r.change(ctx, "", "update-ref", "--no-deref", "--end-of-options", ref, new, old)
	return r.refError(ctx, ref, old, err)
}

// DeleteRef removes a full ref name that points to the id old, ErrRefMoved
// otherwise.
func (r Repo) DeleteRef(ctx context.Context, ref, old string) error {
	if err := checkRefUpdate(ref, old); err != nil {
		return err
	}
	err := r.change(ctx, "", "update-ref", "--no-deref", "-d", "--end-of-options", ref, old)
	return r.refError(ctx, ref, old, err)
}

// KeepHead makes refs/merge-requests/<iid>/head point to a commit, so that it
// stays when its branch goes, and can be fetched.
func (r Repo) KeepHead(ctx context.Context, iid int64, sha string) error {
	if err := checkIDs(sha); err != nil {
		return err
	}
	err := r.change(ctx, "", "update-ref", "--no-deref", "--end-of-options", headRef(iid), sha)
	if exitCode(err) == 128 { // an id that git does not know
		return fmt.Errorf("keep the head of merge request %d: %w", iid, err)
	}
	return err
}

// headRef is the ref that keeps a merge request's HEAD.
func headRef(iid int64) string {
	return "refs/merge-requests/" + strconv.FormatInt(iid, 10) + "/head"
}

// refError tells why moving a ref failed. Git's words differ between versions
// and between a lost race and a lock, so the ref itself is asked.
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

// checkRefUpdate refuses refs that are not below refs/ or not well formed, and
// anything but whole ids.
func checkRefUpdate(ref string, ids ...string) error {
	name, ok := strings.CutPrefix(ref, "refs/")
	if !ok || !strings.Contains(name, "/") || checkBranch(name) != nil {
		return fmt.Errorf("%q is no ref", validText(ref))
	}
	return checkIDs(ids...)
}
