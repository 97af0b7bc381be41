package gallery

import (
	"fmt"
	"strings"
	"time"

	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// widgetStates returns entries for all states of the widget.
func widgetStates(alone func(string, views.StatusChecks) Entry) []Entry {
	polling := func(url string) views.StatusChecks {
		w := only(mixed(), views.CheckPending)
		w.URL = url
		return w
	}
	reader := only(mixed(), views.CheckFailed)
	reader.Rows[0].Retryable, reader.Rows[0].Linked = false, false
	reader.Retries, reader.AnswerURL = false, ""
	return []Entry{
		alone("widget_mixed", mixed()),
		alone("widget_all_passed", allPassed()),
		alone("widget_all_passed_final", final(allPassed())),
		alone("widget_mixed_final", final(mixed())),
		alone("widget_pending", only(mixed(), views.CheckPending)),
		alone("widget_failed", only(mixed(), views.CheckFailed)),
		alone("widget_failed_reader", reader),
		alone("widget_timed_out", timedOut()),
		alone("widget_retrying", retrying()),
		alone("widget_paused", paused()),
		alone("widget_superseded", superseded()),
		alone("widget_answers", failures()),
		alone("widget_informational", informational()),
		alone("widget_thirty", thirty()),
		alone("widget_thirty_passed", only(thirty(), views.CheckPassed)),
		alone("widget_long", long()),
		alone("widget_right_to_left", rightToLeft()),
		alone("widget_forbidden", views.StatusChecks{Kind: views.WidgetForbidden}),
		alone("widget_load_failed", views.StatusChecks{Kind: views.WidgetFailed, RefreshURL: requestPath}),
		alone("widget_none", views.StatusChecks{Kind: views.WidgetNone, AddURL: servicesPath + "/new"}),
		alone("widget_poll_failed", polling(unavailablePath)),
		alone("widget_poll_denied", polling(deniedPath)),
		alone("widget_poll_silent", polling(silentPath)),
	}
}

// informational returns a widget in which the failed checks do not block the merge, and a
// pending one has a time-out of days.
func informational() views.StatusChecks {
	w := mixed()
	for i := range w.Rows {
		row := &w.Rows[i]
		row.Informational, row.ViaCallback = row.State == views.CheckFailed, row.State == views.CheckPassed
		if row.State == views.CheckPending {
			row.Limit = 7 * 24 * time.Hour
			row.Deadline = Now.Add(75*time.Hour + 4*time.Minute)
		}
	}
	return w
}

// only returns a widget whose checks all have one state.
func only(w views.StatusChecks, state views.CheckState) views.StatusChecks {
	var rows []views.CheckRow
	for _, row := range w.Rows {
		if row.State == state {
			rows = append(rows, row)
		}
	}
	return with(w, rows...)
}

// with returns a widget with other rows. It polls if one of them is pending.
func with(w views.StatusChecks, rows ...views.CheckRow) views.StatusChecks {
	w.Rows, w.Polls = rows, false
	var shown []string
	for _, row := range rows {
		w.Polls = w.Polls || row.State == views.CheckPending
		letter := map[views.CheckState]string{views.CheckPending: "p", views.CheckPassed: "s", views.CheckFailed: "f"}[row.State]
		shown = append(shown, fmt.Sprint(row.ID, letter))
	}
	w.Shown = strings.ReplaceAll(strings.Join(shown, "."), " ", "")
	return w
}

// final returns the widget of a merge request that is not open: there is no
// countdown and no Retry.
func final(w views.StatusChecks) views.StatusChecks {
	w.Final, w.Polls, w.AnswerURL = true, false, ""
	rows := append([]views.CheckRow(nil), w.Rows...)
	for i := range rows {
		rows[i].Retryable, rows[i].Deadline = false, time.Time{}
		if rows[i].Delivery.State == views.DeliveryRetrying || rows[i].Delivery.State == views.DeliveryQueued {
			rows[i].Delivery = views.CheckDelivery{State: views.DeliverySuperseded}
		}
	}
	w.Rows = rows
	return w
}

// timedOut returns checks that timed out. One service was reached, the other was
// not.
func timedOut() views.StatusChecks {
	dead := check(33, "Load test gate", views.CheckFailed, 103*time.Second)
	dead.TimedOut, dead.Retryable, dead.Linked = true, true, true
	dead.Delivery = views.CheckDelivery{State: views.DeliveryGaveUp, Failure: text.KeyMRFailureRefused, Attempt: 12, Attempts: 12}
	silent := check(31, "Change approval", views.CheckFailed, 3*time.Second)
	silent.TimedOut, silent.Retryable, silent.Linked = true, true, true
	silent.Delivery = views.CheckDelivery{State: views.DeliveryDelivered, HTTPStatus: 202, At: ago(2 * time.Minute)}
	return with(mixed(), silent, dead)
}

// retrying returns a check whose delivery is being retried, with little time left.
func retrying() views.StatusChecks {
	row := check(33, "Load test gate", views.CheckPending, 103*time.Second)
	row.Linked, row.Deadline = true, Now.Add(17*time.Second)
	row.Delivery = views.CheckDelivery{State: views.DeliveryRetrying, Failure: text.KeyMRFailureTLS, Attempt: 3, Attempts: 12, NextAt: Now.Add(12 * time.Second)}
	return with(mixed(), row)
}

// paused returns checks of services whose circuit breakers are open. At the second one a
// probe is in flight.
func paused() views.StatusChecks {
	waiting, probing := check(33, "Load test gate", views.CheckPending, 61*time.Second), check(35, "Visual tests", views.CheckPending, 61*time.Second)
	waiting.Linked, waiting.Deadline, probing.Deadline = true, Now.Add(59*time.Second), Now.Add(59*time.Second)
	waiting.Delivery = views.CheckDelivery{State: views.DeliveryPaused, Failures: 5, NextAt: Now.Add(4 * time.Second)}
	probing.Delivery = views.CheckDelivery{State: views.DeliveryPaused, Failures: 12}
	return with(mixed(), waiting, probing)
}

// superseded returns checks with queued and superseded deliveries.
func superseded() views.StatusChecks {
	queued, overtaken := check(31, "Change approval", views.CheckPending, time.Second), check(33, "Load test gate", views.CheckPending, time.Second)
	queued.Linked, overtaken.Linked, queued.Retried = true, true, true
	queued.Deadline, overtaken.Deadline = Now.Add(119*time.Second), Now.Add(119*time.Second)
	queued.Delivery.State, overtaken.Delivery.State = views.DeliveryQueued, views.DeliverySuperseded
	return with(mixed(), queued, overtaken)
}

// failures returns a check for every kind of delivery failure.
func failures() views.StatusChecks {
	var rows []views.CheckRow
	for i, failure := range []text.Key{
		text.KeyMRFailureRefused, text.KeyMRFailureTimeout, text.KeyMRFailureDNS, text.KeyMRFailureTLS, text.KeyMRFailureBlocked,
		text.KeyMRFailureRedirect, text.KeyMRFailureInterrupted, text.KeyMRFailureGone, text.KeyMRFailureURL, text.KeyMRFailureOther,
	} {
		row := check(int64(50+i), fmt.Sprintf("Service %02d", i+1), views.CheckPending, 40*time.Second)
		row.Linked, row.Deadline = true, Now.Add(80*time.Second)
		row.Delivery = views.CheckDelivery{State: views.DeliveryRetrying, Failure: failure, Attempt: 5, Attempts: 12, NextAt: Now.Add(40 * time.Second)}
		rows = append(rows, row)
	}
	return with(mixed(), rows...)
}

// thirty returns a widget with thirty checks, of which the passed ones are folded.
func thirty() views.StatusChecks {
	kinds := mixed().Rows
	var rows []views.CheckRow
	for _, state := range []views.CheckState{views.CheckFailed, views.CheckPending, views.CheckPassed} {
		for i := range 10 {
			for _, kind := range kinds {
				if kind.State == state {
					kind.ID, kind.Name = int64(100+len(rows)), fmt.Sprintf("%s %02d", kind.Name, i+1)
					kind.Folded = state == views.CheckPassed
					rows = append(rows, kind)
					break
				}
			}
		}
	}
	return with(mixed(), rows...)
}

// long returns names, descriptions and addresses of the greatest length, with and
// without spaces.
func long() views.StatusChecks {
	w := mixed()
	rows := append([]views.CheckRow(nil), w.Rows...)
	rows[0].Name = strings.Repeat("SECURITYANDCOMPLIANCESIGNOFF", 10)[:255]
	rows[0].Description = strings.Repeat("Afindingwithoutanyplacetobreak", 9)[:255]
	rows[0].TargetURL = "https://security.example.test/" + strings.Repeat("a/very/long/path/", 100)
	rows[1].Name = strings.Repeat("Change approval board ", 12)[:255]
	rows[1].Description = strings.Repeat("The change advisory board meets on Thursday. ", 6)[:255]
	rows[3].Name = strings.Repeat("変更承認", 63)
	return with(w, rows...)
}

// rightToLeft returns names and descriptions in right-to-left scripts, and one with
// a direction override.
func rightToLeft() views.StatusChecks {
	w := mixed()
	rows := append([]views.CheckRow(nil), w.Rows...)
	rows[0].Name, rows[0].Description = "أمن التطبيقات", "تم العثور على 2 مشكلة (CWE-346)"
	rows[1].Name, rows[1].Description = "אישור שינוי", "ממתין לאישור של 3 אנשים"
	rows[2].Name = "Load \u202etest\u202c gate"
	rows[3].Description = "passed \u202edeliaf"
	return with(w, rows...)
}
