package models

import (
	"context"
	"sync"
	"time"
)

// deliveriesChannel is the PostgreSQL channel that tells of new deliveries.
const deliveriesChannel = "mergegate_deliveries"

// deliveryNotifier wakes those who wait for deliveries in this process.
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

// WatchDeliveries tells, on the channel, that there may be deliveries to
// claim, from this process or, on PostgreSQL, from any other. stop ends it.
// It is a hint: a poll must stand behind it.
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

// listen waits for notifications on a connection of its own and comes back
// after the server has been away.
func (s *Store) listen(ctx context.Context) {
	for ctx.Err() == nil {
		s.listenOnce(ctx)
		// Whatever came while nobody listened is found by claiming.
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

// notifyDeliveries wakes the job loops once the transaction is committed.
func (s *Store) notifyDeliveries(ctx context.Context) error {
	if s.postgres() {
		return s.writer(ctx).Exec("SELECT pg_notify(?, '')", deliveriesChannel).Error
	}
	s.afterCommit(s.shared.notifier.notify)
	return nil
}
