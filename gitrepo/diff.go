package gitrepo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
)

// DiffLimits bounds what a Diff reads; zero fields mean DefaultDiffLimits'.
type DiffLimits struct {
	MaxFiles     int // files listed
	MaxFileBytes int // patch text of one file
	MaxBytes     int // patch text of all files together
}

// DefaultDiffLimits is enough for people to read, and for a page to hold.
var DefaultDiffLimits = DiffLimits{MaxFiles: 1000, MaxFileBytes: 100 << 10, MaxBytes: 1 << 20}

// FileStatus says what happened to a file.
type FileStatus string

// What can happen to a file; the letters are git's.
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
	OldPath   string // as NewPath unless renamed
	NewPath   string
	OldMode   string // octal, "000000" where there was no file
	NewMode   string
	OldBlob   string // object ids, ZeroID where there was no file
	NewBlob   string
	Additions int // lines; 0 when Binary, less than there are when the patch was not read
	Deletions int
	Binary    bool
	// Patch is the file's hunks, beginning with "@@", in valid UTF-8. It is
	// empty for binary files, plain renames and changes of mode.
	Patch string
	// TooLarge means that Patch was cut, or left out, for the file's own size.
	TooLarge bool
	// Truncated means that Patch was left out because the whole was too large.
	Truncated bool
}

// Diff is what changed between two trees.
type Diff struct {
	Files []FileDiff
	// TotalFiles counts all changed files, listed or not.
	TotalFiles int
	// MoreFiles means that there are more than TotalFiles: the count stopped.
	MoreFiles bool
	Additions int // of all files whose patch was read
	Deletions int
	// Truncated means that files are missing from Files, or patches from files.
	Truncated bool
}

// bigFile is the size from which a file's content is not compared, in bytes.
const bigFile = 8 << 20

// Limits of the search for renames, which reads the content of every added and
// deleted file. Beyond maxRenameBytes only files that are equal are renames.
const (
	maxRenames     = 400
	maxRenameBytes = 32 << 20
)

// diffOptions are the options of every diff.
var diffOptions = []string{"-c", "core.bigFileThreshold=" + strconv.Itoa(bigFile), "diff-tree", "-r", "-z", "--no-color",
	"--no-ext-diff", "--no-textconv", "--full-index", "--no-commit-id", "-l" + strconv.Itoa(maxRenames), "--src-prefix=a/", "--dst-prefix=b/"}

// Diff compares two commits, or trees, by id; an empty base means EmptyTree.
// Whatever the commits hold it takes about a second at most: where there are
// too many files, those found first are listed without patches and MoreFiles
// is set; where reading takes too long, the remaining patches are left out.
// The result is cached and must not be changed.
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

// diff is Diff without the cache. complete is false where the machine's speed
// decided what was read.
func (r Repo) diff(ctx context.Context, base, head string, limits DiffLimits) (d Diff, complete bool, err error) {
	changes, all, err := r.treeChanges(ctx, base, head)
	if err != nil {
		return Diff{}, false, err
	}
	if !all {
		return listed(changes, limits), true, nil
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
			return listed(changes, limits), false, nil
		}
		p.breakOff()
	} else if err != nil {
		return Diff{}, false, err
	}
	d.TotalFiles = len(d.Files)
	if len(d.Files) > limits.MaxFiles {
		d.Files, d.Truncated = d.Files[:limits.MaxFiles:limits.MaxFiles], true
	}
	return d, err == nil, nil
}

// listed is a Diff that only names the first files of a list that may go on.
func listed(changes []treeChange, limits DiffLimits) Diff {
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

// FileCount is how many files differ between two commits.
type FileCount struct {
	Files int
	// More means that there are more: the count stopped.
	More bool
}

// CountFiles counts the files that differ between two commits or trees: Diff's
// TotalFiles and MoreFiles, without reading patches.
func (r Repo) CountFiles(ctx context.Context, base, head string) (FileCount, error) {
	if err := checkIDs(base, head); err != nil {
		return FileCount{}, err
	}
	return cached(ctx, &r.store.answers, answerKey{r.id, "files", base, head, DiffLimits{}}, func(ctx context.Context) (FileCount, int, bool, error) {
		n, complete, err := r.countFiles(ctx, base, head)
		return n, 0, complete, err
	})
}

// countFiles is CountFiles without the cache; complete is diff's.
func (r Repo) countFiles(ctx context.Context, base, head string) (n FileCount, complete bool, err error) {
	changes, all, err := r.treeChanges(ctx, base, head)
	n = FileCount{Files: len(changes), More: !all}
	if err != nil || !all {
		return n, true, err
	}
	if added, deleted := loneFiles(changes); len(added) == 0 || len(deleted) == 0 {
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

// PatchID is git's stable id of the changes between two commits: the same for
// the same changes elsewhere. It is "" where there are no changes, or too many.
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

// loneFiles are the ids of the files that only one of two trees has.
func loneFiles(changes []treeChange) (added, deleted []string) {
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

// renameOption is how renames are looked for: by likeness, or only among equal
// files where reading all of them would take too long.
func (r Repo) renameOption(ctx context.Context, changes []treeChange) (string, error) {
	added, deleted := loneFiles(changes)
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
		size, _ := strconv.Atoi(strings.TrimSpace(line)) // a submodule's commit is missing
		total += size
	}
	if total > maxRenameBytes {
		return "-M100%", nil
	}
	return "-M", nil
}

// diffTree is diff-tree with every option of diffOptions.
func (r Repo) diffTree(base, head string, options ...string) command {
	args := append(diffOptions[:len(diffOptions):len(diffOptions)], options...)
	return r.command(append(args, "--end-of-options", base, head, "--")...)
}

// withDefaults fills in what is not set.
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

// parseRaw reads one record of diff-tree -z --raw, ":<modes> <ids> <status>",
// and the one or two paths after it.
func parseRaw(record string, next func() (string, error)) (FileDiff, error) {
	words := strings.Fields(strings.TrimPrefix(record, ":"))
	if len(words) != 5 || !strings.HasPrefix(record, ":") {
		return FileDiff{}, errors.New("git diff-tree printed what cannot be read")
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

// sections is how many "diff --git" sections git prints for the file: a
// change between file, link and submodule is printed as removed and added.
func (f FileDiff) sections() int {
	if f.OldBlob != ZeroID && f.NewBlob != ZeroID && fileKind(f.OldMode) != fileKind(f.NewMode) {
		return 2
	}
	return 1
}

// patchReader reads diff-tree -z --raw -p: first a record for every file, then
// an empty one, then the patches, whose lines it hands to the files. Sections
// come in the order of the records, names in them are quoted, and no line
// inside a hunk can begin with "diff --git", so counting sections is enough; no
// quoted path is parsed.
type patchReader struct {
	diff     *Diff
	limits   DiffLimits
	file     int  // index of the current file
	sections int  // sections of it still to come
	inHunks  bool // of the current section
	full     bool // the patches of all files together are long enough
	total    int  // bytes kept
	text     bytes.Buffer
}

// read takes the whole output. Patches beyond the limits are only counted.
func (p *patchReader) read(r io.Reader) (complete bool, err error) {
	lines := bufio.NewReaderSize(r, 64<<10)
	if err := p.readFiles(lines); err != nil {
		return true, err
	}
	lineStart := true
	for {
		// A line longer than the buffer comes in pieces.
		piece, err := lines.ReadSlice('\n')
		p.take(piece, lineStart)
		lineStart = err == nil
		if errors.Is(err, io.EOF) {
			p.finish()
			return true, nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return false, err
		}
	}
}

// readFiles reads the records before the patches. An end before them is none
// of its business: the process tells why it ended.
func (p *patchReader) readFiles(in *bufio.Reader) error {
	next := func() (string, error) {
		text, err := in.ReadString(0)
		return strings.TrimSuffix(text, "\x00"), err
	}
	var files []FileDiff
	for {
		record, err := next()
		if record == "" || errors.Is(err, io.EOF) {
			if err == nil {
				p.diff.Files = files
			}
			return nil
		}
		f, err := parseRaw(record, next)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		files = append(files, f)
	}
}

// take hands a line, or a piece of one, to its file.
func (p *patchReader) take(piece []byte, lineStart bool) {
	if lineStart && bytes.HasPrefix(piece, []byte("diff --git ")) {
		if p.sections == 0 {
			p.finish()
			p.file++
			p.full = p.full || p.total >= p.limits.MaxBytes
			if p.file < len(p.diff.Files) {
				p.sections = p.diff.Files[p.file].sections()
			}
		}
		p.sections--
		p.inHunks = false
		return
	}
	if p.file < 0 || p.file >= len(p.diff.Files) {
		return
	}
	f := &p.diff.Files[p.file]
	if lineStart && !p.inHunks {
		p.inHunks = bytes.HasPrefix(piece, []byte("@@"))
		f.Binary = f.Binary || bytes.HasPrefix(piece, []byte("Binary files "))
	}
	if !p.inHunks {
		return
	}
	if lineStart && len(piece) > 0 {
		switch piece[0] {
		case '+':
			f.Additions++
			p.diff.Additions++
		case '-':
			f.Deletions++
			p.diff.Deletions++
		}
	}
	if p.full {
		f.Truncated, p.diff.Truncated = true, true
		return
	}
	p.keep(piece, lineStart)
}

// keep appends to the current patch unless the file has had enough. A patch is
// cut at the beginning of a line.
func (p *patchReader) keep(piece []byte, lineStart bool) {
	f := &p.diff.Files[p.file]
	if f.TooLarge {
		return
	}
	if p.text.Len()+len(piece) > p.limits.MaxFileBytes {
		f.TooLarge = true
		if !lineStart {
			p.text.Truncate(bytes.LastIndexByte(p.text.Bytes(), '\n') + 1)
		}
		return
	}
	p.text.Write(piece)
}

// finish stores the current patch.
func (p *patchReader) finish() {
	if p.file >= 0 && p.file < len(p.diff.Files) {
		f := &p.diff.Files[p.file]
		p.total += p.text.Len()
		f.Patch = validText(p.text.String())
		p.diff.Truncated = p.diff.Truncated || f.TooLarge
	}
	p.text.Reset()
}

// breakOff marks the files whose patches were not read to their end, the
// current one among them.
func (p *patchReader) breakOff() {
	p.diff.Truncated = true
	for i := max(p.file, 0); i < len(p.diff.Files); i++ {
		if f := &p.diff.Files[i]; f.Patch != "" {
			f.TooLarge = true
		} else {
			f.Truncated = true
		}
	}
}
