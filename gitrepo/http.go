package gitrepo

import (
	"bufio"
	"compress/gzip"
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
	}, &clientWriter{w: w, control: control, meter: meter{rate: s.options.TransferRate, deadline: control.SetWriteDeadline}})
}

// Service handles POST …/git-upload-pack and …/git-receive-pack. It passes userID
// and requestID to the hooks of a push, and streams request and response.
//
// w and r.Body must not buffer, limit or time out, and ReadTimeout and
// WriteTimeout of the server must be 0.
func (s *Store) Service(w http.ResponseWriter, r *http.Request, id int64, service string, userID int64, requestID string) error {
	if service != UploadPack && service != ReceivePack {
		http.Error(w, "This git service does not exist.", http.StatusNotFound)
		return nil
	}
	if got := r.Header.Get("Content-Type"); got != "application/x-"+service+"-request" {
		http.Error(w, "This address is for git clients only.", http.StatusUnsupportedMediaType)
		return nil
	}
	if !s.Exists(id) {
		return missing(w, id)
	}
	if service == ReceivePack {
		if err := s.ensureHooks(); err != nil {
			http.Error(w, "The server cannot check pushes at the moment.", http.StatusServiceUnavailable)
			return err
		}
	}
	control := http.NewResponseController(w)
	// Without this, Go discards the rest of the request at the first write, and
	// fetches with many "have" lines fail.
	if err := control.EnableFullDuplex(); err != nil {
		http.Error(w, "The server cannot serve git here.", http.StatusInternalServerError)
		return fmt.Errorf("enable full duplex: %w", err)
	}
	rate := s.options.TransferRate
	body := &requestBody{r: r.Body, meter: meter{rate: rate, deadline: control.SetReadDeadline}}
	defer func() {
		// The server reads the rest of a request before the next one. Do not wait
		// for a client that may never send it.
		if !body.complete.Load() {
			_ = control.SetReadDeadline(time.Now())
		}
	}()
	var in io.Reader = body
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, "The request body is not valid gzip.", http.StatusBadRequest)
			return nil
		}
		in = unpacked
	}
	w.Header().Set("Content-Type", "application/x-"+service+"-result")
	noCache(w)
	c := command{dir: s.path(id), repo: id, args: serviceArgs(service), env: protocolEnv(gitProtocol(r)), limits: s.serviceLimits()}
	client := &clientWriter{w: w, control: control, meter: meter{rate: rate, deadline: control.SetWriteDeadline}}
	out := &pathFilter{w: client, paths: s.serverPaths(id)}
	ctx := r.Context()
	if service == UploadPack {
		c.stdin = io.LimitReader(in, maxNegotiationBytes)
		err := s.serve(ctx, c, out)
		return s.serviceError(w, c, client, body, err)
	}
	// Lock files that a crash left would make git reject the push.
	if _, _, err := s.sweepLocks(id); err != nil {
		s.log.WarnContext(ctx, "removing stale lock files failed", "project_id", id, "error", err)
	}
	buffered := bufio.NewReaderSize(in, manyRefsPeek)
	c.stdin, c.writes = buffered, true
	if hasManyRefs(buffered) {
		c.args = append(slices.Clone(syncedAtEnd), c.args...)
		c.env = append(c.env, envSync+"=1")
	}
	c.env = append(c.env, s.hookEnv(id, userID, requestID)...)
	c.env = append(c.env, logIdentity(requestID))
	ctx, cancel := pushContext(ctx, body)
	defer cancel()
	err := s.serve(ctx, c, &discardingWriter{w: out})
	err = s.serviceError(w, c, client, body, err)
	discardRest(control, body)
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

// serve runs a service of git and streams its output to out.
func (s *Store) serve(ctx context.Context, c command, out io.Writer) (err error) {
	ended := s.options.Observe(ctx, c.name())
	defer func() { ended(err) }()
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	cmd := s.process(ctx, c)
	stderr := &cappedBuffer{limit: stderrLimit}
	cmd.Stdout, cmd.Stderr = out, stderr
	if err := s.start(ctx, cmd, c); err != nil {
		return err
	}
	return waitError(ctx, c, cmd, cmd.Wait(), stderr)
}

// serviceError writes the response for a service that failed before it wrote any
// output, and returns the error for the log, if any. git exits with the same code
// for an invalid request and for a damaged repository, so if the repository is
// readable, the request is invalid.
func (s *Store) serviceError(w http.ResponseWriter, c command, client *clientWriter, body *requestBody, err error) error {
	if err == nil || client.written {
		return err
	}
	if !body.complete.Load() {
		w.Header().Set("Connection", "close")
	}
	var failed *CommandError
	switch {
	case errors.Is(err, ErrBusy):
		w.Header().Set("Retry-After", "30")
		http.Error(w, "Too many git requests are running at the moment. Please try again in a minute.", http.StatusServiceUnavailable)
		return nil
	case body.slow.Load():
		http.Error(w, "The request was sent too slowly.", http.StatusRequestTimeout)
		return nil
	case body.broken.Load():
	case errors.As(err, &failed) && failed.ExitCode > 0 && s.readable(c.repo):
	default:
		return err
	}
	http.Error(w, "The request is not a valid request of git.", http.StatusBadRequest)
	return nil
}

// readable reports whether git can read the refs of a repository.
func (s *Store) readable(id int64) bool {
	ctx, cancel := context.WithTimeout(context.Background(), killDelay)
	defer cancel()
	_, err := s.Repo(id).git(ctx, "for-each-ref", "--count=1")
	return err == nil
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
