package servicecheck

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Names of forged deliveries that are judged together.
const (
	otherStandardSignature = "forged-standard-only"
	oldTimestamp           = "old-timestamp"
)

// forgeries are deliveries that a service with a secret must refuse, except
// perhaps those that are judged together.
var forgeries = []struct {
	name string
	text string // what is wrong with it
	mend string
	how  func(secret string) how
}{
	{
		"unsigned", "without signature", "refuse deliveries that have no signature.",
		func(string) how { return how{} },
	},
	{
		"other-secret", "signed with another secret", "compute the HMAC with the shared secret and compare it in constant time.",
		func(secret string) how { return how{secret: "not " + secret} },
	},
	{
		"changed-body", "whose body was changed after it was signed", "verify the signature over the bytes of the body as they arrived.",
		func(secret string) how { return how{secret: secret, modify: changeBody} },
	},
	{
		"changed-signature", "whose signatures have one wrong digit", "compare the whole signature.",
		func(secret string) how { return how{secret: secret, modify: changeSignatures} },
	},
	{
		"empty-signature", "with empty signatures", "refuse empty signatures, and compare the whole signature.",
		func(secret string) how {
			return how{secret: secret, modify: func(r *http.Request) {
				r.Header.Set("X-Gitlab-Signature", "")
				r.Header.Set("Webhook-Signature", "")
			}}
		},
	},
	{
		otherStandardSignature, "", "",
		func(secret string) how {
			return how{secret: secret, modify: func(r *http.Request) {
				r.Header.Set("Webhook-Signature", changeDigit(r.Header.Get("Webhook-Signature")))
			}}
		},
	},
	{
		oldTimestamp, "", "",
		func(secret string) how { return how{secret: secret, age: time.Hour} },
	},
	{
		"future-timestamp", "", "",
		func(secret string) how { return how{secret: secret, age: -time.Hour} },
	},
}

// playForged sends the forgeries, each for a merge request of its own.
func (c *checker) playForged() {
	if c.Secret == "" {
		c.api.mu.Lock()
		defer c.api.mu.Unlock()
		c.report.advise("signatures", "Without --secret nothing is signed, and signatures were not checked.",
			"set a shared secret in the service and give it to check-service.")
		return
	}
	accepted := map[string]bool{}
	for _, f := range forgeries {
		e := c.newMergeRequest()
		s := c.send(f.name, e, f.how(c.Secret))
		accepted[f.name] = s.delivery.HTTPStatus/100 == 2
		if f.text != "" {
			c.judgeForgery(s, f.text, f.mend)
		}
	}
	if !accepted["unsigned"] {
		c.judgeTimestamps(accepted)
	}
}

// judgeForgery records what the service did wrong with a forged delivery.
func (c *checker) judgeForgery(s *sent, text, mend string) {
	c.api.mu.Lock()
	defer c.api.mu.Unlock()
	name, status := s.delivery.Name, s.delivery.HTTPStatus
	switch {
	case status/100 == 2:
		c.report.fault(name,
			fmt.Sprintf("The service accepted a delivery %s with HTTP %d. Anybody who knows its address could send one.", text, status),
			mend)
		return
	case status == 0:
		c.report.fault(name,
			fmt.Sprintf("The service gave no valid HTTP answer to a delivery %s: %s", text, s.delivery.Error),
			"refuse it with HTTP 401.")
	case status < 400 || status >= 500:
		c.report.fault(name, fmt.Sprintf("The service answered a delivery %s with HTTP %d.", text, status),
			"refuse it with HTTP 401.")
	}
	c.forbid(name, 0, "The service refused a delivery "+text+", but sent a response to it.", "verify the signature before anything else.",
		func(r answer) bool { return r.iid == s.event.MergeRequest.IID })
}

// judgeTimestamps records whether old deliveries can be replayed. A service
// written for GitLab knows only X-Gitlab-Signature, which covers no time.
func (c *checker) judgeTimestamps(accepted map[string]bool) {
	c.api.mu.Lock()
	defer c.api.mu.Unlock()
	const mend = "verify webhook-signature, then refuse a webhook-timestamp that is more than five minutes from now."
	verifies := !accepted[otherStandardSignature]
	for _, name := range []string{oldTimestamp, "future-timestamp"} {
		switch {
		case accepted[name] && verifies:
			c.report.fault(name,
				"The service accepted a delivery whose webhook-timestamp is an hour away, so that a recorded delivery can be replayed.",
				mend)
		case accepted[name]:
			c.report.advise("timestamps",
				"The service does not verify webhook-signature and webhook-timestamp, so that a recorded delivery can be replayed.",
				mend)
		case !verifies:
			c.report.fault(name,
				"The service reads webhook-timestamp but does not verify webhook-signature, so that whoever replays a delivery can change the time.",
				mend)
		}
	}
}

// changeBody changes the title in a body, without changing its length.
func changeBody(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		body = nil
	}
	body = bytes.Replace(body, []byte(`"title":"Gr`), []byte(`"title":"Kr`), 1)
	r.Body = io.NopCloser(bytes.NewReader(body))
}

func changeSignatures(r *http.Request) {
	for _, name := range []string{"X-Gitlab-Signature", "Webhook-Signature"} {
		r.Header.Set(name, changeDigit(r.Header.Get(name)))
	}
}

// changeDigit returns a signature with one other character in its middle.
func changeDigit(signature string) string {
	middle := len(signature) / 2
	other := "0"
	if strings.HasPrefix(signature[middle:], other) {
		other = "1"
	}
	return signature[:middle] + other + signature[middle+1:]
}
