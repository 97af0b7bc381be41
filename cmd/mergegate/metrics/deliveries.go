package metrics

import (
	"context"
	"time"

	"github.com/mergegate/mergegate/jobs"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/webhook"
)

// The outcomes of an attempt besides the kinds of error.
const (
	outcomeDelivered = "delivered"
	outcomeStatus    = "http_status" // answered with a status other than 2xx
)

// outcomes are the values of the label outcome. Other errors count as webhook.ErrorOther.
var outcomes = []string{
	outcomeDelivered, outcomeStatus, models.ErrorInterrupted, models.ErrorSecret,
	webhook.ErrorRefusedAddress, webhook.ErrorDNS, webhook.ErrorConnectionRefused, webhook.ErrorTimeout, webhook.ErrorTLS,
	webhook.ErrorRedirect, webhook.ErrorInvalidURL, webhook.ErrorInvalidAnswer, webhook.ErrorOther,
}

// sender measures attempts.
type sender struct {
	jobs.Sender
	*Metrics
}

// Sender returns a sender that measures the attempts of s.
func (m *Metrics) Sender(s jobs.Sender) jobs.Sender { return sender{s, m} }

// Send implements jobs.Sender.
func (s sender) Send(ctx context.Context, claimed models.ClaimedDelivery, at time.Time) models.AttemptResult {
	result := s.Sender.Send(ctx, claimed, at)
	outcome := result.Error
	switch {
	case result.Succeeded():
		outcome = outcomeDelivered
	case outcome == "":
		outcome = outcomeStatus
	}
	count, known := s.attempts[outcome]
	if !known {
		count = s.attempts[webhook.ErrorOther]
	}
	count.Inc()
	s.attemptDuration.Observe(result.Duration.Seconds())
	if d, timing := claimed.Delivery, result.Timing; d.Attempts == 1 && timing.ConnectUS > 0 {
		connected := time.Duration(timing.DNSUS+timing.ConnectUS+timing.TLSUS) * time.Microsecond
		s.firstByte.Observe((at.Sub(d.CreatedAt) + connected).Seconds())
	}
	return result
}

// Answered measures an answer of a service; it is for apiv4.Deps.Answered.
func (m *Metrics) Answered(r models.RecordedResponse) {
	if count, ok := m.answers[string(r.Response.Status)]; ok {
		count.Inc()
	}
	if ms := r.Response.AnswerMS; ms != nil {
		m.answerDuration.Observe(float64(*ms) / 1000)
	}
}

// store counts time-outs.
type store struct {
	jobs.Store
	*Metrics
}

// Store returns the store for the jobs.
func (m *Metrics) Store(s jobs.Store) jobs.Store { return store{s, m} }

// ExpirePending implements jobs.Maintenance.
func (s store) ExpirePending(ctx context.Context, limit int) (int, error) {
	n, err := s.Store.ExpirePending(ctx, limit)
	s.timeouts.Add(float64(n))
	return n, err
}
