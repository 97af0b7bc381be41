package models

import (
	"context"
	"sync"
	"time"
)

// deliveriesChannel is the PostgreSQL channel that announces new deliveries.
const deliveriesChannel = "mergegate_deliveries"

// deliveryNotifier wakes the goroutines of this process that wait for deliveries.
type deliveryNotifier struct {
	mu        sync.Mutex
	listeners map[chan struct{}]struct{}
}

func (w *deliveryNotifier) init() { w.listeners = map[chan struct{}]struct{}{} }

func (w *deliveryNotifier) notify() {
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
	c := make(chan struct{}, 1)
	w := &s.shared.notifier
	w.mu.Lock()
	w.listeners[c] = struct{}{}
	w.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	if s.postgres() {
		go func() {
			defer close(done)
			s.listen(ctx)
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
func (s *Store) listen(ctx context.Context) {
	for ctx.Err() == nil {
		s.listenOnce(ctx)
		// Notifications may have been lost while disconnected.
		s.shared.notifier.notify()
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (s *Store) listenOnce(ctx context.Context) {
	conn, err := connectPostgres(ctx, s.shared.cfg.DSN)
	if err != nil {
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+deliveriesChannel); err != nil {
		return
	}
	s.shared.notifier.notify()
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return
		}
		s.shared.notifier.notify()
	}
}

// notifyDeliveries wakes the delivery loops when the transaction is committed.
func (s *Store) notifyDeliveries(ctx context.Context) error {
	if s.postgres() {
		return s.writer(ctx).Exec("SELECT pg_notify(?, '')", deliveriesChannel).Error
	}
	s.afterCommit(s.shared.notifier.notify)
	return nil
}
