package gallery

import (
	"context"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views"
)

// widget is the status check widget in each of its states, and what polls and
// retries answer.
func widget() []Entry {
	alone := func(name string, w views.StatusChecks) Entry {
		return Entry{Name: name, Section: views.SectionMergeRequests, Draw: func(context.Context, string) templ.Component { return views.StatusChecksWidget(w) }}
	}
	update := func(name string, change func(*views.StatusChecks, *views.MergeBox)) Entry {
		return Entry{Name: name, Section: views.SectionMergeRequests, Draw: func(context.Context, string) templ.Component {
			w := mixed()
			w.Changes = []views.CheckChange{{Name: "Licence scan", State: views.CheckPassed}, {Name: "Load test gate", State: views.CheckPending}}
			b := box(w)
			change(&w, &b)
			return views.StatusChecksUpdate(w, b)
		}}
	}
	final := allPassed()
	final.Final = true
	return []Entry{
		alone("widget_mixed", mixed()),
		alone("widget_all_passed", allPassed()),
		alone("widget_all_passed_final", final),
		alone("widget_timed_out", timedOut()),
		alone("widget_superseded", superseded()),
		alone("widget_forbidden", views.StatusChecks{Kind: views.WidgetForbidden}),
		alone("widget_none", views.StatusChecks{Kind: views.WidgetNone, AddURL: servicesPath + "/new"}),
		update("widget_update", func(*views.StatusChecks, *views.MergeBox) {}),
		update("widget_update_merged", func(w *views.StatusChecks, b *views.MergeBox) {
			b.State, b.DoneBy, b.DoneAt, w.Polls = views.MergeRequestMerged, "Jonas Lindqvist", Now, false
		}),
	}
}

// check is a row of the widget that came into its state some time ago.
func check(id int64, name string, state views.CheckState, since time.Duration) views.CheckRow {
	return views.CheckRow{ID: id, Name: name, State: state, SHA: "8f3c2a1d", Since: ago(since), Limit: 2 * time.Minute}
}

// mixed has a check in each state.
func mixed() views.StatusChecks {
	failed := check(34, "Security sign-off", views.CheckFailed, 21*time.Second)
	failed.Linked, failed.Retryable = true, true
	failed.Description, failed.TargetURL = "2 findings <above> the threshold", "https://sec.example.test/1?a=1&b=2"
	failed.Delivery = views.CheckDelivery{State: views.DeliveryDelivered, HTTPStatus: 200, At: ago(50 * time.Second)}
	delivered := check(31, "Change approval", views.CheckPending, 36*time.Second)
	delivered.Deadline = Now.Add(84 * time.Second)
	delivered.Delivery = views.CheckDelivery{State: views.DeliveryDelivered, HTTPStatus: 202, At: ago(36 * time.Second)}
	retrying := check(33, "Load test gate", views.CheckPending, 103*time.Second)
	retrying.Retried, retrying.Deadline = true, Now.Add(17*time.Second)
	retrying.Delivery = views.CheckDelivery{State: views.DeliveryRetrying, HTTPStatus: 503, Attempt: 3, Attempts: 12, NextAt: Now.Add(12 * time.Second)}
	return views.StatusChecks{Kind: views.WidgetRows, SHA: "8f3c2a1d", URL: requestPath + "/status_checks", Rev: "1x", Shown: "34f.31p.33p.32s", Polls: true,
		Now: Now, ServicesURL: servicesPath,
		Rows: []views.CheckRow{failed, delivered, retrying, check(32, "Licence scan", views.CheckPassed, 40*time.Second)}}
}

func allPassed() views.StatusChecks {
	w := mixed()
	w.Rows, w.Polls, w.Shown = w.Rows[3:], false, "32s"
	return w
}

// timedOut has a check that nothing reached in time.
func timedOut() views.StatusChecks {
	w := mixed()
	row := check(33, "Load test gate", views.CheckFailed, 103*time.Second)
	row.TimedOut, row.Retryable = true, true
	row.Delivery = views.CheckDelivery{State: views.DeliveryGaveUp, Failure: views.KeyMRFailureRefused, Attempt: 12, Attempts: 12}
	w.Rows, w.Polls, w.Shown = []views.CheckRow{row}, false, "33f"
	return w
}

// superseded has checks whose deliveries are queued or overtaken.
func superseded() views.StatusChecks {
	w := mixed()
	queued, overtaken := check(31, "Change approval", views.CheckPending, time.Second), check(33, "Load test gate", views.CheckPending, time.Second)
	queued.Deadline, overtaken.Deadline = Now.Add(119*time.Second), Now.Add(119*time.Second)
	queued.Delivery.State, overtaken.Delivery.State = views.DeliveryQueued, views.DeliverySuperseded
	w.Rows, w.Shown = []views.CheckRow{queued, overtaken}, "31p.33p"
	return w
}
