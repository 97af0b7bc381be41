package servicecheck

import (
	"fmt"
	"slices"
	"time"
)

// impatient is how long responses are waited for after one did not come.
const impatient = 5 * time.Second

// slowAnswer is how long an answer to a delivery may take before the service is
// advised to work in the background.
const slowAnswer = 5 * time.Second

// judgeReceipt reports whether a delivery was answered with 2xx, and records why
// not.
func (c *checker) judgeReceipt(s *sent) bool {
	d, status := s.delivery, s.delivery.HTTPStatus
	c.api.mu.Lock()
	defer c.api.mu.Unlock()
	fault := func(text, mend string) { c.report.fault(d.Name, text, mend) }
	switch {
	case status >= 200 && status < 300:
		if time.Duration(d.Duration) > slowAnswer {
			c.report.advise(d.Name,
				fmt.Sprintf("The answer took %s; after ten seconds Mergegate ends the attempt.", d.Duration),
				"answer at once and do the work in the background.")
		}
		return true
	case status == 0 && time.Duration(d.Duration) > 9*time.Second:
		fault("The service did not answer within ten seconds, so Mergegate would end the attempt and send the delivery again.",
			"answer with 202 at once and do the work in the background.")
	case status == 0:
		fault("The service gave no valid HTTP answer: "+d.Error, "answer each delivery with 2xx.")
	case status < 200:
		fault(fmt.Sprintf("The service answered with the informational status %d and nothing final.", status),
			"answer with 2xx.")
	case status < 400:
		fault(fmt.Sprintf("The service answered with a redirect, HTTP %d. Mergegate does not follow redirects.", status),
			"register the final address of the service.")
	case status == 401 || status == 403:
		fault(fmt.Sprintf("The service refused a correct delivery with HTTP %d.", status),
			"give service and check-service the same secret, and verify the bytes of the body as they arrived, before any JSON parser.")
	case status == 404 || status == 405:
		fault(fmt.Sprintf("The service answered with HTTP %d.", status),
			"accept POST at the path of the registered URL.")
	case status == 410:
		fault("The service answered with HTTP 410, which ends the delivery for good.", "answer with 2xx.")
	case status == 413 || d.Name == "large":
		fault(fmt.Sprintf("The service refused a body of %d KiB with HTTP %d.", len(s.payload)>>10, status),
			"accept bodies of up to 256 KiB; raise the limit of your framework.")
	case d.Name == "unknown-fields":
		fault(fmt.Sprintf("The service refused a payload with fields that it does not know with HTTP %d.", status),
			"ignore unknown fields; later versions of Mergegate and GitLab add some.")
	case status >= 500:
		fault(fmt.Sprintf("The service answered with HTTP %d, so Mergegate would send the delivery again.", status),
			"look for the error in the log of the service.")
	default:
		fault(fmt.Sprintf("The service refused the delivery with HTTP %d.", status),
			"answer with 2xx to each event, also to those that it ignores.")
	}
	if d.Name == "repeat" {
		fault("The service did not accept a delivery that it had received before.",
			"answer a repeat with 2xx, or Mergegate sends it again and again.")
	}
	return false
}

// await waits for the responses to the expected deliveries.
func (c *checker) await() {
	for _, s := range c.expected {
		c.awaitOne(s)
	}
	c.expected = nil
}

// awaitOne waits for a final response to a delivery. A pending response starts
// the time limit anew, but at most five times.
func (c *checker) awaitOne(s *sent) {
	e := s.event.MergeRequest
	matches := func(r answer) bool {
		return r.iid == e.IID && r.sha == e.HeadSHA && r.code == 201 && !r.at.Before(s.begin)
	}
	for {
		found, more := c.api.find(matches)
		since := s.begin
		for i, r := range found {
			if r.status != "pending" {
				s.delivery.Answer, s.delivery.AnswerAfter = r.status, Millis(r.at.Sub(s.begin))
				c.slowest = max(c.slowest, r.at.Sub(s.begin))
				return
			}
			if i < 5 {
				since = r.at
			}
		}
		timer := time.NewTimer(time.Until(since.Add(c.given)))
		select {
		case <-c.ctx.Done():
			timer.Stop()
			return
		case <-more:
			timer.Stop()
		case <-timer.C:
			c.reportSilence(s, len(found) > 0)
			c.given = min(c.given, impatient)
			return
		}
	}
}

// reportSilence records that a response did not come.
func (c *checker) reportSilence(s *sent, pending bool) {
	if s.delivery.HTTPStatus/100 != 2 {
		return // the fault is known
	}
	any, _ := c.api.find(func(r answer) bool {
		return !r.at.Before(s.begin) && (r.iid == s.event.MergeRequest.IID || r.code != 201)
	})
	c.api.mu.Lock()
	defer c.api.mu.Unlock()
	name := s.delivery.Name
	within := fmt.Sprintf("within %s", c.given)
	switch {
	case pending:
		c.report.fault(name, "The service sent pending, but no final response "+within+" after it.",
			"send passed or failed, or pending again before the time is over.")
	case name == "retry":
		c.report.fault(name,
			"The service did not respond after Retry "+within+". A retry has a new Idempotency-Key and no action.",
			"check the same SHA again; tell repeats by Idempotency-Key only.")
	case name == "reopen":
		c.report.fault(name,
			"The service did not respond after a merge request with a new HEAD was reopened, "+within+".",
			"handle the action reopen like open.")
	case name == "reordered-new":
		c.report.fault(name,
			"The service did not respond for HEAD when an older delivery arrived after the newer one, "+within+".",
			"respond to each delivery for its own last_commit.id; 409 means that it is outdated.")
	case slices.ContainsFunc(any, func(r answer) bool { return r.sha == s.event.OldRev }):
		c.report.fault(name, "The service responded for the previous HEAD only, object_attributes.oldrev.",
			"use object_attributes.last_commit.id of the delivery.")
	case len(any) > 0:
		c.report.fault(name, "The API refused the service's responses, so the check stays pending.",
			"see the faults named API.")
	default:
		c.report.fault(name, "The service sent no response "+within+", so the check would read as failed. A result in the body of the HTTP answer is ignored.",
			"send the response to "+c.report.API+"/api/v4/projects/:project_id/merge_requests/:iid/status_check_responses.")
	}
}

// finish waits for responses that must not come and returns the report.
func (c *checker) finish() *Report {
	settle := max(c.Settle, min(2*c.slowest, 30*time.Second))
	select {
	case <-c.ctx.Done():
	case <-time.After(settle):
	}
	for _, f := range c.forbidden {
		found, _ := c.api.find(f.match)
		if len(found) > f.allowed {
			c.report.fault(f.name, f.text, f.mend)
		}
	}
	c.api.mu.Lock()
	defer c.api.mu.Unlock()
	copied := *c.report
	return &copied
}
