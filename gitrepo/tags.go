package gitrepo

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Tag is a tag and the commit to which it points.
type Tag struct {
	Name string
	// Target is the object to which the ref points: the tag object of an annotated
	// tag, otherwise the commit.
	Target string
	// Message and CreatedAt are those of the tag object, and empty without one.
	Message   string
	CreatedAt time.Time
	// Commit is empty if the tag points to another kind of object.
	Commit Commit
}

// TagOrder is the order of a list of tags.
type TagOrder string

// The orders of tags: by the date of the tag object or commit, by name, and by
// name with numbers compared as numbers.
const (
	TagsByDate    TagOrder = "creatordate"
	TagsByName    TagOrder = "refname"
	TagsByVersion TagOrder = "version:refname"
)

// maxTagMessage is the maximum length of the message of a tag in bytes. Longer
// messages are cut.
const maxTagMessage = 64 << 10

// Tags lists the tags whose name contains search, ignoring case. It skips offset
// tags and returns at most limit; total is the number of all that match.
func (r Repo) Tags(ctx context.Context, search string, order TagOrder, ascending bool, offset, limit int) (page []Tag, total int, err error) {
	sort := "--sort=-" + string(order)
	if ascending {
		sort = "--sort=" + string(order)
	}
	out, err := r.git(ctx, "for-each-ref", sort, "--format=%(refname)", "refs/tags")
	if err != nil {
		return nil, 0, err
	}
	search = strings.ToLower(search)
	var names []string
	for line := range strings.Lines(string(out)) {
		name := strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "refs/tags/")
		if strings.Contains(strings.ToLower(name), search) {
			names = append(names, name)
		}
	}
	total = len(names)
	offset = min(max(offset, 0), total)
	page, err = r.tagsByName(ctx, names[offset:offset+min(max(limit, 0), total-offset)])
	return page, total, err
}

// Tag returns a tag, or ErrNotFound.
func (r Repo) Tag(ctx context.Context, name string) (Tag, error) {
	if checkBranch(name) == nil {
		found, err := r.tagsByName(ctx, []string{name})
		if err != nil || len(found) > 0 {
			return append(found, Tag{})[0], err
		}
	}
	return Tag{}, fmt.Errorf("tag %q: %w", validText(name), ErrNotFound)
}

// tagsByName returns the tags with these names, in this order. It omits tags that do
// not exist.
func (r Repo) tagsByName(ctx context.Context, names []string) ([]Tag, error) {
	if len(names) == 0 {
		return nil, nil
	}
	const fields = 7
	args := []string{"for-each-ref", "--format=%(refname)%00%(objectname)%00%(objecttype)%00%(*objectname)%00%(*objecttype)%00%(taggerdate:raw)%00%(contents)%00"}
	for _, name := range names {
		args = append(args, "refs/tags/"+name)
	}
	out, err := r.git(ctx, args...)
	if err != nil {
		return nil, err
	}
	values := strings.Split(string(out), "\x00")
	tags, commits := map[string]Tag{}, map[string]string{}
	var ids []string
	for ; len(values) > fields; values = values[fields:] {
		name := strings.TrimPrefix(strings.TrimPrefix(values[0], "\n"), "refs/tags/")
		tag := Tag{Name: name, Target: values[1]}
		commit, kind := values[1], values[2]
		if kind == "tag" {
			commit, kind = values[3], values[4]
			tag.Message = strings.TrimRight(validText(values[6][:min(maxTagMessage, len(values[6]))]), "\n")
			if values[5] != "" {
				tag.CreatedAt = parseDate(values[5])
			}
		}
		if kind == "commit" {
			commits[name] = commit
			ids = append(ids, commit)
		}
		tags[name] = tag
	}
	slices.Sort(ids)
	found, err := r.commitsByID(ctx, slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	list := make([]Tag, 0, len(names))
	for _, name := range names {
		if tag, ok := tags[name]; ok {
			tag.Commit = found[commits[name]]
			list = append(list, tag)
		}
	}
	return list, nil
}

// HeadsWith returns the numbers of the merge requests whose HEAD has a commit in its
// history, in ascending order.
func (r Repo) HeadsWith(ctx context.Context, sha string) ([]int64, error) {
	if err := checkIDs(sha); err != nil {
		return nil, err
	}
	out, err := r.git(ctx, "for-each-ref", "--contains="+sha, "--format=%(refname)", "refs/merge-requests")
	if err != nil {
		return nil, r.unknownCommit(ctx, err, sha)
	}
	var iids []int64
	for line := range strings.Lines(string(out)) {
		name := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "refs/merge-requests/"), "/head")
		if iid, err := strconv.ParseInt(name, 10, 64); err == nil {
			iids = append(iids, iid)
		}
	}
	slices.Sort(iids)
	return iids, nil
}
