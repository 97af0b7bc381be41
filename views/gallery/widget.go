package gallery

import (
	"context"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views"
)

// widget returns entries for the status check widget in all its states, and for the
// answers to polls and retries.
func widget() []Entry {
	alone := func(name string, w views.StatusChecks) Entry {
		return Entry{Name: name, Section: views.SectionMergeRequests, Draw: func(context.Context, string) templ.Component { return views.StatusChecksWidget(w) }}
	}
	update := func(name string, change func(*views.StatusChecks, *views.MergeBox)) Entry {
		return Entry{Name: name, Section: views.SectionMergeRequests, Draw: func(context.Context, string) templ.Component {
			w := mixed()
			w.Changes = []views.CheckChange{{Name: "Licence scan", State: views.CheckPassed}, {Name: "Load test gate", State: views.CheckPending}}
			w.PageHasForm = true
			b := box(w)
			change(&w, &b)
			return views.StatusChecksUpdate(views.Page{Title: "Make refunds idempotent (!142)", Tab: w.Tab()}, w, b, requestHead(views.TabOverview))
		}}
	}
	return append(widgetStates(alone), []Entry{
		update("widget_update", func(*views.StatusChecks, *views.MergeBox) {}),
		update("widget_update_merged", func(w *views.StatusChecks, b *views.MergeBox) {
			b.State, b.DoneBy, b.DoneAt, w.Polls = views.MergeRequestMerged, "Jonas Lindqvist", Now, false
		}),
	}...)
}

// check returns a row that entered its state some time ago.
func check(id int64, name string, state views.CheckState, since time.Duration) views.CheckRow {
	return views.CheckRow{ID: id, Name: name, State: state, SHA: "8f3c2a1d", Since: ago(since), Limit: 2 * time.Minute}
}

// mixed returns a widget with a check in each state.
func mixed() views.StatusChecks {
	failed := check(34, "Security sign-off", views.CheckFailed, 21*time.Second)
	failed.Linked, failed.Retryable = true, true
	failed.Description, failed.TargetURL = "2 findings <above> the threshold", "https://sec.example.test/1?a=1&b=2"
	failed.Delivery = views.CheckDelivery{ID: 902, State: views.DeliveryDelivered, HTTPStatus: 200, At: ago(50 * time.Second)}
	delivered := check(31, "Change approval", views.CheckPending, 36*time.Second)
	delivered.Deadline = Now.Add(84 * time.Second)
	delivered.Delivery = views.CheckDelivery{State: views.DeliveryDelivered, HTTPStatus: 202, At: ago(36 * time.Second)}
	retrying := check(33, "Load test gate", views.CheckPending, 103*time.Second)
	retrying.Retried, retrying.Deadline = true, Now.Add(17*time.Second)
	retrying.Delivery = views.CheckDelivery{State: views.DeliveryRetrying, HTTPStatus: 503, Attempt: 3, Attempts: 12, NextAt: Now.Add(12 * time.Second)}
	passed := check(32, "Licence scan", views.CheckPassed, 40*time.Second)
	passed.Linked, passed.Description, passed.TargetURL = true, "214 packages scanned, no licence conflicts.", "https://licences.example.test/214"
	passed.Delivery = views.CheckDelivery{ID: 903, State: views.DeliveryDelivered, HTTPStatus: 200, At: ago(42 * time.Second)}
	return views.StatusChecks{Kind: views.WidgetRows, SHA: "8f3c2a1d", URL: requestPath + "/status_checks", Rev: "1x", Shown: "34f.31p.33p.32s", Polls: true,
		Now: Now, ServicesURL: servicesPath, Retries: true, HeadSHA: head,
		AnswerURL: "https://mergegate.example.test/api/v4/projects/7/merge_requests/142/status_check_responses",
		Rows:      []views.CheckRow{failed, delivered, retrying, passed}}
}

func allPassed() views.StatusChecks {
	w := mixed()
	w.Rows, w.Polls, w.Shown = w.Rows[3:], false, "32s"
	return w
}
