package models

import (
	"cmp"
	"slices"
	"time"
)

// MaxPerService is how many attempts at one service run at once, over all instances.
const MaxPerService = 2

// HungAfter is the duration from which an attempt counts as hung: half of its limit.
const HungAfter = 5 * time.Second

// hung reports whether the attempt hung.
func (r AttemptResult) hung() bool {
	return r.Error != ErrorInterrupted && (r.Error == "timeout" || r.Duration >= HungAfter)
}

// candidate is a delivery that a claim may lease.
type candidate struct {
	Delivery
	// Service has the columns that setCredentials needs.
	Service ExternalStatusCheck
	// turn is the place of its service in the order of turns.
	turn int
	// slots is how many more attempts at the service may run.
	slots int
	hung  bool
}

// ordering is the pair of merge request and service within which deliveries are sent
// one after the other. Test deliveries have no merge request, so each is its own pair.
func (d Delivery) ordering() [2]int64 {
	if d.MergeRequestID != nil {
		return [2]int64{*d.MergeRequestID, d.ExternalStatusCheckID}
	}
	return [2]int64{-d.ID, d.ExternalStatusCheckID}
}

// takeTurns selects at most limit candidates. Every service gets its first turn before
// any gets its second one. A candidate that admit refuses ends the turns of its service.
// refused holds the services that had a candidate left.
func takeTurns(candidates []candidate, limit int, admit func(d Delivery, hung bool) bool) (taken []candidate, refused map[int64]bool) {
	refused = map[int64]bool{}
	byService := map[int64][]candidate{}
	var services []int64
	slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.turn, b.turn) })
	for _, c := range candidates {
		if byService[c.ExternalStatusCheckID] == nil {
			services = append(services, c.ExternalStatusCheckID)
		}
		byService[c.ExternalStatusCheckID] = append(byService[c.ExternalStatusCheckID], c)
	}
	pairs := map[[2]int64]bool{}
	for turn := range MaxPerService {
		for _, service := range services {
			queue := byService[service]
			for len(queue) > 0 && pairs[queue[0].ordering()] {
				queue = queue[1:]
			}
			byService[service] = queue
			if len(queue) == 0 || refused[service] || turn >= queue[0].slots {
				continue
			}
			c := queue[0]
			if len(taken) == limit || admit != nil && !admit(c.Delivery, c.hung) {
				refused[service] = true
				continue
			}
			pairs[c.ordering()] = true
			taken = append(taken, c)
			byService[service] = queue[1:]
		}
	}
	return taken, refused
}
