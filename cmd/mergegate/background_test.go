package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

// The server stops after a run of Retry now that is in progress.
func TestServer_Shutdown_WaitsForRetryNow(t *testing.T) {
	noError := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c := config{Data: t.TempDir(), BaseURL: "http://mergegate.test", Listen: "127.0.0.1:0", LogFormat: "text", LogLevel: slog.LevelError, MaxPackBytes: 1 << 30}
	var err error
	c.keyring, err = auth.NewKeyring([]byte("0123456789abcdefghijklmnopqrstuv"))
	noError(err)
	a, err := openAppWith(t.Context(), c)
	noError(err)
	defer a.close()
	var armed atomic.Bool
	running, finish := make(chan struct{}), make(chan struct{})
	// The run begins with an audit event.
	a.store.SetHooks(models.Hooks{Query: func(sql string) {
		if strings.HasPrefix(sql, "INSERT INTO `audit_events`") && armed.CompareAndSwap(true, false) {
			close(running)
			<-finish
		}
	}})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s, err := startServer(ctx, a)
	noError(err)

	const password = "a long enough password"
	digest, err := auth.HashPassword(ctx, password)
	noError(err)
	_, err = a.store.CreateUser(ctx, models.User{}, models.UserInput{Username: "root", Name: "Root", Admin: true, PasswordDigest: digest})
	noError(err)
	jar, err := cookiejar.New(nil)
	noError(err)
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	address := s.listener.Addr().String()
	post := func(path string, form url.Values) {
		t.Helper()
		answer, err := client.PostForm("http://"+address+path, form)
		noError(err)
		answer.Body.Close()
		if answer.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s: status %d", path, answer.StatusCode)
		}
	}
	post("/users/sign_in", url.Values{"login": {"root"}, "password": {password}})
	armed.Store(true)
	post("/admin/background_work/retry", url.Values{"recovery": {"pending_pushes"}})
	<-running

	stop()
	for conn, err := net.Dial("tcp", address); err == nil; conn, err = net.Dial("tcp", address) {
		conn.Close()
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.wait() }()
	select {
	case <-stopped:
		t.Error("the server has stopped before the run")
		close(finish)
	case <-time.After(300 * time.Millisecond): // enough for the rest of the server to stop
		close(finish)
		noError(<-stopped)
	}
}
