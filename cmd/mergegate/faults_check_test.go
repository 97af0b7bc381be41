package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mergegate/mergegate/models"
)

// storedDelivery is a row of deliveries.
type storedDelivery struct {
	id, service, iid        int64
	key, action, sha, state string
	reason                  string
	attempts                int
	payload                 []byte
	title, oldRev           string
}

// assertInvariants checks, after heal, that what was acknowledged, stored and
// received agree:
//
//   - every acknowledged operation has an event, and every event was received by
//     every service or is superseded with a reason;
//   - the deliveries of a merge request to a service started in order;
//   - a delivery has one Idempotency-Key and one body, and at most as many
//     requests as attempts;
//   - refs and rows agree, and a merge has one event;
//   - no lease, lock file or pending row is left.
func (r *faultRun) assertInvariants() {
	r.t.Helper()
	stored := r.deliveries()
	r.assertReceived(stored)
	r.assertOrder(stored)
	r.assertAcknowledged(stored)
	r.assertRefs(stored)
	r.assertNoLocks()
}

// assertNoLocks checks that no lock file of git remains. Maintenance takes locks for
// a moment.
func (r *faultRun) assertNoLocks() {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var locks []string
		err := filepath.WalkDir(filepath.Join(r.data, "repositories"), func(path string, _ fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".lock") {
				locks = append(locks, path)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
		if err != nil {
			r.t.Fatal(err)
		}
		if len(locks) == 0 {
			return
		}
		if time.Now().After(end) {
			r.t.Errorf("lock files are left: %v", locks)
			return
		}
	}
}

func (r *faultRun) deliveries() []storedDelivery {
	r.t.Helper()
	var all []storedDelivery
	r.query(func(rows *sql.Rows) error {
		var d storedDelivery
		if err := rows.Scan(&d.id, &d.service, &d.iid, &d.key, &d.action, &d.sha, &d.state, &d.reason, &d.attempts, &d.payload); err != nil {
			return err
		}
		var p struct {
			ObjectAttributes struct{ Title, OldRev string } `json:"object_attributes"`
		}
		if err := json.Unmarshal(d.payload, &p); err != nil {
			return err
		}
		d.title, d.oldRev = p.ObjectAttributes.Title, p.ObjectAttributes.OldRev
		all = append(all, d)
		return nil
	}, "SELECT id, external_status_check_id, merge_request_iid, uuid, action, sha, state, superseded_reason, attempts + probes, payload FROM deliveries ORDER BY id")
	return all
}

// receipts are the requests with one Idempotency-Key, by first arrival.
type receipts struct {
	first time.Time
	n     int
	body  []byte
}

func (s *service) receipts() map[string]*receipts {
	all := map[string]*receipts{}
	for _, got := range s.got("") {
		key := got.header.Get("Idempotency-Key")
		if all[key] == nil {
			all[key] = &receipts{first: got.at, body: got.body}
		}
		all[key].n++
		if !bytes.Equal(all[key].body, got.body) {
			all[key].body = nil // two bodies: equal to no payload
		}
	}
	return all
}

func (r *faultRun) assertReceived(stored []storedDelivery) {
	r.t.Helper()
	for id, s := range r.services {
		got := s.receipts()
		for _, d := range stored {
			if d.service != id {
				continue
			}
			name := fmt.Sprintf("delivery %d (%s of !%d)", d.id, d.action, d.iid)
			receipt, isReceived := got[d.key]
			delete(got, d.key)
			switch {
			case d.state == string(models.DeliverySuperseded) && d.reason == "":
				r.t.Errorf("%s is superseded without a reason", name)
			case d.state == string(models.DeliverySuperseded):
			case d.state != string(models.DeliveryDelivered):
				r.t.Errorf("%s is %s", name, d.state)
			case !isReceived:
				r.t.Errorf("%s is delivered, but was not received", name)
			}
			if isReceived && (!bytes.Equal(receipt.body, d.payload) || receipt.n > d.attempts+int(r.crashes.Load())) {
				r.t.Errorf("%s: %d requests in %d attempts; body as stored: %v", name, receipt.n, d.attempts,
					bytes.Equal(receipt.body, d.payload))
			}
		}
		for key := range got {
			r.t.Errorf("service %d received a delivery with the unknown key %s", id, key)
		}
	}
}

// assertOrder checks that deliveries started in the order of events. One with six
// attempts may be overtaken.
func (r *faultRun) assertOrder(stored []storedDelivery) {
	r.t.Helper()
	for id, s := range r.services {
		got := s.receipts()
		latest := map[int64]storedDelivery{} // by iid
		for _, d := range stored {
			receipt := got[d.key]
			if d.service != id || receipt == nil || d.attempts >= models.QuickAttempts {
				continue
			}
			if before, exists := latest[d.iid]; exists && got[before.key].first.After(receipt.first) {
				r.t.Errorf("service %d received delivery %d of !%d before %d", id, d.id, d.iid, before.id)
			}
			latest[d.iid] = d
		}
	}
}

// assertAcknowledged checks that each operation that a user saw succeed has an
// event for every service.
func (r *faultRun) assertAcknowledged(stored []storedDelivery) {
	r.t.Helper()
	merged := map[int64]bool{}
	r.query(func(rows *sql.Rows) error {
		var iid int64
		err := rows.Scan(&iid)
		merged[iid] = true
		return err
	}, "SELECT iid FROM merge_requests WHERE state = 'merged'")
	for _, u := range r.users {
		acknowledged := map[operation]int{}
		// A merge that was cut off between ref and row is completed later. What the
		// user did in between may have changed nothing.
		isMerging := map[int64]bool{}
		for _, o := range u.log {
			switch {
			case o.kind == "merge" && !o.acknowledged:
				isMerging[o.iid] = merged[o.iid]
			case !o.acknowledged || isMerging[o.iid]:
			case strings.HasSuffix(o.kind, "approved"): // a second approval succeeds without an event
				acknowledged[o] = 1
			default:
				acknowledged[o]++
			}
		}
		for o, times := range acknowledged {
			for id := range r.services {
				events := 0
				for _, d := range stored {
					if d.service == id && o.isEvent(d) {
						events++
					}
				}
				if events < times {
					r.t.Errorf("%s: %+v was acknowledged %d times and has %d deliveries to service %d", u.name, o,
						times, events, id)
					r.logHistory(u, o, stored, id)
				}
			}
		}
	}
}

// logHistory logs what a user did around an operation, and the deliveries of the merge
// request.
func (r *faultRun) logHistory(u *faultUser, o operation, stored []storedDelivery, service int64) {
	r.t.Helper()
	at := slices.Index(u.log, o)
	for _, near := range u.log[max(0, at-5):min(len(u.log), at+6)] {
		r.t.Logf("%s: %+v", u.name, near)
	}
	for _, d := range stored {
		if d.iid == o.iid && d.service == service {
			r.t.Logf("delivery %d: %s of %s after %q, %s", d.id, d.action, d.sha, d.oldRev, d.state)
		}
	}
}

// isEvent reports whether a delivery belongs to the event of an operation.
func (o operation) isEvent(d storedDelivery) bool {
	if o.iid != 0 && o.iid != d.iid {
		return false
	}
	switch o.kind {
	case "push":
		return d.sha == o.what && (o.iid == 0 || d.oldRev != "")
	case "edit":
		return d.title == o.what && d.action == "update" && d.oldRev == ""
	}
	return d.action == o.kind
}

// assertRefs compares merge requests with the refs of the repository.
func (r *faultRun) assertRefs(stored []storedDelivery) {
	r.t.Helper()
	repository := filepath.Join(r.data, "repositories", fmt.Sprint(r.projectID)+".git")
	out, err := exec.Command("git", "--git-dir", repository, "for-each-ref", "--format=%(refname) %(objectname)").Output()
	if err != nil {
		r.t.Fatal(err)
	}
	refs := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, sha, _ := strings.Cut(strings.TrimSpace(line), " ")
		refs[name] = sha
	}
	contains := func(tip, sha string) bool {
		return exec.Command("git", "--git-dir", repository, "merge-base", "--is-ancestor", sha, tip).Run() == nil
	}
	seen := 0
	r.query(func(rows *sql.Rows) error {
		var iid int64
		var state, branch, head string
		if err := rows.Scan(&iid, &state, &branch, &head); err != nil {
			return err
		}
		seen++
		if got := refs[fmt.Sprintf("refs/merge-requests/%d/head", iid)]; got != head {
			r.t.Errorf("!%d: HEAD is %s, its ref %s", iid, head, got)
		}
		merges := 0
		for _, d := range stored {
			if d.iid == iid && d.action == "merge" {
				merges++
			}
		}
		tip := refs["refs/heads/"+branch]
		switch state {
		case "opened":
			if tip != head {
				r.t.Errorf("!%d: HEAD is %s, the branch %s", iid, head, tip)
			}
		case "merged":
			if !contains(refs["refs/heads/main"], head) {
				r.t.Errorf("!%d is merged, but main does not contain its HEAD", iid)
			}
		}
		if want := map[bool]int{true: len(r.services)}[state == "merged"]; merges != want {
			r.t.Errorf("!%d is %s and has %d deliveries of merge, want %d", iid, state, merges, want)
		}
		return nil
	}, "SELECT iid, state, source_branch, head_sha FROM merge_requests ORDER BY iid")
	if seen == 0 {
		r.t.Error("no merge request was opened")
	}
	r.query(func(rows *sql.Rows) error {
		var id int64
		var check, head string
		if err := rows.Scan(&id, &check, &head); err != nil {
			return err
		}
		r.t.Errorf("check %d is for %s, HEAD is %s", id, check, head)
		return nil
	}, "SELECT c.id, c.sha, m.head_sha FROM merge_request_checks c JOIN merge_requests m ON m.id = c.merge_request_id WHERE c.sha <> m.head_sha")
}

// tally counts what happened in a run.
type tally struct {
	faults, kills, acknowledged, cutOff, deliveries, delivered, superseded, requests int64
}

func (a *tally) add(b tally) {
	a.faults += b.faults
	a.kills += b.kills
	a.acknowledged += b.acknowledged
	a.cutOff += b.cutOff
	a.deliveries += b.deliveries
	a.delivered += b.delivered
	a.superseded += b.superseded
	a.requests += b.requests
}

func (a tally) String() string {
	return fmt.Sprintf("%d faults (%d kills), %d operations acknowledged, %d cut off, %d deliveries (%d delivered, %d superseded) in %d requests",
		a.faults, a.kills, a.acknowledged, a.cutOff, a.deliveries, a.delivered, a.superseded, a.requests)
}

// tally counts what happened in the run.
func (r *faultRun) tally() tally {
	n := tally{
		faults: r.counts.faults.Load(), kills: r.counts.kills.Load(), acknowledged: r.counts.acknowledged.Load(), cutOff: r.counts.cutOff.Load(),
	}
	for _, d := range r.deliveries() {
		n.deliveries++
		switch models.DeliveryState(d.state) {
		case models.DeliveryDelivered:
			n.delivered++
		case models.DeliverySuperseded:
			n.superseded++
		}
	}
	for _, s := range r.services {
		n.requests += int64(len(s.got("")))
	}
	return n
}
