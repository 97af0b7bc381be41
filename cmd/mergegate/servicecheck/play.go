package servicecheck

import (
	"strings"

	"github.com/mergegate/mergegate/models"
)

// play sends all deliveries. Responses to several deliveries are awaited together
// where that does not change what they mean.
func (c *checker) play() error {
	signed := how{secret: c.Secret}
	life := c.newMergeRequest()
	iid := life.MergeRequest.IID
	c.expectResponse("open", life, signed)
	c.expectResponse("unknown-fields", c.newMergeRequest(), how{secret: c.Secret, payload: withUnknownFields})
	large := c.newMergeRequest()
	large.MergeRequest.Description = strings.Repeat("A long description.\n", 12000)
	c.expectResponse("large", large, signed)
	c.playReordered()
	first := c.expectResponse("first-attempt", c.newMergeRequest(), signed)
	c.await()

	c.expectReceipt("update", edited(c.event(iid, "first", models.ActionUpdate)), signed)
	c.expectReceipt("approved", c.event(iid, "first", models.ActionApproved), signed)
	c.expectReceipt("unapproved", c.event(iid, "first", models.ActionUnapproved), signed)
	c.playRepeat(first)
	push := c.event(iid, "second", models.ActionUpdate)
	push.OldRev = life.MergeRequest.HeadSHA
	c.expectResponse("push", push, signed)
	c.playTests()
	c.playForged()
	c.await()

	c.expectResponse("retry", c.event(iid, "second", models.ActionNone), signed)
	c.await()

	c.expectReceipt("close", ended(c.event(iid, "second", models.ActionClose), models.StateClosed), signed)
	c.expectResponse("reopen", c.event(iid, "third", models.ActionReopen), signed)
	c.await()

	c.expectReceipt("merge", ended(c.event(iid, "third", models.ActionMerged), models.StateMerged), signed)
	return c.err
}

// playReordered sends the newer of two events first. HEAD is that of the newer.
func (c *checker) playReordered() {
	old := c.newMergeRequest()
	newer := c.event(old.MergeRequest.IID, "second", models.ActionUpdate)
	newer.OldRev = old.MergeRequest.HeadSHA
	c.api.setHead(old)
	c.expectResponse("reordered-new", newer, how{secret: c.Secret})
	c.expectReceipt("reordered-old", old, how{secret: c.Secret, stale: true})
	c.forbid("reordered-old", 3, "The service sent the same response again and again after 409.",
		"give up after 409: it means that the merge request has another HEAD, for which there is another delivery.",
		func(r answer) bool { return r.iid == old.MergeRequest.IID && r.code == 409 })
}

// playRepeat sends a delivery again, as after an answer that was lost.
func (c *checker) playRepeat(first *sent) {
	same := func([]byte) ([]byte, error) { return first.payload, nil }
	s := c.expectReceipt("repeat", first.event, how{secret: c.Secret, key: first.key, payload: same})
	c.forbid("repeat", 0, "The service did the work again for a delivery that it had received before.",
		"store the Idempotency-Key of each delivery where it survives a restart, and only answer 2xx to a repeat.",
		func(r answer) bool {
			return r.iid == s.event.MergeRequest.IID && r.status != "pending" && !r.at.Before(s.begin)
		})
}

// playTests sends what the button Send test sends: the data of the newest merge
// request, or a sample with the IID 0.
func (c *checker) playTests() {
	newest := c.newMergeRequest()
	newest.Action, newest.Test = models.ActionNone, true
	for _, e := range []models.Event{newest, sample(newest)} {
		name := "test"
		if e.MergeRequest.IID == 0 {
			name = "test-sample"
		}
		s := c.expectReceipt(name, e, how{secret: c.Secret})
		c.forbid(name, 0, "The service sent a response to a test delivery, which has no check.",
			"answer the delivery with 2xx, and send no response if mergegate.test is true.",
			func(r answer) bool { return r.iid == s.event.MergeRequest.IID })
	}
}

// forbidden are responses that must not come.
type forbidden struct {
	name, text, mend string
	// allowed is how many are tolerated.
	allowed int
	match   func(answer) bool
}

// forbid makes finish report a fault if more than allowed responses match.
func (c *checker) forbid(name string, allowed int, text, mend string, match func(answer) bool) {
	c.forbidden = append(c.forbidden, forbidden{name, text, mend, allowed, match})
}

// expectReceipt sends a delivery that the service must receive.
func (c *checker) expectReceipt(name string, e models.Event, h how) *sent {
	s := c.send(name, e, h)
	c.judgeReceipt(s)
	return s
}

// expectResponse sends a delivery to which the service must also respond.
func (c *checker) expectResponse(name string, e models.Event, h how) *sent {
	s := c.send(name, e, h)
	if c.judgeReceipt(s) && c.AnswerWithin > 0 {
		c.expected = append(c.expected, s)
	}
	return s
}
