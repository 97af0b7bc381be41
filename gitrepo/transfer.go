package gitrepo

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"
)

// TransferRate is the least that a git client must send or take: Bytes in each
// Window of waiting for it. The time that the server itself takes does not
// count.
type TransferRate struct {
	Bytes  int
	Window time.Duration
}

// DefaultTransferRate is 1 KiB a second, measured over 30 seconds.
var DefaultTransferRate = TransferRate{Bytes: 30 << 10, Window: 30 * time.Second}

// meter gives the reads or writes of one connection a deadline, by which the
// minimum rate must be reached. There is no deadline outside of them.
type meter struct {
	rate     TransferRate
	deadline func(time.Time) error

	waited time.Duration // in this window
	bytes  int           // in this window
}

// run does one read or write of n bytes.
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
	// The server reads ahead to notice that the client has gone: a deadline
	// left behind would look like that.
	if resetErr := m.deadline(time.Time{}); err == nil {
		err = resetErr
	}
	return err
}

// serverPaths are the folders of the server that git's messages may name.
func (s *Store) serverPaths(id int64) [][]byte {
	var paths [][]byte
	for _, path := range []string{s.path(id), s.options.HooksDir, s.root} {
		paths = append(paths, []byte(path))
		if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
			paths = append(paths, []byte(real))
		}
	}
	return paths
}

// maxPacket is the longest line of git's protocol, with its length.
const maxPacket = 65520

// pathFilter passes git's protocol on and takes the server's paths out of the
// messages that a client shows to its user: progress, errors, and what the
// hooks print. Everything else goes through untouched and at once.
type pathFilter struct {
	w     io.Writer
	paths [][]byte

	packet []byte // the beginning of a packet, until it is known what it is
	pass   int    // bytes of the current packet that go through
	raw    bool   // what comes is not in packets
}

// Write passes p on, except for the beginning of a packet or message that is
// not complete.
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
			// One write for the head and what has come of the body.
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

// need is how many bytes of the packet must have come before it can go on: its
// length and first byte, or all of a message.
func (f *pathFilter) need() int {
	if len(f.packet) < 4 {
		return 4
	}
	size, ok := packetSize(f.packet)
	switch {
	case !ok, size <= 4: // no packet, a separator, or an empty one
		return 4
	case len(f.packet) > 4 && isMessage(f.packet[4]):
		return size
	}
	return 5
}

// release is the packet, or its beginning, as it goes to the client.
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

// clean is a packet without the server's paths.
func (f *pathFilter) clean(packet []byte) []byte {
	body := packet[4:]
	for _, path := range f.paths {
		body = bytes.ReplaceAll(body, append(path[:len(path):len(path)], '/'), nil)
		body = bytes.ReplaceAll(body, path, []byte("the repository"))
	}
	return fmt.Appendf(nil, "%04x%s", len(body)+4, body)
}

// isMessage reports whether a packet that begins so holds a message: the bands
// 2 and 3 of a multiplexed answer, or "ERR ".
func isMessage(first byte) bool { return first == 2 || first == 3 || first == 'E' }

// packetSize is the length that a packet begins with, itself included.
func packetSize(packet []byte) (int, bool) {
	n, err := strconv.ParseUint(string(packet[:4]), 16, 16)
	return int(n), err == nil && n <= maxPacket
}
