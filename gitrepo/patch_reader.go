package gitrepo

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// patchReader reads the output of diff-tree -z --raw -p: a record for every file,
// an empty record, and the patches. The sections of the patches have the order of
// the records, and no line of a hunk begins with "diff --git". So patchReader
// counts sections to find the file and parses no quoted paths.
type patchReader struct {
	diff     *Diff
	limits   DiffLimits
	file     int  // index of the current file
	sections int  // sections of it that are still to be read
	inHunks  bool // the hunks of the current section have begun
	full     bool // limits.MaxBytes is reached
	total    int  // bytes of the patches of earlier files
	text     bytes.Buffer
}

// read reads the output to its end. Beyond the limits it only counts lines.
func (p *patchReader) read(r io.Reader) (complete bool, err error) {
	lines := bufio.NewReaderSize(r, 64<<10)
	if err := p.readFiles(lines); err != nil {
		return true, err
	}
	lineStart := true
	for {
		// A line that is longer than the buffer is read in pieces.
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

// readFiles reads the records before the patches. A premature end is not an
// error here, because stream returns the error of the process.
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

// take adds a line, or a piece of one, to its file.
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

// keep appends to the current patch, up to limits.MaxFileBytes. It cuts a patch
// at the beginning of a line.
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

// finish stores the current patch in its file.
func (p *patchReader) finish() {
	if p.file >= 0 && p.file < len(p.diff.Files) {
		f := &p.diff.Files[p.file]
		p.total += p.text.Len()
		f.Patch = validText(p.text.String())
		p.diff.Truncated = p.diff.Truncated || f.TooLarge
	}
	p.text.Reset()
}

// markIncomplete marks the current file and all later files as incomplete.
func (p *patchReader) markIncomplete() {
	p.diff.Truncated = true
	for i := max(p.file, 0); i < len(p.diff.Files); i++ {
		if f := &p.diff.Files[i]; f.Patch != "" {
			f.TooLarge = true
		} else {
			f.Truncated = true
		}
	}
}
