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

// maxHookBytes is the maximum size of a request or response: enough for tens of
// thousands of refs.
const maxHookBytes = 16 << 20

// maxSocketPath is the maximum length of the path of a unix socket on Linux, in
// bytes.
const maxSocketPath = 107

// HookHandler handles the request of a hook.
type HookHandler func(ctx context.Context, r HookRequest) HookResponse

// ListenHooks opens the unix socket at path, which Options.SocketPath tells the
// hooks, as ListenPrivate does.
func ListenHooks(path string) (net.Listener, error) { return ListenPrivate(path) }

// ListenPrivate opens a unix socket. Only the own user can connect: it has mode
// 0600. It replaces a socket that a crash left, and returns an error if another
// process listens.
func ListenPrivate(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the path of the socket has %d bytes, the maximum is %d: %s", len(path), maxSocketPath, path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("create the folder of the socket: %w", err)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("another process listens on %s", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replace the socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on the socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// ServeHooks handles the requests of hooks until ctx ends. Then it closes the
// listener, waits for the requests in progress and returns nil.
func ServeHooks(ctx context.Context, l net.Listener, handle HookHandler, log *slog.Logger) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accept a hook connection: %w", err)
			}
			log.Error("accepting a hook connection failed", "error", err)
			select { // a temporary error, such as too many open files
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		running.Go(func() {
			defer conn.Close()
			if err := answerHook(context.WithoutCancel(ctx), conn, handle, log); err != nil {
				log.Error("hook request failed", "error", err)
			}
		})
	}
}

// answerHook reads one request and writes one response. If the handler panics, it
// writes none, and the hook rejects the push.
func answerHook(ctx context.Context, conn net.Conn, handle HookHandler, log *slog.Logger) (err error) {
	ctx, cancel := context.WithTimeout(ctx, hookTime)
	defer cancel()
	if err := conn.SetDeadline(time.Now().Add(hookTime)); err != nil {
		return err
	}
	var request HookRequest
	if err := json.NewDecoder(io.LimitReader(conn, maxHookBytes)).Decode(&request); err != nil {
		return fmt.Errorf("read the hook request: %w", err)
	}
	defer func() {
		if v := recover(); v != nil {
			log.Error("hook handler panicked", "panic", v, "request_id", request.RequestID)
			err = errors.Join(err, fmt.Errorf("handle %s: panic", request.Kind))
		}
	}()
	return json.NewEncoder(conn).Encode(handle(ctx, request))
}

// askServer sends a request to the socket and returns the response.
func askServer(ctx context.Context, socket string, request HookRequest) (HookResponse, error) {
	var answer HookResponse
	if socket == "" {
		return answer, errors.New("the hook socket is not configured")
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
