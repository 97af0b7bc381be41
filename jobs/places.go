package jobs

import (
	"context"
	"sync"
	"time"

	"github.com/mergegate/mergegate/models"
)

// maxCommitTime is how long the transaction that creates a delivery may take, so that the
// rest of the lease is enough for the attempt.
const maxCommitTime = 5 * time.Second

// places gives slots to transactions that create deliveries.
type places struct {
	*Deliverer
	attempts context.Context
	stop     func()

	mu    sync.Mutex
	ended bool
}

// offerPlaces lets transactions start attempts, under the context of all attempts, until
// end is called.
func (d *Deliverer) offerPlaces(attempts context.Context) *places {
	p := &places{Deliverer: d, attempts: attempts}
	p.stop = d.outbox.OfferPlaces(p.reserve)
	return p
}

// end ends the offer. Places that are already given can still start an attempt.
func (p *places) end() {
	p.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
}

// reserve is the function for models.Store.OfferPlaces.
func (p *places) reserve(d models.Delivery) models.Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return nil
	}
	slot := p.slots.reserve(d)
	if slot == nil {
		return nil
	}
	p.running.Add(1)
	return reserved{p, slot}
}

// reserved is a slot for a delivery that is being created.
type reserved struct {
	*places
	slot *slot
}

// Start starts the attempt. If the commit took too long, it leaves the delivery to the
// next claim after the end of the lease.
func (r reserved) Start(c models.ClaimedDelivery) {
	if r.outbox.Now().Sub(*c.Delivery.LastAttemptAt) > maxCommitTime {
		r.log.WarnContext(r.attempts, "a delivery starts later because its transaction was slow", "delivery_id", c.Delivery.ID)
		r.Release()
		return
	}
	r.start(r.attempts, c, r.slot)
}

// Release gives the slot back.
func (r reserved) Release() {
	r.slot.release()
	r.running.Done()
}
