package models

import (
	"context"
	"sync"
	"time"
)

// The PostgreSQL channels that announce work for the loops of all processes.
const (
	deliveriesChannel = "mergegate_deliveries"
	autoMergesChannel = "mergegate_auto_merges"
)

// notifier wakes the goroutines of this process that wait for one kind of work.
type notifier struct {
	mu        sync.Mutex
	listeners map[chan struct{}]struct{}
}

func (w *notifier) init() { w.listeners = map[chan struct{}]struct{}{} }

func (w *notifier) notify() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.listeners {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// WatchDeliveries returns a channel that receives a value when there may be deliveries
// to claim, created by this process or, on PostgreSQL, by any other. stop ends it and
// waits for its goroutine. Notifications can be lost, so the caller must also poll.
func (s *Store) WatchDeliveries(ctx context.Context) (wake <-chan struct{}, stop func()) {
	return s.watch(ctx, &s.shared.deliveries, deliveriesChannel)
}

// WatchAutoMerges is WatchDeliveries for merge requests whose auto-merge may be due.
func (s *Store) WatchAutoMerges(ctx context.Context) (wake <-chan struct{}, stop func()) {
	return s.watch(ctx, &s.shared.autoMerges, autoMergesChannel)
}

func (s *Store) watch(ctx context.Context, w *notifier, channel string) (wake <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	w.listeners[c] = struct{}{}
	w.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	if s.postgres() {
		go func() {
			defer close(done)
			s.listen(ctx, w, channel)
		}()
	} else {
		close(done)
	}
	return c, func() {
		cancel()
		<-done
		w.mu.Lock()
		delete(w.listeners, c)
		w.mu.Unlock()
	}
}

// listen waits for notifications on its own connection and reconnects after an error.
func (s *Store) listen(ctx context.Context, w *notifier, channel string) {
	for ctx.Err() == nil {
		s.listenOnce(ctx, w, channel)
		// Notifications may have been lost while disconnected.
		w.notify()
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (s *Store) listenOnce(ctx context.Context, w *notifier, channel string) {
	conn, err := connectPostgres(ctx, s.shared.cfg.DSN)
	if err != nil {
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return
	}
	w.notify()
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return
		}
		w.notify()
	}
}

// notifyDeliveries wakes the delivery loops when the transaction is committed.
func (s *Store) notifyDeliveries(ctx context.Context) error {
	return s.notify(ctx, &s.shared.deliveries, deliveriesChannel)
}

// notifyAutoMerges wakes the loops of automatic merges when the transaction is committed.
func (s *Store) notifyAutoMerges(ctx context.Context) error {
	return s.notify(ctx, &s.shared.autoMerges, autoMergesChannel)
}

func (s *Store) notify(ctx context.Context, w *notifier, channel string) error {
	if s.postgres() {
		return s.writer(ctx).Exec("SELECT pg_notify(?, '')", channel).Error
	}
	s.afterCommit(w.notify)
	return nil
}
