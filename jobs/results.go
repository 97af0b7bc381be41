package jobs

import (
	"context"
	"sync"
	"time"

	"github.com/mergegate/mergegate/models"
)

const (
	// maxResults is how many results are recorded in one transaction.
	maxResults = 128
	// resultPause is how long the first result waits for those of the other attempts in
	// flight.
	resultPause = 20 * time.Millisecond
)

// resultWriter records results. Those that arrive within resultPause or while a
// transaction runs are recorded together in the next one, because a commit takes most of
// the time.
type resultWriter struct {
	outbox Outbox
	slots  *slots
	// claiming keeps claims and batches apart. Both skip rows that are locked.
	claiming *sync.Mutex

	mu      sync.Mutex
	busy    bool
	waiting []*pendingResult
	// arrived receives a value when there is a new result.
	arrived chan struct{}
}

// pendingResult is a result that waits for its transaction.
type pendingResult struct {
	models.FinishedDelivery
	done chan error
	// lead says that its goroutine runs the next transaction.
	lead chan struct{}
	slot *slot
}

// write records the result of the attempt in a slot. It returns when it is stored, or
// with an error. Then the slot is released.
func (w *resultWriter) write(ctx context.Context, finished models.FinishedDelivery, slot *slot) error {
	p := &pendingResult{FinishedDelivery: finished, done: make(chan error, 1), lead: make(chan struct{}, 1), slot: slot}
	w.mu.Lock()
	w.waiting = append(w.waiting, p)
	if !w.busy {
		w.busy = true
		p.lead <- struct{}{}
	}
	w.mu.Unlock()
	select {
	case w.arrived <- struct{}{}:
	default:
	}
	select {
	case err := <-p.done:
		return w.single(ctx, p, err)
	case <-p.lead:
	}
	w.gather(ctx)
	w.mu.Lock()
	batch := w.waiting[:min(len(w.waiting), maxResults)]
	w.waiting = w.waiting[len(batch):]
	w.mu.Unlock()
	w.writeBatch(ctx, batch)
	w.mu.Lock()
	if w.busy = len(w.waiting) > 0; w.busy {
		w.waiting[0].lead <- struct{}{}
	}
	w.mu.Unlock()
	return w.single(ctx, p, <-p.done)
}

// gather waits for the results of the quick attempts in flight, at most resultPause.
func (w *resultWriter) gather(ctx context.Context) {
	limit := time.NewTimer(resultPause)
	defer limit.Stop()
	for {
		w.mu.Lock()
		waiting := len(w.waiting)
		w.mu.Unlock()
		if waiting >= min(w.slots.countQuick(), maxResults) {
			return
		}
		select {
		case <-w.arrived:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// errAlone is the error of a result that must be recorded in its own transaction.
type errAlone struct{}

func (errAlone) Error() string { return "record the result in its own transaction" }

// writeBatch records results and sends each one's error.
func (w *resultWriter) writeBatch(ctx context.Context, batch []*pendingResult) {
	attempts := make([]models.FinishedDelivery, len(batch))
	for i, p := range batch {
		attempts[i] = p.FinishedDelivery
	}
	w.claiming.Lock()
	left, err := recovered(func() ([]models.FinishedDelivery, error) { return w.outbox.FinishDeliveries(ctx, attempts) })
	w.claiming.Unlock()
	alone := map[int64]bool{}
	for _, f := range left {
		alone[f.Delivery.ID] = true
	}
	// Release the slots together, so that the next claim can use all of them.
	for _, p := range batch {
		if err == nil && !alone[p.Delivery.ID] {
			p.slot.release()
		}
	}
	for _, p := range batch {
		if err != nil || alone[p.Delivery.ID] {
			// One of them may have caused the error.
			p.done <- errAlone{}
		} else {
			p.done <- nil
		}
	}
}

// single records a result in its own transaction if err is errAlone.
func (w *resultWriter) single(ctx context.Context, p *pendingResult, err error) error {
	if _, alone := err.(errAlone); alone {
		return models.WithoutPanic(func() error { return w.outbox.FinishDelivery(ctx, p.Delivery, p.Result) })
	}
	return err
}
