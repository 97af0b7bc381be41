package jobs

import (
	"net/url"
	"sync"
	"time"

	"github.com/mergegate/mergegate/models"
)

// Limits of the attempts that one process runs at once.
const (
	// maxQuick is the limit for attempts of less than quickTime, at services that did
	// not hang last time.
	maxQuick = 192
	// quickTime is how long an attempt counts against maxQuick, so that attempts that
	// hang block no others. Most answers take less.
	quickTime = time.Second
	// maxHung is the limit for attempts at services that hung last time.
	maxHung = 16
	// maxInFlight is the limit for all attempts.
	maxInFlight = 512
	// maxPerHost is the limit for one host, within maxQuick.
	maxPerHost = 32
	// A project may use half of maxQuick and half of maxHung.
	maxPerProject, maxHungPerProject = maxQuick / 2, maxHung / 2
)

// slots counts the attempts in flight.
type slots struct {
	mu           sync.Mutex
	quick, hung  int
	inFlight     int
	perHost      map[string]int
	perProject   map[int64]int
	hungProjects map[int64]int
	// freed receives a value when an attempt frees its slot.
	freed chan struct{}
	// claiming says that a claim decides about the free slots.
	claiming bool
	// quickTime is the constant; tests change it.
	quickTime time.Duration
}

func newSlots() *slots {
	return &slots{
		perHost: map[string]int{}, perProject: map[int64]int{}, hungProjects: map[int64]int{}, freed: make(chan struct{}, 1), quickTime: quickTime,
	}
}

// reserve takes a slot for a delivery to an idle service that is being created, or returns
// nil. Half of the slots are kept for deliveries that wait for a claim.
func (s *slots) reserve(d models.Delivery) *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claiming || s.quick >= maxQuick/2 || s.inFlight >= maxInFlight/2 ||
		s.perHost[hostOf(d.URL)] >= maxPerHost/2 || s.perProject[d.ProjectID] >= maxPerProject/2 {
		return nil
	}
	return s.take(models.ClaimedDelivery{Delivery: d})
}

// options returns the options of the next claim. Its limit is the number of free slots,
// which may be 0. Nothing else takes a slot until claimed is called.
func (s *slots) options() models.ClaimOptions {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claiming = true
	select {
	case <-s.freed: // counted below
	default:
	}
	quick, hung := maxQuick-s.quick, maxHung-s.hung
	o := models.ClaimOptions{Limit: max(0, min(quick+hung, maxInFlight-s.inFlight)), SkipHung: hung <= 0}
	if quick <= 0 {
		o.Limit = 0 // new services do not wait for those that hung
		return o
	}
	for project, n := range s.perProject {
		if n >= maxPerProject {
			o.SkipProjects = append(o.SkipProjects, project)
		}
	}
	hosts, projects, hungProjects := map[string]int{}, map[int64]int{}, map[int64]int{}
	for host, n := range s.perHost {
		hosts[host] = n
	}
	for project, n := range s.perProject {
		projects[project] = n
	}
	for project, n := range s.hungProjects {
		hungProjects[project] = n
	}
	o.Admit = func(d models.Delivery, isHung bool) bool {
		if isHung {
			if hung == 0 || hungProjects[d.ProjectID] >= maxHungPerProject {
				return false
			}
			hung--
			hungProjects[d.ProjectID]++
			return true
		}
		host := hostOf(d.URL)
		if quick == 0 || hosts[host] >= maxPerHost || projects[d.ProjectID] >= maxPerProject {
			return false
		}
		quick--
		hosts[host]++
		projects[d.ProjectID]++
		return true
	}
	return o
}

// claimed ends the claim that options began.
func (s *slots) claimed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claiming = false
}

// slot is the place of one attempt.
type slot struct {
	*slots
	host    string
	project int64
	hung    bool
	// overtime ends the place among the quick attempts.
	overtime *time.Timer
	left     bool
	released bool
}

// acquire takes a slot for a claimed delivery.
func (s *slots) acquire(c models.ClaimedDelivery) *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.take(c)
}

// take takes a slot. The lock must be held.
func (s *slots) take(c models.ClaimedDelivery) *slot {
	place := &slot{slots: s, host: hostOf(c.Delivery.URL), project: c.Delivery.ProjectID, hung: c.Hung}
	s.inFlight++
	if place.hung {
		s.hung++
		s.hungProjects[place.project]++
		return place
	}
	s.quick++
	s.perHost[place.host]++
	s.perProject[place.project]++
	place.overtime = time.AfterFunc(s.quickTime, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		place.leaveQuick()
	})
	return place
}

// release ends what acquire began. Later calls do nothing.
func (p *slot) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.released {
		return
	}
	p.released = true
	p.inFlight--
	if p.hung {
		p.slots.hung--
		decrement(p.hungProjects, p.project)
		p.signal()
		return
	}
	p.overtime.Stop()
	p.leaveQuick()
	p.signal()
}

// leaveQuick removes the attempt from the quick ones. The lock must be held.
func (p *slot) leaveQuick() {
	if p.left {
		return
	}
	p.left = true
	p.quick--
	decrement(p.perHost, p.host)
	decrement(p.perProject, p.project)
	p.signal()
}

func (s *slots) signal() {
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

func (s *slots) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inFlight
}

// countQuick returns the number of attempts that count against maxQuick.
func (s *slots) countQuick() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quick
}

func decrement[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}

// hostOf returns the host of a URL without the port, or the text itself if it is not a
// valid URL.
func hostOf(text string) string {
	sent, ok := models.URLAsSent(text)
	u, err := url.Parse(sent)
	if !ok || err != nil {
		return text
	}
	return u.Hostname()
}
