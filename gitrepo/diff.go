package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
)

// DiffLimits limits what Diff returns. A zero field means the value of
// DefaultDiffLimits.
type DiffLimits struct {
	MaxFiles     int // number of files
	MaxFileBytes int // size of the patch of one file
	MaxBytes     int // size of all patches together
}

// DefaultDiffLimits are the limits for a page that people read.
var DefaultDiffLimits = DiffLimits{MaxFiles: 1000, MaxFileBytes: 100 << 10, MaxBytes: 1 << 20}

// FileStatus is the kind of change of a file, as the letter that git uses.
type FileStatus string

// The kinds of changes.
const (
	FileAdded       FileStatus = "A"
	FileDeleted     FileStatus = "D"
	FileModified    FileStatus = "M"
	FileRenamed     FileStatus = "R"
	FileTypeChanged FileStatus = "T"
)

// FileDiff is one changed file.
type FileDiff struct {
	Status    FileStatus
	OldPath   string // equal to NewPath unless renamed
	NewPath   string
	OldMode   string // octal; "000000" if there is no file
	NewMode   string
	OldBlob   string // object id; ZeroID if there is no file
	NewBlob   string
	Additions int // lines; 0 if Binary, and too low if Truncated
	Deletions int
	Binary    bool
	// Patch contains the hunks, beginning with "@@", in valid UTF-8. It is empty
	// for binary files, renames without changes, and changes of the mode.
	Patch string
	// TooLarge means that Patch is cut or missing because this file exceeds the
	// limit of one file.
	TooLarge bool
	// Truncated means that Patch is missing because all patches together exceed
	// their limit.
	Truncated bool
}

// Diff is the difference between two trees.
type Diff struct {
	Files []FileDiff
	// TotalFiles is the number of changed files, including those not in Files.
	TotalFiles int
	// MoreFiles means that there are more than TotalFiles, because counting
	// stopped at a limit.
	MoreFiles bool
	Additions int // in the files whose patches were read
	Deletions int
	// Truncated means that Files is incomplete or that a patch is cut or missing.
	Truncated bool
}

// bigFile is the size in bytes from which git does not compare the content of a
// file.
const bigFile = 8 << 20

// Limits of the search for renames, which reads every added and deleted file.
// Above maxRenameBytes, only renames without changes are found.
const (
	maxRenames     = 400
	maxRenameBytes = 32 << 20
)

// diffOptions are the options of every diff-tree command.
var diffOptions = []string{"-c", "core.bigFileThreshold=" + strconv.Itoa(bigFile), "diff-tree", "-r", "-z", "--no-color",
	"--no-ext-diff", "--no-textconv", "--full-index", "--no-commit-id", "-l" + strconv.Itoa(maxRenames), "--src-prefix=a/", "--dst-prefix=b/"}

// Diff compares two commits or trees. An empty base means EmptyTree. It takes at
// most about one second: with too many files, it lists the first ones without
// patches and sets MoreFiles; if reading takes too long, it omits the remaining
// patches. The result is cached and must not be changed.
func (r Repo) Diff(ctx context.Context, base, head string, limits DiffLimits) (Diff, error) {
	if base == "" {
		base = EmptyTree
	}
	if err := checkIDs(base, head); err != nil {
		return Diff{}, err
	}
	limits = limits.withDefaults()
	return cached(ctx, &r.store.answers, answerKey{r.id, "diff", base, head, limits}, func(ctx context.Context) (Diff, int, bool, error) {
		d, complete, err := r.diff(ctx, base, head, limits)
		size := 0
		for _, f := range d.Files {
			size += len(f.Patch) + len(f.OldPath) + len(f.NewPath) + 200
		}
		return d, size, complete, err
	})
}

// diff is Diff without the cache. complete is false if a limit of time or memory
// was reached.
func (r Repo) diff(ctx context.Context, base, head string, limits DiffLimits) (d Diff, complete bool, err error) {
	changes, all, err := r.treeChanges(ctx, base, head)
	if err != nil {
		return Diff{}, false, err
	}
	if !all {
		return diffWithoutPatches(changes, limits), true, nil
	}
	if len(changes) == 0 {
		return Diff{}, true, nil
	}
	renames, err := r.renameOption(ctx, changes)
	if err != nil {
		return Diff{}, false, err
	}
	p := patchReader{diff: &d, limits: limits, file: -1}
	err = r.store.stream(ctx, r.diffTree(base, head, renames, "--raw", "-p"), p.read)
	if errors.Is(err, ErrTooLarge) {
		if len(d.Files) == 0 {
			return diffWithoutPatches(changes, limits), false, nil
		}
		p.markIncomplete()
	} else if err != nil {
		return Diff{}, false, err
	}
	d.TotalFiles = len(d.Files)
	if len(d.Files) > limits.MaxFiles {
		d.Files, d.Truncated = d.Files[:limits.MaxFiles:limits.MaxFiles], true
	}
	return d, err == nil, nil
}

// diffWithoutPatches returns a Diff that lists the first changes without patches.
func diffWithoutPatches(changes []treeChange, limits DiffLimits) Diff {
	d := Diff{TotalFiles: len(changes), MoreFiles: true, Truncated: true}
	fill := func(text, missing string, width int) string {
		if text == "" {
			return missing
		}
		return strings.Repeat("0", max(0, width-len(text))) + text
	}
	for _, c := range changes[:min(len(changes), limits.MaxFiles)] {
		path := validText(c.path)
		d.Files = append(d.Files, FileDiff{
			Status: c.status(), OldPath: path, NewPath: path, Truncated: true,
			OldMode: fill(c.oldMode, "000000", 6), NewMode: fill(c.newMode, "000000", 6),
			OldBlob: fill(c.oldID, ZeroID, 0), NewBlob: fill(c.newID, ZeroID, 0),
		})
	}
	return d
}

// FileCount is the number of files that differ between two commits.
type FileCount struct {
	Files int
	// More means that there are more than Files, because counting stopped at a
	// limit.
	More bool
}

// CountFiles returns TotalFiles and MoreFiles of Diff without reading patches.
func (r Repo) CountFiles(ctx context.Context, base, head string) (FileCount, error) {
	if err := checkIDs(base, head); err != nil {
		return FileCount{}, err
	}
	return cached(ctx, &r.store.answers, answerKey{r.id, "files", base, head, DiffLimits{}}, func(ctx context.Context) (FileCount, int, bool, error) {
		n, complete, err := r.countFiles(ctx, base, head)
		return n, 0, complete, err
	})
}

// countFiles is CountFiles without the cache. complete is that of diff.
func (r Repo) countFiles(ctx context.Context, base, head string) (n FileCount, complete bool, err error) {
	changes, all, err := r.treeChanges(ctx, base, head)
	n = FileCount{Files: len(changes), More: !all}
	if err != nil || !all {
		return n, true, err
	}
	if added, deleted := addedAndDeleted(changes); len(added) == 0 || len(deleted) == 0 {
		return n, true, nil // no renames
	}
	renames, err := r.renameOption(ctx, changes)
	if err != nil {
		return n, false, err
	}
	out, err := r.store.run(ctx, r.diffTree(base, head, renames, "--name-only"))
	if errors.Is(err, ErrTooLarge) {
		return n, false, nil
	}
	n.Files = bytes.Count(out, []byte{0})
	return n, true, err
}

// PatchID returns the stable patch id of git for the difference between two
// commits, which equal changes share. It is "" if there are no changes or too
// many.
func (r Repo) PatchID(ctx context.Context, base, head string) (string, error) {
	if err := checkIDs(base, head); err != nil {
		return "", err
	}
	return cached(ctx, &r.store.answers, answerKey{r.id, "patch id", base, head, DiffLimits{}}, func(ctx context.Context) (string, int, bool, error) {
		if _, all, err := r.treeChanges(ctx, base, head); err != nil || !all {
			return "", 0, true, err
		}
		patch, err := r.store.run(ctx, r.diffTree(base, head, "--no-renames", "-p"))
		if errors.Is(err, ErrTooLarge) {
			return "", 0, false, nil
		}
		if err != nil {
			return "", 0, false, err
		}
		out, err := r.gitInput(ctx, string(patch), "patch-id", "--stable")
		id, _, _ := strings.Cut(string(out), " ")
		return id, len(id), err == nil, err
	})
}

// addedAndDeleted returns the object ids of the files that exist in only one of
// the trees.
func addedAndDeleted(changes []treeChange) (added, deleted []string) {
	for _, c := range changes {
		switch {
		case c.oldID == "":
			added = append(added, c.newID)
		case c.newID == "":
			deleted = append(deleted, c.oldID)
		}
	}
	return added, deleted
}

// renameOption returns the option of git for the search for renames: among
// similar files, or only among equal files if reading all would take too long.
func (r Repo) renameOption(ctx context.Context, changes []treeChange) (string, error) {
	added, deleted := addedAndDeleted(changes)
	if len(added) == 0 || len(deleted) == 0 || len(added) > maxRenames || len(deleted) > maxRenames {
		return "-M", nil // git itself compares no more than maxRenames
	}
	ids := append(added, deleted...)
	out, err := r.gitInput(ctx, strings.Join(ids, "\n")+"\n", "cat-file", "--batch-check=%(objectsize)")
	if err != nil {
		return "", err
	}
	total := 0
	for line := range strings.Lines(string(out)) {
		size, _ := strconv.Atoi(strings.TrimSpace(line)) // fails for a submodule, whose commit is missing
		total += size
	}
	if total > maxRenameBytes {
		return "-M100%", nil
	}
	return "-M", nil
}

// diffTree returns a diff-tree command with diffOptions and further options.
func (r Repo) diffTree(base, head string, options ...string) command {
	args := append(diffOptions[:len(diffOptions):len(diffOptions)], options...)
	return r.command(append(args, "--end-of-options", base, head, "--")...)
}

// withDefaults replaces zero fields by those of DefaultDiffLimits.
func (l DiffLimits) withDefaults() DiffLimits {
	if l.MaxFiles <= 0 {
		l.MaxFiles = DefaultDiffLimits.MaxFiles
	}
	if l.MaxFileBytes <= 0 {
		l.MaxFileBytes = DefaultDiffLimits.MaxFileBytes
	}
	if l.MaxBytes <= 0 {
		l.MaxBytes = DefaultDiffLimits.MaxBytes
	}
	return l
}

// parseRaw parses one record of diff-tree -z --raw, ":<modes> <ids> <status>",
// and reads its one or two paths with next.
func parseRaw(record string, next func() (string, error)) (FileDiff, error) {
	words := strings.Fields(strings.TrimPrefix(record, ":"))
	if len(words) != 5 || !strings.HasPrefix(record, ":") {
		return FileDiff{}, errors.New("parse git diff-tree: invalid record")
	}
	path, err := next()
	if err != nil {
		return FileDiff{}, err
	}
	f := FileDiff{OldMode: words[0], NewMode: words[1], OldBlob: words[2], NewBlob: words[3],
		Status: FileStatus(words[4][:1]), OldPath: validText(path), NewPath: validText(path)}
	if f.Status == FileRenamed {
		path, err = next()
		f.NewPath = validText(path)
	}
	return f, err
}

// sections returns the number of "diff --git" sections that git prints for the
// file. A change between file, link and submodule has two: removed and added.
func (f FileDiff) sections() int {
	if f.OldBlob != ZeroID && f.NewBlob != ZeroID && fileKind(f.OldMode) != fileKind(f.NewMode) {
		return 2
	}
	return 1
}
