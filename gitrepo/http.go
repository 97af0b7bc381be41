package gitrepo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The names of the two services of smart HTTP, as in URLs.
const (
	UploadPack  = "git-upload-pack"
	ReceivePack = "git-receive-pack"
)

// maxNegotiationBytes is the maximum size of the uncompressed body of a fetch:
// enough for hundreds of thousands of "have" lines.
const maxNegotiationBytes = 32 << 20

// finishTime is how long a push whose pack is complete may continue after its
// client has disconnected.
const finishTime = 10 * time.Minute

// InfoRefs handles GET …/info/refs?service=…: it sends the refs of the repository
// of a project. Error responses are plain text, which git shows to the user. The
// returned error is for the log.
func (s *Store) InfoRefs(w http.ResponseWriter, r *http.Request, id int64, service string) error {
	if service != UploadPack && service != ReceivePack {
		http.Error(w, "Please use a git client that supports smart HTTP.", http.StatusForbidden)
		return nil
	}
	if !s.Exists(id) {
		return missing(w, id)
	}
	w.Header().Set("Content-Type", "application/x-"+service+"-advertisement")
	noCache(w)
	protocol := gitProtocol(r)
	if service == ReceivePack || !strings.Contains(protocol, "version=2") {
		line := "# service=" + service + "\n"
		fmt.Fprintf(w, "%04x%s0000", len(line)+4, line)
	}
	control := http.NewResponseController(w)
	return s.serve(r.Context(), command{
		dir: s.path(id), repo: id, args: serviceArgs(service, "--http-backend-info-refs"),
		env: protocolEnv(protocol), limits: s.serviceLimits(),
	}, &clientWriter{w: w, control: control, meter: meter{rate: s.options.TransferRate, deadline: control.SetWriteDeadline}}, nil)
}

// UploadPack handles POST …/git-upload-pack, the transfer of a fetch. It streams
// request and response: w and r.Body must not buffer, limit or time out, and
// ReadTimeout and WriteTimeout of the server must be 0. The returned error is for the
// log.
func (s *Store) UploadPack(w http.ResponseWriter, r *http.Request, id int64) error {
	t, err := s.openTransfer(w, r, id, UploadPack)
	if t == nil {
		return err
	}
	defer t.close()
	t.command.stdin = io.LimitReader(t.in, maxNegotiationBytes)
	return t.failed(s.serve(r.Context(), t.command, t.out, nil))
}

// ReceivePack handles POST …/git-receive-pack, the transfer of a push, like
// UploadPack. handler decides about the push. The reflogs get requestID.
func (s *Store) ReceivePack(w http.ResponseWriter, r *http.Request, id int64, requestID string, handler PushHandler) error {
	if err := s.ensureHooks(); err != nil {
		http.Error(w, "The server cannot check pushes at the moment.", http.StatusServiceUnavailable)
		return err
	}
	t, err := s.openTransfer(w, r, id, ReceivePack)
	if t == nil {
		return err
	}
	defer t.close()
	// Lock files that a crash left would make git reject the push.
	if _, _, err := s.sweepLocks(id); err != nil {
		s.log.WarnContext(r.Context(), "removing stale lock files failed", "project_id", id, "error", err)
	}
	buffered := bufio.NewReaderSize(t.in, manyRefsPeek)
	c := &t.command
	c.stdin, c.writes = buffered, true
	c.env = append(c.env, logIdentity(requestID))
	pipes, err := s.openHookPipes(id, handler)
	if err != nil {
		return t.failed(err)
	}
	if pipes.syncRefs = hasManyRefs(buffered); pipes.syncRefs {
		c.args = append(slices.Clone(syncedAtEnd), c.args...)
	}
	ctx, cancel := pushContext(r.Context(), t.body)
	defer cancel()
	err = t.failed(s.serve(ctx, *c, &discardingWriter{w: t.out}, pipes))
	discardRest(t.control, t.body)
	return err
}

// discardTime is how long the rest of a push that git refused is read.
const discardTime = 10 * time.Second

// discardRest reads the rest of a request whose response is written. Closing a
// connection with unread data resets it, and a client that is still sending would lose
// the reason of the refusal.
func discardRest(control *http.ResponseController, body *requestBody) {
	if body.complete.Load() || body.slow.Load() || body.broken.Load() {
		return
	}
	if control.Flush() != nil || control.SetReadDeadline(time.Now().Add(discardTime)) != nil {
		return
	}
	if _, err := io.Copy(io.Discard, body.r); err == nil {
		body.complete.Store(true)
	}
}

// serve runs a service of git and streams its output to out. pipes serve the hooks of
// a push; nil for other services.
func (s *Store) serve(ctx context.Context, c command, out io.Writer, pipes *hookPipes) (err error) {
	ended := s.options.Observe(ctx, c.name())
	defer func() { ended(err) }()
	if pipes != nil {
		defer pipes.close()
	}
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	cmd := s.process(ctx, c)
	stderr := &cappedBuffer{limit: stderrLimit}
	cmd.Stdout, cmd.Stderr = out, stderr
	if pipes != nil {
		cmd.ExtraFiles = pipes.childEnds
	}
	if err := s.start(ctx, cmd, c); err != nil {
		return err
	}
	if pipes != nil {
		pipes.serve(ctx)
	}
	return waitError(ctx, c, cmd, cmd.Wait(), stderr)
}

// pushContext returns a context for a push that outlives its request. If the
// client disconnects before the pack is complete, git fails and removes its
// temporary files, which takes a moment. If the pack is complete, git is about to
// move refs, so it gets finishTime for that and for post-receive.
func pushContext(request context.Context, body *requestBody) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(request))
	stop := context.AfterFunc(request, func() {
		grace := killDelay
		if body.complete.Load() {
			grace = finishTime
		}
		late := time.AfterFunc(grace, cancel)
		context.AfterFunc(ctx, func() { late.Stop() })
	})
	return ctx, func() { stop(); cancel() }
}

// requestBody reads the body of a request, enforces the minimum rate and stores
// how it ended.
type requestBody struct {
	r        io.Reader
	meter    meter
	complete atomic.Bool
	slow     atomic.Bool // slower than the minimum rate
	broken   atomic.Bool // reading failed for another reason
}

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (n int, err error) {
	err = b.meter.run(func() (int, error) {
		n, err = b.r.Read(p)
		return n, err
	})
	switch {
	case errors.Is(err, io.EOF):
		b.complete.Store(true)
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.slow.Store(true)
	case err != nil:
		b.broken.Store(true)
	}
	return n, err
}

// clientWriter flushes every write, because the client shows progress and waits
// for responses before it sends more. It fails if the client reads more slowly than
// the minimum rate.
type clientWriter struct {
	w       io.Writer
	control *http.ResponseController
	meter   meter
	written bool
}

// Write implements io.Writer.
func (c *clientWriter) Write(p []byte) (n int, err error) {
	c.written = true
	err = c.meter.run(func() (int, error) {
		n, err := c.w.Write(p)
		if err == nil {
			err = c.control.Flush()
		}
		return n, err
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// discardingWriter discards the output after the client has disconnected.
// receive-pack runs post-receive after its report, so writing the report must not
// fail.
type discardingWriter struct {
	w    io.Writer
	gone bool
}

// Write never fails.
func (d *discardingWriter) Write(p []byte) (int, error) {
	if !d.gone {
		_, err := d.w.Write(p)
		d.gone = err != nil
	}
	return len(p), nil
}

// serviceArgs returns the arguments of git for a service in the working
// directory.
func serviceArgs(service string, options ...string) []string {
	args := append([]string{strings.TrimPrefix(service, "git-"), "--stateless-rpc"}, options...)
	if service == UploadPack {
		args = append(args, "--strict")
	}
	return append(args, ".")
}

// gitProtocol returns the Git-Protocol header, or "" if it is too long or has
// characters other than printable ASCII.
func gitProtocol(r *http.Request) string {
	v := r.Header.Get("Git-Protocol")
	if len(v) > 128 || strings.ContainsFunc(v, func(c rune) bool { return c < '!' || c > '~' }) {
		return ""
	}
	return v
}

// protocolEnv returns the environment variable that passes the protocol to git.
func protocolEnv(protocol string) []string {
	if protocol == "" {
		return nil
	}
	return []string{"GIT_PROTOCOL=" + protocol}
}

// missing sends the response for a repository whose folder does not exist.
func missing(w http.ResponseWriter, id int64) error {
	http.Error(w, "The repository of this project is missing on the server.", http.StatusNotFound)
	return fmt.Errorf("the repository of project %s is missing: %w", strconv.FormatInt(id, 10), ErrNotFound)
}

// noCache sets the headers that prevent caching.
func noCache(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	h.Set("Expires", "Fri, 01 Jan 1980 00:00:00 GMT")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
}
