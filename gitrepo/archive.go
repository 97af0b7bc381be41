package gitrepo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limits of an archive. They are checked before the first byte is sent, because
// a few hundred bytes of tree objects can name more files than fit on a disk.
const (
	maxArchiveEntries = 50_000
	maxArchiveBytes   = 512 << 20 // of all files together
	maxArchiveList    = 32 << 20  // bytes of the list of its files
	// maxArchiveOutput is larger because attributes in the tree can expand files.
	maxArchiveOutput = 2 * maxArchiveBytes
)

// ArchiveFormats are the supported formats, as git names them.
var ArchiveFormats = []string{"tar.gz", "tar", "zip"}

// Archive describes an archive of a commit or of one path of it.
type Archive struct {
	SHA    string
	Path   string // "" for the whole commit
	Format string // one of ArchiveFormats
	Prefix string // the folder that holds everything, with a slash at the end
}

// CheckArchive returns nil if the archive can be created, ErrNotFound if the path
// does not exist and ErrTooLarge if the archive exceeds a limit.
func (r Repo) CheckArchive(ctx context.Context, a Archive) error {
	object, err := objectAt(a.SHA, "")
	if err != nil {
		return err
	}
	args := []string{"ls-tree", "-r", "-t", "-z", "--long", "--full-tree", "--end-of-options", object}
	if a.Path != "" {
		args = append(args, a.Path)
	}
	c := r.command(args...)
	c.env = append(c.env, literalPaths)
	entries, size, listed := 0, int64(0), 0
	err = r.store.stream(ctx, c, func(out io.Reader) (bool, error) {
		return eachRecord(out, func(record string) bool {
			words, _, _ := strings.Cut(record, "\t")
			if f := strings.Fields(words); len(f) == 4 {
				n, _ := strconv.ParseInt(f[3], 10, 64) // "-" for folders
				size += n
			}
			entries, listed = entries+1, listed+len(record)
			return entries <= maxArchiveEntries && size <= maxArchiveBytes && listed <= maxArchiveList
		})
	})
	switch {
	case err != nil:
		return noSuchPath(err, a.Path)
	case entries > maxArchiveEntries, size > maxArchiveBytes, listed > maxArchiveList:
		return fmt.Errorf("archive of %s: %w", a.SHA, ErrTooLarge)
	case entries == 0 && a.Path != "":
		return fmt.Errorf("%q: %w", validText(a.Path), ErrNotFound)
	}
	return nil
}

// literalPaths makes git read paths literally, without wildcards.
const literalPaths = "GIT_LITERAL_PATHSPECS=1"

// eachRecord calls f with every NUL-terminated record until f returns false, and
// reports whether it reached the end.
func eachRecord(in io.Reader, f func(record string) bool) (complete bool, err error) {
	reader := bufio.NewReaderSize(in, 64<<10)
	for {
		record, err := reader.ReadString(0)
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if !f(strings.TrimSuffix(record, "\x00")) {
			return false, nil
		}
	}
}

// WriteArchive sends an archive that CheckArchive accepted. After an error the
// response may be incomplete, so the caller must abort the connection.
func (r Repo) WriteArchive(ctx context.Context, w http.ResponseWriter, a Archive) error {
	if err := checkIDs(a.SHA); err != nil {
		return err
	}
	args := []string{"-c", "core.bigFileThreshold=" + strconv.Itoa(bigFile),
		"archive", "--format=" + a.Format, "--prefix=" + a.Prefix, "--end-of-options", a.SHA}
	if a.Path != "" {
		args = append(args, a.Path)
	}
	return r.download(ctx, w, maxArchiveOutput, args...)
}

// WriteBlob sends the file with this object id, at most size bytes. After an
// error the response may be incomplete, so the caller must abort the connection.
func (r Repo) WriteBlob(ctx context.Context, w http.ResponseWriter, id string, size int64) error {
	if err := checkIDs(id); err != nil {
		return err
	}
	return r.download(ctx, w, size, "-c", "core.bigFileThreshold="+strconv.Itoa(bigFile), "cat-file", "blob", id)
}

// downloadLimits are the limits of git while a client downloads its output. It
// mostly waits for the client, so the time limit is long; TransferRate is the
// lower limit for the client.
func (s *Store) downloadLimits() limits {
	return limits{memory: 256 << 20, cpuSeconds: 60, time: time.Hour, pool: s.pools.services}
}

// download sends the output of git to a client, at most limit bytes.
func (r Repo) download(ctx context.Context, w http.ResponseWriter, limit int64, args ...string) error {
	c := r.command(args...)
	c.env = append(c.env, literalPaths)
	c.limits = r.store.downloadLimits()
	control := http.NewResponseController(w)
	client := &clientWriter{w: w, control: control, meter: meter{rate: r.store.options.TransferRate, deadline: func(t time.Time) error {
		if err := control.SetWriteDeadline(t); !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		return nil
	}}}
	return r.store.stream(ctx, c, func(out io.Reader) (bool, error) {
		n, err := io.CopyBuffer(struct{ io.Writer }{client}, io.LimitReader(out, limit+1), make([]byte, 64<<10))
		if err == nil && n > limit {
			err = fmt.Errorf("git %s: more than %d bytes: %w", args[0], limit, ErrTooLarge)
		}
		return true, err
	})
}
