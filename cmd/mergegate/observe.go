package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/githttp"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/webhook"
)

// newSender returns a client for deliveries, which have a traceparent only with tracing.
func (a *app) newSender() *webhook.Client {
	options := webhook.Options{Version: version(), BaseURL: a.config.BaseURL, Allow: a.config.allow}
	if a.tracing != nil {
		options.Modify = a.tracing.AddHeader
	}
	return webhook.NewClient(options)
}

// observeRequests returns the middleware that traces and measures requests.
func (a *app) observeRequests() []echo.MiddlewareFunc {
	if a.tracing == nil {
		return []echo.MiddlewareFunc{a.metrics.Requests}
	}
	return []echo.MiddlewareFunc{a.tracing.Requests, a.metrics.Requests}
}

// observeGit measures and traces a git process.
func (a *app) observeGit(ctx context.Context, command string) (ended func(error)) {
	measured := a.metrics.Git(ctx, command)
	if a.tracing == nil {
		return measured
	}
	traced := a.tracing.Git(ctx, command)
	return func(err error) {
		measured(err)
		traced(err)
	}
}

// observeAnswer measures and traces an answer of a service.
func (a *app) observeAnswer(ctx context.Context, r models.RecordedResponse) {
	a.metrics.Answered(r)
	if a.tracing != nil {
		a.tracing.Answered(ctx, a.store, r)
	}
}

func (a *app) traceTransport(inner githttp.Transport) githttp.Transport {
	if a.tracing == nil {
		return inner
	}
	return a.tracing.Transport(inner)
}

// serveMetrics serves /metrics on its own listener, if one is configured, until the
// server stops.
func (s *server) serveMetrics(a *app) error {
	if a.config.MetricsListen == "" {
		return nil
	}
	listener, err := net.Listen("tcp", a.config.MetricsListen)
	if err != nil {
		return fmt.Errorf("MERGEGATE_METRICS_LISTEN: %w", err)
	}
	server := &http.Server{
		Handler: a.metrics.Handler(s.log), ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	context.AfterFunc(s.stopped, func() { server.Close() })
	s.running.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.fail(err)
		}
	})
	s.log.Info("metrics served", "address", listener.Addr().String())
	return nil
}
