package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/cmd/mergegate/repositories"
	"github.com/mergegate/mergegate/handlers"
	"github.com/mergegate/mergegate/handlers/apiv4"
	"github.com/mergegate/mergegate/handlers/githttp"
	"github.com/mergegate/mergegate/jobs"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/static"
	"github.com/mergegate/mergegate/webhook"
)

// drainTime is how long requests in flight may take after the stop signal.
const drainTime = 20 * time.Second

// serveCommand runs the server until ctx ends.
func serveCommand(ctx context.Context, args []string) error {
	if len(args) != 0 {
		return errUsage
	}
	c, err := readConfig()
	if err != nil {
		return err
	}
	if err := c.waitForDatabase(ctx); err != nil {
		return err
	}
	a, err := openAppWith(ctx, c)
	if err != nil {
		return err
	}
	defer a.close()
	a.warnOfSlowSearches(ctx)
	s, err := startServer(ctx, a)
	if err != nil {
		return err
	}
	if err := a.announceSetup(ctx, os.Stderr); err != nil {
		s.fail(err)
	}
	return s.wait()
}

// warnOfSlowSearches logs a warning if PostgreSQL has no indexes for searches.
func (a *app) warnOfSlowSearches(ctx context.Context) {
	state, err := a.store.SearchState(ctx)
	if err != nil {
		a.config.logger().Warn("reading the indexes of searches failed", "error", err)
	} else if len(state.Missing) > 0 {
		a.config.logger().Warn("searches are slow: PostgreSQL lacks indexes of the extension pg_trgm; `mergegate doctor` says how to create them",
			"indexes", state.Missing, "extension", state.Trigrams, "sql", state.SQL)
	}
}

// setupGrace is how long the set-up link of another instance is kept: several
// instances that start at once print one link.
const setupGrace = time.Minute

// announceSetup prints the link that creates the first administrator, if there are
// no users. It is no log entry: log collectors would keep it.
func (a *app) announceSetup(ctx context.Context, out io.Writer) error {
	keep := setupGrace
	if !a.config.postgres() {
		keep = 0 // there is no other instance
	}
	token := auth.NewSessionID()
	created, err := a.store.CreateSetupLink(ctx, auth.Digest(token), keep)
	if err != nil || !created {
		return err
	}
	_, err = fmt.Fprintf(out, "\nThere are no users yet. Create the first administrator, within %d hours, at\n\n  %s\n\n"+
		"The link works once. The next start prints a new one.\n\n", int(models.SetupLinkLifetime.Hours()), a.config.BaseURL+handlers.SetupURL(token))
	return err
}

// server is a running server: pages, API and git on one listener, and the
// background jobs.
type server struct {
	log      *slog.Logger
	http     *http.Server
	listener net.Listener
	stopped  context.Context // ends when the server should stop
	fail     context.CancelCauseFunc
	running  sync.WaitGroup
}

// startServer starts all parts of the server. They stop when ctx ends; wait
// waits for that.
func startServer(ctx context.Context, a *app) (*server, error) {
	log := a.config.logger()
	slog.SetDefault(log)
	sender := a.newSender()
	s := &server{log: log}
	s.stopped, s.fail = context.WithCancelCause(ctx)
	a.stopping, a.background = s.stopped, s.inBackground
	handler, err := newHandler(a, log, sender)
	if err != nil {
		return nil, err
	}
	if s.listener, err = net.Listen("tcp", a.config.Listen); err != nil {
		return nil, fmt.Errorf("MERGEGATE_LISTEN: %w", err)
	}
	if err := s.serveMetrics(a); err != nil {
		s.listener.Close()
		return nil, err
	}
	s.http = &http.Server{
		Handler: handler,
		// One request of git may take hundreds of megabytes, so only reading the
		// header has a time limit here. The handler limits bodies.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	if !a.config.postgres() {
		s.serveCommands(a)
	}
	options := jobs.Options{
		Store: a.metrics.Store(a.store), Sender: a.metrics.Sender(sender), Log: log, JobDone: a.metrics.Job,
		Tidy: a.repos.Tidy, SweepLocks: a.repos.SweepLocks, SingleProcess: !a.config.postgres(),
	}
	if a.tracing != nil {
		options.StartAttempt = a.tracing.StartAttempt
	}
	work := jobs.New(options)
	a.metrics.WatchSlots(work.Slots)
	s.running.Go(func() { work.Run(s.stopped) })
	s.running.Go(func() {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.fail(err)
		}
	})
	s.running.Go(func() {
		<-s.stopped.Done()
		// Until the proxy has seen that the server is not ready, it sends requests.
		time.Sleep(a.config.ShutdownDelay)
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		if err := s.http.Shutdown(drain); err != nil {
			log.Warn("requests aborted at shutdown", "error", err)
			s.http.Close()
		}
	})
	log.Info(
		"server started", "address", s.listener.Addr().String(), "base_url", a.config.BaseURL,
		"database", a.store.Driver(), "version", version(),
	)
	return s, nil
}

// serveCommands lets the commands user and namespace work beside the server, until it
// stops.
func (s *server) serveCommands(a *app) {
	listener := a.config.listenAdmin(s.log)
	if listener == nil {
		return
	}
	server := adminServer(a, s.log)
	s.running.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.fail(err)
		}
	})
	s.running.Go(func() {
		<-s.stopped.Done()
		drain, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		if err := server.Shutdown(drain); err != nil {
			server.Close()
		}
	})
}

// inBackground runs f, whose context ends when the server should stop. wait waits for f.
func (s *server) inBackground(f func(context.Context)) {
	s.running.Go(func() { f(s.stopped) })
}

// wait blocks until the server has stopped. A requested shutdown is not an
// error.
func (s *server) wait() error {
	s.running.Wait()
	if err := context.Cause(s.stopped); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	s.log.Info("server stopped")
	return nil
}

// bodyTimeout sets handlers.Deps.BodyTimeout. Only tests change it.
var bodyTimeout time.Duration

// ready returns an error once the server has been asked to stop.
func (a *app) ready(*http.Request) error {
	if a.stopping != nil && a.stopping.Err() != nil {
		return errors.New("the server is stopping")
	}
	return nil
}

// newHandler returns a router for pages, git and API.
func newHandler(a *app, log *slog.Logger, sender *webhook.Client) (http.Handler, error) {
	git := repositories.Git{Store: a.repos}
	e, err := handlers.New(handlers.Deps{
		Store: a.store, Git: git, Log: log, BaseURL: a.config.BaseURL, Sender: sender,
		Version: version(), Settings: a.config.inForce(),
		SessionKey: a.config.keyring.Derive("sessions"), TrustedProxies: a.config.TrustedProxies, BodyTimeout: bodyTimeout,
		Middleware: a.observeRequests(), Ready: a.ready, Background: a.background,
	})
	if err != nil {
		return nil, err
	}
	githttp.Register(e, githttp.Deps{Store: a.store, Transport: a.traceTransport(a.repos), Log: log, BaseURL: a.config.BaseURL})
	apiv4.Register(e, apiv4.Deps{
		Store: a.store, Git: git, Log: log, BaseURL: a.config.BaseURL, Version: version(), Revision: revision(),
		Stylesheet: static.URL("style.css"), Limits: a.config.apiLimits(),
		Answered: a.observeAnswer,
	})
	return e, nil
}
