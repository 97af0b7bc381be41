package gitrepo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
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
	Additions int // lines; 0 when Binary
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
	Additions  int // of all files
	Deletions  int
	// Truncated means that files are missing from Files, or patches from files.
	Truncated bool
}

// bigFile is the size from which a file's content is not compared, in bytes.
const bigFile = 8 << 20

// diffOptions are the options of every diff. Renames are looked for among at
// most so many files as takes well below a second.
var diffOptions = []string{"-c", "core.bigFileThreshold=" + strconv.Itoa(bigFile), "diff-tree", "-r", "--no-color",
	"--no-ext-diff", "--no-textconv", "--full-index", "--no-commit-id", "-M", "-l400", "--src-prefix=a/", "--dst-prefix=b/"}

// Diff compares two commits, or trees, by id; an empty base means EmptyTree.
// Every file up to the limit is listed with its counts, even where its patch
// is cut.
func (r Repo) Diff(ctx context.Context, base, head string, limits DiffLimits) (Diff, error) {
	if base == "" {
		base = EmptyTree
	}
	if err := checkIDs(base, head); err != nil {
		return Diff{}, err
	}
	limits = limits.withDefaults()
	out, err := r.diffTree(ctx, base, head, "-z", "--raw", "--numstat")
	if err != nil {
		return Diff{}, r.unknownTree(ctx, err, base, head)
	}
	d, err := parseRaw(string(out))
	if err != nil {
		return Diff{}, err
	}
	d.TotalFiles = len(d.Files)
	if len(d.Files) > limits.MaxFiles {
		d.Files, d.Truncated = d.Files[:limits.MaxFiles], true
	}
	if len(d.Files) == 0 {
		return d, nil
	}
	c := r.command(append(diffOptions[:len(diffOptions):len(diffOptions)], "-p", "--end-of-options", base, head, "--")...)
	p := patchReader{diff: &d, limits: limits, file: -1}
	return d, r.store.stream(ctx, c, p.read)
}

// CountFiles counts the files that differ between two commits or trees: Diff's
// TotalFiles, without reading patches.
func (r Repo) CountFiles(ctx context.Context, base, head string) (int, error) {
	if err := checkIDs(base, head); err != nil {
		return 0, err
	}
	out, err := r.diffTree(ctx, base, head, "-z", "--name-only")
	if err != nil {
		return 0, r.unknownTree(ctx, err, base, head)
	}
	return bytes.Count(out, []byte{0}), nil
}

// diffTree runs diff-tree with every option of diffOptions.
func (r Repo) diffTree(ctx context.Context, base, head string, options ...string) ([]byte, error) {
	args := append(diffOptions[:len(diffOptions):len(diffOptions)], options...)
	return r.git(ctx, append(args, "--end-of-options", base, head, "--")...)
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

// unknownTree makes git's failure ErrNotFound where an id is not stored.
func (r Repo) unknownTree(ctx context.Context, err error, ids ...string) error {
	var failed *CommandError
	if !errors.As(err, &failed) {
		return err
	}
	out, checkErr := r.gitInput(ctx, strings.Join(ids, "\n")+"\n", "cat-file", "--batch-check=%(objecttype)")
	if checkErr != nil || !strings.Contains(string(out), " missing") {
		return errors.Join(err, checkErr)
	}
	return fmt.Errorf("compare %s with %s: %w", ids[0], ids[1], ErrNotFound)
}

// parseRaw reads the output of diff-tree -z --raw --numstat: first all raw
// records, ":<modes> <ids> <status>" with one or two paths, then all counts,
// "<added> TAB <deleted> TAB <path>", the path empty and two more following
// for a rename. Both lists have the same order.
func parseRaw(out string) (Diff, error) {
	var d Diff
	fields := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	if out == "" {
		return d, nil
	}
	bad := func() (Diff, error) { return Diff{}, errors.New("git diff-tree printed what cannot be read") }
	for len(fields) > 0 && strings.HasPrefix(fields[0], ":") {
		words := strings.Fields(fields[0][1:])
		if len(words) != 5 || len(fields) < 2 {
			return bad()
		}
		f := FileDiff{OldMode: words[0], NewMode: words[1], OldBlob: words[2], NewBlob: words[3],
			Status: FileStatus(words[4][:1]), OldPath: validText(fields[1]), NewPath: validText(fields[1])}
		fields = fields[2:]
		if f.Status == FileRenamed {
			if len(fields) < 1 {
				return bad()
			}
			f.NewPath, fields = validText(fields[0]), fields[1:]
		}
		d.Files = append(d.Files, f)
	}
	for i := range d.Files {
		f := &d.Files[i]
		if len(fields) == 0 {
			return bad()
		}
		counts := strings.SplitN(fields[0], "\t", 3)
		if len(counts) != 3 {
			return bad()
		}
		fields = fields[1:]
		if counts[2] == "" {
			if len(fields) < 2 {
				return bad()
			}
			fields = fields[2:]
		}
		if counts[0] == "-" {
			f.Binary = true
			continue
		}
		f.Additions, _ = strconv.Atoi(counts[0])
		f.Deletions, _ = strconv.Atoi(counts[1])
		d.Additions += f.Additions
		d.Deletions += f.Deletions
	}
	return d, nil
}

// sections is how many "diff --git" sections git prints for the file: a
// change between file, link and submodule is printed as removed and added.
func (f FileDiff) sections() int {
	if f.OldBlob != ZeroID && f.NewBlob != ZeroID && f.OldMode[:2] != f.NewMode[:2] {
		return 2
	}
	return 1
}

// patchReader hands the lines of diff-tree -p to the files of a Diff. Sections
// come in the order of the raw list, and no line inside a hunk can begin with
// "diff --git", so counting sections is enough; no quoted path is parsed.
type patchReader struct {
	diff     *Diff
	limits   DiffLimits
	file     int // index of the current file
	sections int // sections of it still to come
	inHunks  bool
	total    int // bytes kept
	text     bytes.Buffer
}

// read takes the whole output, or as much as the limits allow.
func (p *patchReader) read(r io.Reader) (complete bool, err error) {
	lines := bufio.NewReaderSize(r, 64<<10)
	lineStart := true
	for {
		// A line longer than the buffer comes in pieces.
		piece, err := lines.ReadSlice('\n')
		if lineStart && bytes.HasPrefix(piece, []byte("diff --git ")) {
			if p.sections == 0 {
				p.finish()
				p.file++
				if p.file == len(p.diff.Files) || p.total >= p.limits.MaxBytes {
					p.leaveOut()
					return false, nil
				}
				p.sections = p.diff.Files[p.file].sections()
			}
			p.sections--
			p.inHunks = false
		} else if p.file >= 0 {
			if lineStart && bytes.HasPrefix(piece, []byte("@@")) {
				p.inHunks = true
			}
			if p.inHunks {
				p.keep(piece, lineStart)
			}
		}
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

// leaveOut marks the files whose patches are not read.
func (p *patchReader) leaveOut() {
	for i := p.file; i < len(p.diff.Files); i++ {
		if f := &p.diff.Files[i]; !f.Binary {
			f.Truncated, p.diff.Truncated = true, true
		}
	}
}
