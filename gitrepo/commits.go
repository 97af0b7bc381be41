package gitrepo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Commit is a commit. Invalid UTF-8 in its texts is replaced; times keep the
// time zone of the commit.
type Commit struct {
	SHA            string
	ParentSHAs     []string
	Title          string // the message's first line
	Message        string // the whole message
	AuthorName     string
	AuthorEmail    string
	AuthoredAt     time.Time
	CommitterName  string
	CommitterEmail string
	CommittedAt    time.Time
}

// commitFormat prints the fields of a Commit, separated by NUL. With -z the
// record ends with NUL, too.
const commitFormat = "--format=%H%x00%P%x00%an%x00%ae%x00%ad%x00%cn%x00%ce%x00%cd%x00%B"

// commitFields is the number of fields of commitFormat.
const commitFields = 9

// Commit returns a commit, or ErrNotFound.
func (r Repo) Commit(ctx context.Context, sha string) (Commit, error) {
	found, err := r.commitsByID(ctx, []string{sha})
	return found[sha], err
}

// commitsByID reads commits with one git process. It returns ErrNotFound if one
// is missing.
func (r Repo) commitsByID(ctx context.Context, ids []string) (map[string]Commit, error) {
	commits := make(map[string]Commit, len(ids))
	if len(ids) == 0 {
		return commits, nil
	}
	if err := checkIDs(ids...); err != nil {
		return nil, err
	}
	out, err := r.gitInput(ctx, strings.Join(ids, "\n")+"\n", "log", "-z", commitFormat, "--date=raw", "--no-walk=unsorted", "--stdin", "--")
	if err != nil {
		return nil, r.unknownCommit(ctx, err, ids...)
	}
	list, err := parseCommits(string(out))
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		commits[c.SHA] = c
	}
	for _, id := range ids {
		if _, ok := commits[id]; !ok {
			return nil, fmt.Errorf("commit %s: %w", id, ErrNotFound)
		}
	}
	return commits, nil
}

// Log lists the commits reachable from to but not from from, newest first. It
// skips offset commits and returns at most limit. An empty from lists the whole
// history of to.
func (r Repo) Log(ctx context.Context, from, to string, offset, limit int) ([]Commit, error) {
	revisions, err := revisionRange(from, to)
	if err != nil || limit <= 0 {
		return nil, err
	}
	args := append([]string{"log", "-z", commitFormat, "--date=raw", "--topo-order",
		"--skip=" + strconv.Itoa(max(offset, 0)), "--max-count=" + strconv.Itoa(limit), "--end-of-options"}, revisions...)
	out, err := r.git(ctx, append(args, "--")...)
	if err != nil {
		return nil, r.unknownCommit(ctx, err, from, to)
	}
	return parseCommits(string(out))
}

// Count returns the number of commits that Log lists without offset and limit. The
// result is cached.
func (r Repo) Count(ctx context.Context, from, to string) (int, error) {
	revisions, err := revisionRange(from, to)
	if err != nil {
		return 0, err
	}
	return cached(ctx, &r.store.answers, answerKey{r.id, "count", from, to, DiffLimits{}}, func(ctx context.Context) (int, int, bool, error) {
		args := append([]string{"rev-list", "--count", "--end-of-options"}, revisions...)
		out, err := r.git(ctx, append(args, "--")...)
		if err != nil {
			return 0, 0, true, r.unknownCommit(ctx, err, from, to)
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(out)))
		return n, 0, true, err
	})
}

// revisionRange returns the arguments of git for "reachable from to but not from
// from".
func revisionRange(from, to string) ([]string, error) {
	if from == "" {
		return []string{to}, checkIDs(to)
	}
	return []string{to, "^" + from}, checkIDs(to, from)
}

// IsAncestor reports whether ancestor is reachable from descendant. A commit is
// its own ancestor.
func (r Repo) IsAncestor(ctx context.Context, ancestor, descendant string) (bool, error) {
	if err := checkIDs(ancestor, descendant); err != nil {
		return false, err
	}
	_, err := r.git(ctx, "merge-base", "--is-ancestor", "--end-of-options", ancestor, descendant)
	if exitCode(err) == 1 {
		return false, nil
	}
	return err == nil, r.unknownCommit(ctx, err, ancestor, descendant)
}

// MergeBase returns the best common ancestor of two commits. exists is false if
// they have no common history. The result is cached.
func (r Repo) MergeBase(ctx context.Context, a, b string) (sha string, exists bool, err error) {
	if err := checkIDs(a, b); err != nil {
		return "", false, err
	}
	sha, err = cached(ctx, &r.store.answers, answerKey{r.id, "base", a, b, DiffLimits{}}, func(ctx context.Context) (string, int, bool, error) {
		out, err := r.git(ctx, "merge-base", "--end-of-options", a, b)
		if exitCode(err) == 1 {
			return "", 0, true, nil
		}
		if err != nil {
			return "", 0, true, r.unknownCommit(ctx, err, a, b)
		}
		return strings.TrimSpace(string(out)), len(out), true, nil
	})
	return sha, sha != "", err
}

// unknownCommit replaces a CommandError by ErrNotFound if one of the ids is not a
// commit. The exit codes of git do not distinguish that from other failures.
func (r Repo) unknownCommit(ctx context.Context, err error, ids ...string) error {
	var failed *CommandError
	if !errors.As(err, &failed) {
		return err
	}
	out, checkErr := r.gitInput(ctx, strings.Join(ids, "\n")+"\n", "cat-file", "--batch-check=%(objecttype)")
	if checkErr != nil {
		return errors.Join(err, checkErr)
	}
	kinds := strings.Split(string(out), "\n")
	for i, id := range ids {
		if id != "" && i < len(kinds) && kinds[i] != "commit" {
			return fmt.Errorf("commit %s: %w", id, ErrNotFound)
		}
	}
	return err
}

// parseCommits parses the output of commitFormat with -z.
func parseCommits(out string) ([]Commit, error) {
	if out == "" {
		return nil, nil
	}
	fields := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	if len(fields)%commitFields != 0 {
		return nil, fmt.Errorf("parse git log: %d fields are not a multiple of %d", len(fields), commitFields)
	}
	commits := make([]Commit, 0, len(fields)/commitFields)
	for ; len(fields) > 0; fields = fields[commitFields:] {
		message := strings.TrimRight(validText(fields[8]), "\n")
		title, _, _ := strings.Cut(strings.TrimLeft(message, "\n"), "\n")
		commits = append(commits, Commit{
			SHA:            fields[0],
			ParentSHAs:     strings.Fields(fields[1]),
			Title:          strings.TrimSpace(title),
			Message:        message,
			AuthorName:     validText(fields[2]),
			AuthorEmail:    validText(fields[3]),
			AuthoredAt:     parseDate(fields[4]),
			CommitterName:  validText(fields[5]),
			CommitterEmail: validText(fields[6]),
			CommittedAt:    parseDate(fields[7]),
		})
	}
	return commits, nil
}

// maxCommitTime is the last second of the year 9999. A commit may have a later
// time, which JSON and databases cannot represent.
const maxCommitTime = 253402300799

// parseDate parses a raw date of git, "<seconds> <+hhmm>". It limits the result to
// the years 1970 to 9999 and reads an invalid zone as UTC.
func parseDate(raw string) time.Time {
	text, zone, _ := strings.Cut(raw, " ")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil && strings.HasPrefix(text, "-") {
		seconds = 0
	}
	at := time.Unix(min(max(seconds, 0), maxCommitTime), 0).UTC()
	n, err := strconv.Atoi(zone)
	if err != nil || len(zone) != 5 || n <= -2400 || n >= 2400 || n == 0 || at.Year() > 9998 {
		return at
	}
	return at.In(time.FixedZone("", (n/100*60+n%100)*60))
}

// Reached reports for each of heads whether it is reachable from new but not from
// old, which means that moving a branch from old to new added it. Unknown heads
// are not reached.
func (r Repo) Reached(ctx context.Context, old, new string, heads []string) (map[string]bool, error) {
	if err := checkIDs(old, new); err != nil {
		return nil, err
	}
	reached := make(map[string]bool, len(heads))
	for _, h := range heads {
		reached[h] = false
	}
	missing := len(reached)
	c := r.command("rev-list", "--end-of-options", new, "^"+old, "--")
	err := r.store.stream(ctx, c, func(out io.Reader) (bool, error) {
		for lines := bufio.NewScanner(out); missing > 0; {
			if !lines.Scan() {
				return true, lines.Err()
			}
			if seen, asked := reached[lines.Text()]; asked && !seen {
				reached[lines.Text()] = true
				missing--
			}
		}
		return false, nil
	})
	if err != nil {
		return nil, r.unknownCommit(ctx, err, old, new)
	}
	return reached, nil
}
