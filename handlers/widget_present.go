package handlers

import (
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
	"github.com/mergegate/mergegate/webhook"
)

// presentCheck returns a row of the widget: the state of the check at now, and the reasons for
// it.
func presentCheck(check models.MergeRequestCheck, state models.MergeRequestState, now time.Time) views.CheckRow {
	row := views.CheckRow{
		ID: check.ExternalStatusCheckID, Name: check.Name, State: views.CheckState(check.StatusAt(now)),
		SHA: shortSHA(check.SHA), TimedOut: check.TimedOutAt(now), Limit: check.Timeout(), Since: check.Since(now),
		Description: check.Description, TargetURL: check.TargetURL, CallbackOnly: check.CallbackOnly, Informational: check.Informational,
		ViaCallback: check.AnsweredVia == models.ViaCallback,
	}
	if row.State == views.CheckPending && state == models.StateOpened && check.StoppedAt == nil {
		row.Deadline = check.Deadline()
	}
	if check.Delivery != nil {
		row.Delivery = presentCheckDelivery(*check.Delivery, check.Breaker, now)
		// A response that set the check to pending came after the retry.
		row.Retried = check.Delivery.Kind == models.DeliveryOfRetry && row.State == views.CheckPending &&
			!check.PendingSince.After(check.Delivery.CreatedAt)
	}
	return row
}

// presentCheckDelivery returns what the widget shows of a delivery at now. breaker is the
// service's.
func presentCheckDelivery(d models.Delivery, breaker models.Breaker, now time.Time) views.CheckDelivery {
	v := views.CheckDelivery{ID: d.ID, HTTPStatus: d.LastHTTPStatus, Failure: failureText(d.LastError), Attempts: models.MaxAttempts}
	tried := d.LastHTTPStatus != 0 || d.LastError != ""
	switch d.State {
	case models.DeliveryDelivered:
		v.State, v.At = views.DeliveryDelivered, finishedAt(d)
	case models.DeliverySuperseded:
		v.State = views.DeliverySuperseded
	case models.DeliveryFailed:
		v.State, v.Attempt, v.At = views.DeliveryGaveUp, d.Attempts, finishedAt(d)
	default:
		if breaker.OpenedAt != nil {
			v.State, v.Failures = views.DeliveryPaused, breaker.Failures
			if breaker.ProbeDeliveryID == nil && !d.InFlightAt(now) {
				v.NextAt = *breaker.ProbeAt
			}
			return v
		}
		if !tried {
			v.State = views.DeliveryQueued
			return v
		}
		v.State, v.Attempt, v.NextAt = views.DeliveryRetrying, d.ScheduledAttempts()+1, d.NextAttemptAt
		if d.InFlightAt(now) {
			v.Attempt = d.ScheduledAttempts() // the attempt is running
		}
	}
	return v
}

func finishedAt(d models.Delivery) time.Time {
	if d.FinishedAt != nil {
		return *d.FinishedAt
	}
	if d.LastAttemptAt != nil {
		return *d.LastAttemptAt
	}
	return d.CreatedAt
}

// failureTexts are the texts for the kinds of failure of an attempt.
var failureTexts = map[string]text.Key{
	webhook.ErrorRefusedAddress:    text.KeyMRFailureBlocked,
	webhook.ErrorDNS:               text.KeyMRFailureDNS,
	webhook.ErrorConnectionRefused: text.KeyMRFailureRefused,
	webhook.ErrorTimeout:           text.KeyMRFailureTimeout,
	webhook.ErrorTLS:               text.KeyMRFailureTLS,
	webhook.ErrorRedirect:          text.KeyMRFailureRedirect,
	webhook.ErrorInvalidURL:        text.KeyMRFailureURL,
	webhook.ErrorInvalidAnswer:     text.KeyMRFailureAnswer,
	models.ErrorInterrupted:        text.KeyMRFailureInterrupted,
	models.ErrorGone:               text.KeyMRFailureGone,
	models.ErrorSecret:             text.KeyMRFailureSecret,
}

// failureText returns the text for a kind of failure, "" for none.
func failureText(kind string) text.Key {
	if kind == "" {
		return ""
	}
	if key, known := failureTexts[kind]; known {
		return key
	}
	return text.KeyMRFailureOther
}
