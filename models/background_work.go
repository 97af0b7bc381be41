package models

import (
	"cmp"
	"time"
)

// BackgroundWork is what the background loops of all instances still have to do.
// Counts end at MaxListed + 1.
type BackgroundWork struct {
	// At is when it was read.
	At time.Time
	// Waiting counts the deliveries that are not finished, over all services. InFlight is
	// the part of them with a running attempt.
	Waiting, InFlight int
	// OldestDueAt is since when the delivery that is due longest has been due, nil if none
	// is. At minus OldestDueAt is the delay of the queue: about 0 unless a breaker is open,
	// a service is slow, or no instance sends.
	OldestDueAt *time.Time
	// OldestReadyAt is OldestDueAt without the services whose breaker is open.
	OldestReadyAt *time.Time
	// OpenBreakers counts the services whose breaker is open or half-open, and
	// HalfOpenBreakers those of them that are half-open.
	OpenBreakers, HalfOpenBreakers int
	// Services are the services with waiting deliveries or an open breaker, the one that
	// is late longest first. The totals above include those beyond the limit of the call.
	Services []ServiceBacklog
	// Recoveries has one entry per RecoveryKind, in the order of RecoveryKinds.
	Recoveries []Recovery
}

// ServiceBacklog is the part of BackgroundWork that concerns one service.
type ServiceBacklog struct {
	ServiceID, ProjectID int64
	ServiceName          string
	// ProjectPath is namespace/name.
	ProjectPath       string
	Waiting, InFlight int
	OldestDueAt       *time.Time
	Breaker           Breaker
}

// RecoveryKind is a kind of operation that recovery completes after an interruption.
type RecoveryKind string

// The kinds of recovery.
const (
	RecoverPendingPushes RecoveryKind = "pending_pushes"
	RecoverStartedMerges RecoveryKind = "merges"
	RecoverSteps         RecoveryKind = "merge_request_steps"
	RecoverAlsoApply     RecoveryKind = "applies"
	RecoverRepositories  RecoveryKind = "repository_removals"
)

// RecoveryKinds lists the kinds of recovery.
var RecoveryKinds = []RecoveryKind{RecoverPendingPushes, RecoverStartedMerges, RecoverSteps, RecoverAlsoApply, RecoverRepositories}

// Recovery counts the unfinished operations of one kind. An operation in progress is one
// of them, so a count above 0 is normal; an old one is not.
type Recovery struct {
	Kind  RecoveryKind
	Count int
	// OldestAt is when the oldest one began, nil without operations or if the kind has no time.
	OldestAt *time.Time
}

// total adds up counts and ends at MaxListed + 1.
func total(counts ...int) int {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return min(sum, MaxListed+1)
}

// earliest returns the earlier of two times; nil is later than all.
func earliest(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.Before(*a) {
		return b
	}
	return a
}

// compareBacklogs orders the service that is late longest first, then the longest queue.
func compareBacklogs(a, b ServiceBacklog) int {
	switch due := earliest(a.OldestDueAt, b.OldestDueAt); {
	case due == nil, a.OldestDueAt != nil && b.OldestDueAt != nil && a.OldestDueAt.Equal(*b.OldestDueAt):
		return cmp.Or(cmp.Compare(b.Waiting, a.Waiting), cmp.Compare(a.ServiceID, b.ServiceID))
	case due == a.OldestDueAt:
		return -1
	}
	return 1
}
