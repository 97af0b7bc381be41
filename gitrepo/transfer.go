package gitrepo

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// transfer is a request that transfers objects, with its response.
type transfer struct {
	store   *Store
	w       http.ResponseWriter
	control *http.ResponseController
	body    *requestBody
	in      io.Reader // the body, uncompressed
	client  *clientWriter
	out     io.Writer // to client
	command command
}

// openTransfer checks a request and starts its response. If it returns no transfer,
// the response is written, and the error is for the log.
func (s *Store) openTransfer(w http.ResponseWriter, r *http.Request, id int64, service string) (*transfer, error) {
	if got := r.Header.Get("Content-Type"); got != "application/x-"+service+"-request" {
		http.Error(w, "This address is for git clients only.", http.StatusUnsupportedMediaType)
		return nil, nil
	}
	if !s.Exists(id) {
		return nil, missing(w, id)
	}
	control := http.NewResponseController(w)
	// Without this, Go discards the rest of the request at the first write, and
	// fetches with many "have" lines fail.
	if err := control.EnableFullDuplex(); err != nil {
		http.Error(w, "The server cannot serve git here.", http.StatusInternalServerError)
		return nil, fmt.Errorf("enable full duplex: %w", err)
	}
	rate := s.options.TransferRate
	t := &transfer{
		store: s, w: w, control: control,
		body:   &requestBody{r: r.Body, meter: meter{rate: rate, deadline: control.SetReadDeadline}},
		client: &clientWriter{w: w, control: control, meter: meter{rate: rate, deadline: control.SetWriteDeadline}},
		command: command{
			dir: s.path(id), repo: id, args: serviceArgs(service), env: protocolEnv(gitProtocol(r)), limits: s.serviceLimits(),
		},
	}
	t.in = t.body
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		unpacked, err := gzip.NewReader(t.body)
		if err != nil {
			w.Header().Set("Connection", "close") // net/http panics if a full duplex handler leaves a body
			http.Error(w, "The request body is not valid gzip.", http.StatusBadRequest)
			t.close()
			return nil, nil
		}
		t.in = unpacked
	}
	t.out = &pathFilter{w: t.client, paths: s.serverPaths(id)}
	w.Header().Set("Content-Type", "application/x-"+service+"-result")
	noCache(w)
	return t, nil
}

// close ends reading the request. The server reads the rest of a request before the
// next one, and must not wait for a client that may never send it.
func (t *transfer) close() {
	if !t.body.complete.Load() {
		_ = t.control.SetReadDeadline(time.Now())
	}
}

// failed writes the response for a service that failed before it wrote any output, and
// returns the error for the log, if any. git exits with the same code for an invalid
// request and for a damaged repository, so if the repository is readable, the request
// is invalid.
func (t *transfer) failed(err error) error {
	if err == nil || t.client.written {
		return err
	}
	if !t.body.complete.Load() {
		t.w.Header().Set("Connection", "close")
	}
	var failed *CommandError
	switch {
	case errors.Is(err, ErrBusy):
		t.w.Header().Set("Retry-After", "30")
		http.Error(t.w, "Too many git requests are running at the moment. Please try again in a minute.", http.StatusServiceUnavailable)
		return nil
	case t.body.slow.Load():
		http.Error(t.w, "The request was sent too slowly.", http.StatusRequestTimeout)
		return nil
	case t.body.broken.Load():
	case errors.As(err, &failed) && failed.ExitCode > 0 && t.store.readable(t.command.repo):
	default:
		return err
	}
	http.Error(t.w, "The request is not a valid request of git.", http.StatusBadRequest)
	return nil
}

// readable reports whether git can read the refs of a repository.
func (s *Store) readable(id int64) bool {
	ctx, cancel := context.WithTimeout(context.Background(), killDelay)
	defer cancel()
	_, err := s.Repo(id).git(ctx, "for-each-ref", "--count=1")
	return err == nil
}

// TransferRate is the minimum rate at which a git client must send or receive:
// Bytes for each Window that the server waits for the client. Other time of the
// server does not count.
type TransferRate struct {
	Bytes  int
	Window time.Duration
}

// DefaultTransferRate is 1 KiB a second, measured over 30 seconds.
var DefaultTransferRate = TransferRate{Bytes: 30 << 10, Window: 30 * time.Second}

// meter enforces the minimum rate of one connection: it sets a deadline during each
// read or write.
type meter struct {
	rate     TransferRate
	deadline func(time.Time) error

	waited time.Duration // in the current window
	bytes  int           // in the current window
}

// run calls transfer, one read or write, with a deadline.
func (m *meter) run(transfer func() (n int, err error)) error {
	begin := time.Now()
	if err := m.deadline(begin.Add(m.rate.Window - m.waited)); err != nil {
		return fmt.Errorf("set the deadline of a transfer: %w", err)
	}
	n, err := transfer()
	m.waited += time.Since(begin)
	if m.bytes += n; m.bytes >= m.rate.Bytes {
		m.bytes, m.waited = 0, 0
	}
	// net/http reads in the background to detect a disconnected client. An old
	// deadline would look like one.
	if resetErr := m.deadline(time.Time{}); err == nil {
		err = resetErr
	}
	return err
}

// serverPaths returns the folders of the server that messages of git may contain.
func (s *Store) serverPaths(id int64) [][]byte {
	var paths [][]byte
	for _, path := range []string{s.path(id), s.hooks, s.root} {
		paths = append(paths, []byte(path))
		if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
			paths = append(paths, []byte(real))
		}
	}
	return paths
}

// maxPacket is the maximum size of a packet of the protocol, including its length
// field.
const maxPacket = 65520

// pathFilter forwards the output of git and removes paths of the server from the
// messages that clients show: progress, errors and the output of hooks. It forwards
// everything else unchanged and at once.
type pathFilter struct {
	w     io.Writer
	paths [][]byte

	packet []byte // the part of the current packet that is not forwarded yet
	pass   int    // remaining bytes of the current packet to forward unchanged
	raw    bool   // the output does not consist of packets
}

// Write implements io.Writer. It keeps back the beginning of a packet, and a message
// until it is complete.
func (f *pathFilter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		var out []byte
		if f.raw || f.pass > 0 {
			take := len(p)
			if !f.raw {
				take = min(take, f.pass)
				f.pass -= take
			}
			out, p = p[:take], p[take:]
		} else {
			take := min(f.need()-len(f.packet), len(p))
			f.packet, p = append(f.packet, p[:take]...), p[take:]
			if len(f.packet) < f.need() {
				continue
			}
			out = f.release()
			// One write for the header and the available part of the body.
			body := min(f.pass, len(p))
			out, p = append(out, p[:body]...), p[body:]
			f.pass -= body
		}
		if _, err := f.w.Write(out); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// need returns how many bytes of the packet are needed to forward it: the length and
// the first byte, or all bytes of a message.
func (f *pathFilter) need() int {
	if len(f.packet) < 4 {
		return 4
	}
	size, ok := packetSize(f.packet)
	switch {
	case !ok, size <= 4: // not a packet, a separator, or an empty packet
		return 4
	case len(f.packet) > 4 && isMessage(f.packet[4]):
		return size
	}
	return 5
}

// release returns the kept bytes as the client receives them.
func (f *pathFilter) release() []byte {
	packet := f.packet
	f.packet = nil
	size, ok := packetSize(packet)
	switch {
	case !ok:
		f.raw = true
	case size <= 4:
	case isMessage(packet[4]):
		return f.clean(packet)
	default:
		f.pass = size - len(packet)
	}
	return packet
}

// clean returns a packet without the paths of the server.
func (f *pathFilter) clean(packet []byte) []byte {
	body := packet[4:]
	for _, path := range f.paths {
		body = bytes.ReplaceAll(body, append(path[:len(path):len(path)], '/'), nil)
		body = bytes.ReplaceAll(body, path, []byte("the repository"))
	}
	return fmt.Appendf(nil, "%04x%s", len(body)+4, body)
}

// isMessage reports whether a packet with this first byte is a message: band 2 or 3
// of multiplexed output, or "ERR ".
func isMessage(first byte) bool { return first == 2 || first == 3 || first == 'E' }

// packetSize parses the length at the beginning of a packet, which includes itself.
func packetSize(packet []byte) (int, bool) {
	n, err := strconv.ParseUint(string(packet[:4]), 16, 16)
	return int(n), err == nil && n <= maxPacket
}
