package gitrepo

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The two services of smart HTTP, as they stand in URLs.
const (
	UploadPack  = "git-upload-pack"
	ReceivePack = "git-receive-pack"
)

// maxNegotiationBytes bounds the body of a fetch, unpacked: room for some
// hundred thousand "have" lines.
const maxNegotiationBytes = 32 << 20

// finishTime is how long a push may go on after its client has gone, once
// everything has arrived.
const finishTime = 10 * time.Minute

// InfoRefs answers GET …/info/refs?service=…: the refs of the project's
// repository. Faults are answered in plain text, which git shows to the user;
// the error is for the log.
func (s *Store) InfoRefs(w http.ResponseWriter, r *http.Request, id int64, service string) error {
	if service != UploadPack && service != ReceivePack {
		http.Error(w, "Please use a git client that speaks smart HTTP.", http.StatusForbidden)
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

// Service answers POST …/git-upload-pack and …/git-receive-pack. userID and
// requestID are handed to the hooks of a push. Neither the pack nor the answer
// is ever held in memory.
//
// The caller must not wrap w or r.Body in anything that buffers, limits or
// times out, and the server's ReadTimeout and WriteTimeout must be 0.
func (s *Store) Service(w http.ResponseWriter, r *http.Request, id int64, service string, userID int64, requestID string) error {
	if service != UploadPack && service != ReceivePack {
		http.Error(w, "There is no such git service.", http.StatusNotFound)
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
	// Without this, Go drops what is left of the request at the first write,
	// and every fetch with many "have" lines breaks off.
	if err := control.EnableFullDuplex(); err != nil {
		http.Error(w, "The server cannot serve git here.", http.StatusInternalServerError)
		return fmt.Errorf("enable full duplex: %w", err)
	}
	rate := s.options.TransferRate
	body := &requestBody{r: r.Body, meter: meter{rate: rate, deadline: control.SetReadDeadline}}
	defer func() {
		// The server reads what is left of a request before the next one: not
		// from a client that may never send it.
		if !body.complete.Load() {
			_ = control.SetReadDeadline(time.Now())
		}
	}()
	var in io.Reader = body
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, "The request is not the gzip that it claims to be.", http.StatusBadRequest)
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
	// A lock that a crash left behind would refuse the push.
	if _, _, err := s.sweepLocks(id); err != nil {
		s.log.Warn("locks could not be swept", "project_id", id, "error", err)
	}
	c.stdin, c.writes = in, true
	c.env = append(c.env, s.hookEnv(id, userID, requestID)...)
	c.env = append(c.env, logIdentity(requestID))
	ctx, cancel := pushContext(ctx, body)
	defer cancel()
	err := s.serve(ctx, c, &deafWriter{w: out})
	return s.serviceError(w, c, client, body, err)
}

// serve runs a service with its output going to the client as it comes.
func (s *Store) serve(ctx context.Context, c command, out io.Writer) error {
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

// serviceError answers for a service that failed before it wrote anything, and
// returns what is worth the log. git exits with the same code for bytes that
// are not its protocol and for a damaged repository: where the repository can
// be read, the bytes are to blame.
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
		http.Error(w, "The request came too slowly.", http.StatusRequestTimeout)
		return nil
	case body.broken.Load():
	case errors.As(err, &failed) && failed.ExitCode > 0 && s.readable(c.repo):
	default:
		return err
	}
	http.Error(w, "The request is not what git sends.", http.StatusBadRequest)
	return nil
}

// readable reports whether git can read the refs of a repository.
func (s *Store) readable(id int64) bool {
	ctx, cancel := context.WithTimeout(context.Background(), killDelay)
	defer cancel()
	_, err := s.Repo(id).git(ctx, "for-each-ref", "--count=1")
	return err == nil
}

// pushContext is the life of a push: the request's, and some time after it.
// When the client goes away before everything has arrived, git reads a pack
// that breaks off, cleans up and ends; killing it would leave its temporary
// files. When everything has arrived, refs are about to move, and a kill
// between the refs and the news of them would only make work for the sweep.
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

// requestBody reads a request at the client's minimum rate, and notices when
// all of it has arrived.
type requestBody struct {
	r        io.Reader
	meter    meter
	complete atomic.Bool
	slow     atomic.Bool // it came below the minimum rate
	broken   atomic.Bool // it could not be read
}

// Read reads the body.
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

// clientWriter sends every write to the client at once: progress, and answers
// that the client waits for before it goes on sending. A client that takes
// less than the minimum rate is cut off.
type clientWriter struct {
	w       io.Writer
	control *http.ResponseController
	meter   meter
	written bool
}

// Write writes and flushes.
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

// deafWriter goes on taking output after the client has gone: receive-pack
// runs post-receive after its report, and must not die of the report.
type deafWriter struct {
	w    io.Writer
	gone bool
}

// Write never fails.
func (d *deafWriter) Write(p []byte) (int, error) {
	if !d.gone {
		_, err := d.w.Write(p)
		d.gone = err != nil
	}
	return len(p), nil
}

// serviceArgs is git's command line for a service in the working directory.
func serviceArgs(service string, options ...string) []string {
	args := append([]string{strings.TrimPrefix(service, "git-"), "--stateless-rpc"}, options...)
	if service == UploadPack {
		args = append(args, "--strict")
	}
	return append(args, ".")
}

// gitProtocol is the request's Git-Protocol header, when it is one: short, and
// made of "key=value" pairs.
func gitProtocol(r *http.Request) string {
	v := r.Header.Get("Git-Protocol")
	if len(v) > 128 || strings.ContainsFunc(v, func(c rune) bool { return c < '!' || c > '~' }) {
		return ""
	}
	return v
}

// protocolEnv hands the protocol to git.
func protocolEnv(protocol string) []string {
	if protocol == "" {
		return nil
	}
	return []string{"GIT_PROTOCOL=" + protocol}
}

// missing answers for a repository whose folder is not there.
func missing(w http.ResponseWriter, id int64) error {
	http.Error(w, "The repository of this project is missing on the server.", http.StatusNotFound)
	return fmt.Errorf("the repository of project %s is missing: %w", strconv.FormatInt(id, 10), ErrNotFound)
}

// noCache keeps proxies from storing an answer.
func noCache(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	h.Set("Expires", "Fri, 01 Jan 1980 00:00:00 GMT")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
}
