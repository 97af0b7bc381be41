package gitrepo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// maxHookBytes bounds one request or answer on the socket: some ten thousand
// refs.
const maxHookBytes = 16 << 20

// maxSocketPath is what Linux takes for the path of a unix socket, in bytes.
const maxSocketPath = 107

// HookHandler decides on a HookRequest.
type HookHandler func(ctx context.Context, r HookRequest) HookResponse

// ListenHooks opens the unix socket that hooks find by Options.SocketPath. Its
// mode (0600, in a folder of 0700) is what keeps others out. A socket left
// behind by a crash is replaced; one that answers is somebody else's.
func ListenHooks(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the path of the hook socket has %d bytes and may have %d: %s", len(path), maxSocketPath, path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the hook socket: %w", err)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("another process listens on %s", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replace the hook socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for the hooks: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// ServeHooks answers hooks until ctx ends; then it takes no more and returns
// when those under way are answered. It closes the listener.
func ServeHooks(ctx context.Context, l net.Listener, handle HookHandler, log *slog.Logger) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var under sync.WaitGroup
	defer under.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accept a hook: %w", err)
			}
			log.Error("a hook could not be accepted", "error", err)
			select { // out of descriptors, say: the next may fare better
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		under.Go(func() {
			defer conn.Close()
			if err := answerHook(context.WithoutCancel(ctx), conn, handle, log); err != nil {
				log.Error("a hook was not answered", "error", err)
			}
		})
	}
}

// answerHook reads one request and writes one answer. A handler that panics
// refuses.
func answerHook(ctx context.Context, conn net.Conn, handle HookHandler, log *slog.Logger) (err error) {
	ctx, cancel := context.WithTimeout(ctx, hookTime)
	defer cancel()
	if err := conn.SetDeadline(time.Now().Add(hookTime)); err != nil {
		return err
	}
	var request HookRequest
	if err := json.NewDecoder(io.LimitReader(conn, maxHookBytes)).Decode(&request); err != nil {
		return fmt.Errorf("read a hook's request: %w", err)
	}
	defer func() {
		if v := recover(); v != nil {
			log.Error("a hook's handler panicked", "panic", v, "request_id", request.RequestID)
			err = errors.Join(err, fmt.Errorf("handle a %s: panic", request.Kind))
		}
	}()
	return json.NewEncoder(conn).Encode(handle(ctx, request))
}

// askServer is the hook's side: one request, one answer.
func askServer(ctx context.Context, socket string, request HookRequest) (HookResponse, error) {
	var answer HookResponse
	if socket == "" {
		return answer, errors.New("no hook socket is configured")
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return answer, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return answer, err
		}
	}
	if err := json.NewEncoder(conn).Encode(request); err != nil {
		return answer, err
	}
	return answer, json.NewDecoder(io.LimitReader(conn, maxHookBytes)).Decode(&answer)
}
