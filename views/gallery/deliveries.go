package gallery

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// deliveries returns entries for a service's delivery log and for one delivery.
func deliveries() []Entry {
	service := func(name string, change func(context.Context, *views.ServicePage)) Entry {
		return Entry{Name: name, Draw: func(ctx context.Context, theme string) templ.Component {
			s := servicePage(ctx, theme)
			change(ctx, &s)
			return views.ServicePageView(s)
		}}
	}
	one := func(name string, change func(context.Context, *views.DeliveryPage)) Entry {
		return Entry{Name: name, Draw: func(ctx context.Context, theme string) templ.Component {
			d := delivery(ctx, theme)
			change(ctx, &d)
			return views.DeliveryPageView(d)
		}}
	}
	redeliver := func(name string, change func(*views.Redeliver)) Entry {
		return Entry{Name: name, Draw: func(ctx context.Context, theme string) templ.Component {
			v := views.Redeliver{Page: servicesFrame(ctx, theme), URL: servicesPath + "/33/deliveries/redeliver", CloseURL: servicesPath + "/33",
				ServiceName: "Load test gate", Filter: deliveryFilter(ctx, url.Values{"outcome": {"failed"}, "since": {"2026-11-21T09:42"}}), Counted: "outcome=failed&since=2026-11-21T09%3A42", Count: 12, Limit: 1000}
			v.Filter.Outcomes = v.Filter.Outcomes[2:3]
			change(&v)
			return views.RedeliverView(v)
		}}
	}
	fresh := func(_ context.Context, s *views.ServicePage) {
		s.Service, s.FailedInRow, s.LastFailure = serviceRows()[3], 0, ""
		s.Deliveries.Rows, s.Deliveries.Pages, s.Health = nil, views.PageLinks{}, views.HealthChart{}
	}
	return []Entry{
		service("service_page", func(context.Context, *views.ServicePage) {}),
		service("service_page_unused", fresh),
		service("service_page_unreachable", func(ctx context.Context, s *views.ServicePage) {
			s.LastFailure, s.Answered = text.T(ctx, text.KeyChecksErrorConnectionRefused), false
		}),
		service("service_page_paused", func(ctx context.Context, s *views.ServicePage) {
			s.Service.Breaker = views.Breaker{State: "open", Since: ago(3 * time.Minute), Failures: 5, Why: "HTTP 503", NextAt: Now.Add(40 * time.Second)}
			s.Health.Newest = 10_000
		}),
		service("service_page_probing", func(ctx context.Context, s *views.ServicePage) {
			s.Service.Breaker = views.Breaker{State: "half_open", Since: ago(3 * time.Minute), Failures: 7, Why: text.T(ctx, text.KeyChecksErrorTimeout)}
			s.Health.Total.Rate, s.Health.Total.Delivery, s.Health.Total.Delivered, s.Health.Total.Failed = "", "", 0, 0
		}),
		service("service_page_testing", func(ctx context.Context, s *views.ServicePage) {
			fresh(ctx, s)
			s.Page.Toast, s.Live.Every = text.T(ctx, text.KeyChecksToastTest), "3s"
			s.Deliveries.Rows = []views.DeliveryRow{deliveryRow(9, text.T(ctx, text.KeyChecksEventTest), "", views.Outcome{Text: text.T(ctx, text.KeyChecksQueued)}, text.T(ctx, text.KeyChecksAttemptsOf, "Part", 0, "Whole", 1), "", 0)}
		}),
		service("service_page_filtered", func(ctx context.Context, s *views.ServicePage) {
			s.Deliveries.Filter.Form, s.Deliveries.Filtered = views.Form{Values: url.Values{"outcome": {"superseded"}, "event": {"update"}, "mr": {"142"}, "status": {"5xx"}, "since": {"2026-11-22T09:40"}}}, true
			s.Deliveries.Rows, s.Deliveries.Pages = nil, views.PageLinks{}
		}),
		service("service_page_filter_invalid", func(ctx context.Context, s *views.ServicePage) {
			s.Deliveries.Filtered, s.Deliveries.Pages.More, s.Deliveries.Pages.Total = true, true, 10_000
			s.Deliveries.Filter.Form = views.Form{
				Values: url.Values{"status": {"teapot"}, "mr": {"x"}, "since": {"yesterday"}, "search": {"d7"}},
				Errors: map[string]string{
					"status": text.T(ctx, text.KeyLogStatusInvalid), "mr": text.T(ctx, text.KeyLogMergeRequestInvalid),
					"since": text.T(ctx, text.KeyLogTimeInvalid), "search": text.T(ctx, text.KeyLogSearchInvalid),
				},
			}
		}),
		service("service_page_long", func(ctx context.Context, s *views.ServicePage) {
			s.Service = longService()
			s.Page.Title = s.Service.Name
		}),
		redeliver("redeliver", func(*views.Redeliver) {}),
		redeliver("redeliver_none", func(v *views.Redeliver) { v.Count, v.More = 0, false }),
		redeliver("redeliver_many", func(v *views.Redeliver) { v.Count, v.More = 10_000, true }),
		one("delivery_page", func(context.Context, *views.DeliveryPage) {}),
		one("delivery_page_pending", func(ctx context.Context, d *views.DeliveryPage) {
			d.State, d.NextAt, d.Attempts, d.Headers, d.Live.Every = views.Outcome{Text: text.T(ctx, text.KeyChecksQueued)}, time.Time{}, nil, nil, "3s"
			d.AttemptsText, d.Duration = text.T(ctx, text.KeyChecksAttemptsOf, "Part", 0, "Whole", 12), ""
		}),
		one("delivery_page_delivered", func(ctx context.Context, d *views.DeliveryPage) {
			d.State, d.NextAt, d.AttemptsText, d.Duration = views.Outcome{Kind: "success", Text: text.T(ctx, text.KeyChecksDelivered)}, time.Time{}, text.T(ctx, text.KeyChecksAttemptsOf, "Part", 1, "Whole", 12), text.T(ctx, text.KeyChecksMilliseconds, "Count", "214")
			d.Result, d.ResultAfter = "passed", 41*time.Second
			d.Attempts = []views.AttemptView{{Number: 1, At: ago(time.Minute), Duration: text.T(ctx, text.KeyChecksMilliseconds, "Count", "214"), Outcome: views.Outcome{Kind: "success", Text: "HTTP 202"},
				ResponseLine: "HTTP 202 Accepted", Headers: []views.Header{{Name: "Content-Length", Value: "35"}, {Name: "Content-Type", Value: "application/json"}},
				Body: `{ "queued": true, "position": 2 }`}}
		}),
		one("delivery_page_superseded", func(ctx context.Context, d *views.DeliveryPage) {
			d.State, d.NextAt = views.Outcome{Text: text.T(ctx, text.KeyChecksSuperseded)}, time.Time{}
			d.Explanation = text.T(ctx, text.KeyChecksSupersededByHead)
		}),
		one("delivery_page_unreachable", func(ctx context.Context, d *views.DeliveryPage) {
			d.State, d.NextAt, d.AttemptsText, d.Duration = views.Outcome{Kind: "danger", Text: text.T(ctx, text.KeyChecksDeliveryFailed)}, time.Time{}, text.T(ctx, text.KeyChecksAttemptsOf, "Part", 12, "Whole", 12), text.T(ctx, text.KeyChecksMilliseconds, "Count", "3")
			d.Explanation = text.N(ctx, text.KeyChecksFailedExplained, 12)
			d.Attempts = nil
			refused := views.AttemptView{Number: 12, At: ago(time.Minute), Duration: text.T(ctx, text.KeyChecksMilliseconds, "Count", "3"), Outcome: views.Outcome{Kind: "danger", Text: text.T(ctx, text.KeyChecksErrorConnectionRefused)},
				Failure: "dial tcp 203.0.113.7:8080: connect: connection refused"}
			for number := 12; number > 0; number-- {
				refused.Number, refused.At = number, ago(time.Duration(13-number)*time.Hour)
				d.Attempts = append(d.Attempts, refused)
			}
		}),
		one("delivery_page_gone", func(ctx context.Context, d *views.DeliveryPage) {
			d.State, d.NextAt, d.AttemptsText = views.Outcome{Kind: "danger", Text: text.T(ctx, text.KeyChecksDeliveryFailed)}, time.Time{}, text.T(ctx, text.KeyChecksAttemptsOf, "Part", 1, "Whole", 12)
			d.Explanation = text.T(ctx, text.KeyChecksGoneExplained)
			d.Attempts = []views.AttemptView{{Number: 1, At: ago(time.Minute), Duration: text.T(ctx, text.KeyChecksMilliseconds, "Count", "88"), Outcome: views.Outcome{Kind: "danger", Text: "HTTP 410"}, ResponseLine: "HTTP 410 Gone"}}
		}),
		one("delivery_page_binary", func(ctx context.Context, d *views.DeliveryPage) {
			d.Attempts[0].Body, d.Attempts[0].BinaryBytes = "", 16384
			d.Truncated = []string{"object_attributes.description", "changes.description.current"}
		}),
		one("delivery_page_long", func(ctx context.Context, d *views.DeliveryPage) {
			d.ServiceName = longService().Name
			d.RequestLine = "POST /" + strings.Repeat("v", 2000) + " HTTP/1.1\nHost: scan.example.net"
			d.Attempts[0].Body = strings.Repeat("busy ", 3276)
		}),
	}
}

func deliveryRow(id int, event, mr string, outcome views.Outcome, attempts, duration string, age time.Duration) views.DeliveryRow {
	row := views.DeliveryRow{ID: strconv.Itoa(id), URL: servicesPath + "/33/deliveries/" + strconv.Itoa(id), ShortID: "d7f2e8a" + strconv.Itoa(id),
		Event: event, MergeRequest: mr, Outcome: outcome, Attempts: attempts, Duration: duration, At: ago(age)}
	if mr != "" {
		row.MergeRequestURL = requestPath
	}
	return row
}

// deliveryFilter returns the filter of a delivery log with some of its choices.
func deliveryFilter(ctx context.Context, values url.Values) views.DeliveryFilter {
	return views.DeliveryFilter{
		Form: views.Form{Values: values},
		Outcomes: []views.Option{{Text: text.T(ctx, text.KeyChecksAllOutcomes)}, {Value: "delivered", Text: text.T(ctx, text.KeyChecksDelivered)}, {Value: "failed", Text: text.T(ctx, text.KeyChecksDeliveryFailed)},
			{Value: "waiting", Text: text.T(ctx, text.KeyChecksOutcomeWaiting)}, {Value: "superseded", Text: text.T(ctx, text.KeyChecksSuperseded)}},
		Events: []views.Option{{Text: text.T(ctx, text.KeyLogAllEvents)}, {Value: "open", Text: text.T(ctx, text.KeyChecksEventOpen)}, {Value: "update", Text: text.T(ctx, text.KeyChecksEventUpdate)}},
	}
}

func servicePage(ctx context.Context, theme string) views.ServicePage {
	base := servicesPath + "/33"
	bad := func(text string) views.Outcome { return views.Outcome{Kind: "danger", Text: text} }
	good := views.Outcome{Kind: "success", Text: "HTTP 202"}
	return views.ServicePage{Page: servicesFrame(ctx, theme), Service: serviceRows()[2], AddedAt: Now.AddDate(0, 0, -42), TestURL: base + "/test",
		CallbackOnly: true, HeaderNames: []string{"Authorization", "X-Api-Key"},
		FailedInRow: 5, LastFailure: "HTTP 503", Answered: true, Health: health(ctx), Host: "loadgate.example.org:8080", MaxAttempts: 12, Live: views.Live{URL: base + "?rev=1"},
		Deliveries: views.DeliveryList{Now: Now, URL: base, RedeliverURL: base + "/deliveries/redeliver", Pages: views.PageLinks{First: 1, Last: 8, Total: 64, NextURL: base + "?page=2"},
			Filter: deliveryFilter(ctx, nil),
			Rows: []views.DeliveryRow{
				deliveryRow(8, text.T(ctx, text.KeyChecksEventUpdate), "!142", bad("HTTP 503"), text.T(ctx, text.KeyChecksAttemptsOf, "Part", 2, "Whole", 12), text.T(ctx, text.KeyChecksMilliseconds, "Count", "1,187"), 28*time.Second),
				deliveryRow(7, text.T(ctx, text.KeyChecksEventUpdate), "!142", bad(text.T(ctx, text.KeyChecksErrorTimeout)), text.T(ctx, text.KeyChecksAttemptsOf, "Part", 1, "Whole", 12), text.T(ctx, text.KeyChecksMilliseconds, "Count", "10,000"), 52*time.Second),
				deliveryRow(6, text.T(ctx, text.KeyChecksEventApproved), "!139", bad(text.T(ctx, text.KeyChecksErrorConnectionRefused)), text.T(ctx, text.KeyChecksAttemptsOf, "Part", 12, "Whole", 12), text.T(ctx, text.KeyChecksMilliseconds, "Count", "3"), time.Hour),
				deliveryRow(5, text.T(ctx, text.KeyChecksEventApproved), "!139", views.Outcome{Text: text.T(ctx, text.KeyChecksSuperseded)}, text.T(ctx, text.KeyChecksAttemptsOf, "Part", 7, "Whole", 12), text.T(ctx, text.KeyChecksMilliseconds, "Count", "88"), time.Hour),
				deliveryRow(4, text.T(ctx, text.KeyChecksEventRetry), "!139", bad("HTTP 410"), text.T(ctx, text.KeyChecksAttemptsOf, "Part", 1, "Whole", 12), text.T(ctx, text.KeyChecksMilliseconds, "Count", "91"), time.Hour),
				deliveryRow(3, text.T(ctx, text.KeyChecksEventOpen), "!139", good, text.T(ctx, text.KeyChecksAttemptsOf, "Part", 1, "Whole", 12), text.T(ctx, text.KeyChecksMilliseconds, "Count", "214"), 48*time.Hour),
				deliveryRow(2, text.T(ctx, text.KeyChecksEventTest), "", good, text.T(ctx, text.KeyChecksAttemptsOf, "Part", 1, "Whole", 1), text.T(ctx, text.KeyChecksMilliseconds, "Count", "190"), 72*time.Hour),
				deliveryRow(1, text.T(ctx, text.KeyChecksEventOpen), "!138", views.Outcome{Text: text.T(ctx, text.KeyChecksSending)}, text.T(ctx, text.KeyChecksAttemptsOf, "Part", 1, "Whole", 12), "", 0),
			}}}
}

func delivery(ctx context.Context, theme string) views.DeliveryPage {
	base := servicesPath + "/33"
	return views.DeliveryPage{Page: servicesFrame(ctx, theme), ID: "d7f2e8aa-0000-4000-8000-000000000000", ServiceName: "Load test gate", ServiceURL: base,
		Event: text.T(ctx, text.KeyChecksEventUpdate), MergeRequest: "!142", MergeRequestURL: requestPath, SHA: "e2570f1c",
		State: views.Outcome{Kind: "warning", Text: text.T(ctx, text.KeyChecksRetrying)}, CreatedAt: ago(time.Minute), NextAt: Now.Add(12 * time.Second), Now: Now,
		AttemptsText: text.T(ctx, text.KeyChecksAttemptsOf, "Part", 2, "Whole", 12), Duration: text.T(ctx, text.KeyChecksMilliseconds, "Count", "1,187"), RequestLine: "POST /mr HTTP/1.1\nHost: loadgate.example.org:8080", RedeliverURL: base + "/deliveries/7/redeliver",
		Live: views.Live{URL: base + "/deliveries/7?rev=1"},
		Curl: "body() { cat <<'MERGEGATE_BODY'\n{\"object_kind\":\"merge_request\"}\nMERGEGATE_BODY\n}\nbody | curl --request POST 'http://loadgate.example.org:8080/mr' \\\n" +
			"  --header 'Content-Type: application/json' \\\n  --header \"X-Gitlab-Signature: $(body | openssl dgst -sha256 -hmac \"$MERGEGATE_SECRET\" | sed 's/.* //')\" \\\n  --data-binary @-\n",
		CurlVariables: []string{"MERGEGATE_SECRET"},
		Body: "{\n  \"object_kind\": \"merge_request\",\n  \"object_attributes\": {\n    \"iid\": 142,\n    \"title\": \"A \\\"quoted\\\" <b>title</b>: 7\",\n" +
			"    \"draft\": false,\n    \"oldrev\": null\n  }\n}",
		Headers: []views.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "X-Gitlab-Event", Value: "Merge Request Hook"}, {Name: "X-Gitlab-Signature", Value: "••••••••"}},
		Attempts: []views.AttemptView{
			{Number: 2, At: ago(28 * time.Second), Duration: text.T(ctx, text.KeyChecksMilliseconds, "Count", "1,187"), Outcome: views.Outcome{Kind: "danger", Text: "HTTP 503"},
				ResponseLine: "HTTP 503 Service Unavailable", Headers: []views.Header{{Name: "Retry-After", Value: "12"}}, Body: "busy <script>", Truncated: true,
				Timing: []views.TimingPart{
					{Kind: "dns", Label: text.T(ctx, text.KeyLogTimingDNS), Duration: text.T(ctx, text.KeyChecksMilliseconds, "Count", "120"), Share: .1},
					{Kind: "connect", Label: text.T(ctx, text.KeyLogTimingConnect), Duration: text.T(ctx, text.KeyChecksMilliseconds, "Count", "60"), Start: .1, Share: .05},
					{Kind: "tls", Label: text.T(ctx, text.KeyLogTimingTLS), Duration: text.T(ctx, text.KeyChecksMilliseconds, "Count", "180"), Start: .15, Share: .15},
					{Kind: "wait", Label: text.T(ctx, text.KeyLogTimingFirstByte), Duration: text.T(ctx, text.KeyChecksMilliseconds, "Count", "767"), Start: .3, Share: .65},
					{Kind: "rest", Label: text.T(ctx, text.KeyLogTimingRest), Duration: text.T(ctx, text.KeyChecksMilliseconds, "Count", "60"), Start: .95, Share: .05},
				}},
			{Number: 1, At: ago(52 * time.Second), Duration: text.T(ctx, text.KeyChecksMilliseconds, "Count", "10,000"), Outcome: views.Outcome{Kind: "danger", Text: text.T(ctx, text.KeyChecksErrorTimeout)}, Failure: text.T(ctx, text.KeyChecksDetailTimeout)},
		}}
}

// health returns the health of a service that failed during the last days.
func health(ctx context.Context) views.HealthChart {
	ms := func(n string) string { return text.T(ctx, text.KeyChecksMilliseconds, "Count", n) }
	of := func(p50, p95 string) string { return text.T(ctx, text.KeyLogPercentiles, "P50", p50, "P95", p95) }
	percent := func(n string) string { return text.T(ctx, text.KeyLogPercent, "Number", n) }
	seconds := func(n int) string { return text.T(ctx, text.KeyMRSecondsShort, "Count", n) }
	chart := views.HealthChart{}
	first := Now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -29)
	for i := range 30 {
		day := views.HealthDay{Day: first.AddDate(0, 0, i)}
		switch weekday := day.Day.Weekday(); {
		case i >= 28:
			day.Delivered, day.Failed, day.Rate, day.Delivery = 4, 9, percent("30.7"), of(ms("1,187"), ms("9,870"))
		case weekday != time.Saturday && weekday != time.Sunday:
			day.Delivered, day.Rate, day.Delivery, day.Answer = 8+i*5%13, percent("100.0"), of(ms("184"), ms("412")), of(seconds(41), seconds(96))
		}
		chart.Total.Delivered, chart.Total.Failed = chart.Total.Delivered+day.Delivered, chart.Total.Failed+day.Failed
		chart.Days = append(chart.Days, day)
	}
	chart.Total.Rate, chart.Total.Delivery, chart.Total.Answer = percent("94.1"), of(ms("190"), ms("1,187")), of(seconds(41), seconds(98))
	return chart
}
