package handlers

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// outcomeTexts are the outcomes that the delivery log can be filtered by, in the order of
// the menu.
var outcomeTexts = []struct {
	state models.DeliveryState
	word  text.Key
}{
	{models.DeliveryDelivered, text.KeyChecksDelivered},
	{models.DeliveryFailed, text.KeyChecksDeliveryFailed},
	{models.DeliveryWaiting, text.KeyChecksOutcomeWaiting},
	{models.DeliverySuperseded, text.KeyChecksSuperseded},
}

// outcomeWords returns outcomeTexts by the values of audited changes.
func outcomeWords() map[string]text.Key {
	words := map[string]text.Key{}
	for _, o := range outcomeTexts {
		words[string(o.state)] = o.word
	}
	return words
}

// logParams are the query parameters that filter the delivery log.
var logParams = []string{"outcome", "event", "status", "mr", "since", "until", "search"}

// logFields maps the fields of models.DeliveryFilter to parameters with other names.
var logFields = map[string]string{"state": "outcome", "http_status": "status"}

// logMessages are the messages for invalid parameters.
var logMessages = map[string]text.Key{
	"outcome": text.KeyFieldInvalid, "event": text.KeyFieldInvalid, "status": text.KeyLogStatusInvalid, "mr": text.KeyLogMergeRequestInvalid,
	"since": text.KeyLogTimeInvalid, "until": text.KeyLogTimeInvalid, "search": text.KeyLogSearchInvalid,
}

// logFilter is the filter of the delivery log and the form that shows it. The zero value
// selects all deliveries.
type logFilter struct {
	models.DeliveryFilter
	form views.Form
}

// readLogFilter reads the filter from the query. An invalid parameter is an error in the
// form and does not filter.
func readLogFilter(c echo.Context) logFilter {
	values := url.Values{}
	for _, name := range logParams {
		if value := searchParam(c, name); value != "" {
			values.Set(name, value)
		}
	}
	return newLogFilter(c, values)
}

// newLogFilter is readLogFilter for the given values of logParams.
func newLogFilter(c echo.Context, values url.Values) logFilter {
	f := logFilter{form: views.Form{Values: values, Errors: map[string]string{}}}
	value := f.form.Values.Get
	f.DeliveryFilter = models.DeliveryFilter{
		State: models.DeliveryState(value("outcome")), Event: value("event"), HTTPStatus: value("status"), ID: value("search"),
	}
	invalid := func(name string) { f.form.Errors[name] = translate(c, logMessages[name]) }
	if mr := value("mr"); mr != "" {
		iid, err := strconv.ParseInt(strings.TrimPrefix(mr, "!"), 10, 64)
		if f.MergeRequestIID = iid; err != nil || iid <= 0 {
			f.MergeRequestIID = 0
			invalid("mr")
		}
	}
	for name, at := range map[string]*time.Time{"since": &f.Since, "until": &f.Before} {
		from, end, shown, ok := parseLogTime(value(name), name == "until")
		if *at = from; name == "until" {
			*at = end
		}
		if ok {
			values.Set(name, shown)
		} else if value(name) != "" {
			invalid(name)
		}
	}
	for _, fault := range models.FieldErrorsOf(f.Validate()) {
		name := fault.Field
		if param, ok := logFields[name]; ok {
			name = param
		}
		invalid(name)
	}
	f.dropInvalid()
	return f
}

// dropInvalid clears the fields that have an error.
func (f *logFilter) dropInvalid() {
	for name := range f.form.Errors {
		switch name {
		case "outcome":
			f.State = ""
		case "event":
			f.Event = ""
		case "status":
			f.HTTPStatus = ""
		case "search":
			f.ID = ""
		}
	}
}

// logTimeLayouts are the accepted forms of a time, in UTC unless it says otherwise, with
// the unit that each is exact to.
var logTimeLayouts = []struct {
	layout string
	unit   time.Duration
}{
	{"2006-01-02T15:04", time.Minute},
	{"2006-01-02T15:04:05", time.Second},
	{time.RFC3339, time.Second},
	{time.DateOnly, 24 * time.Hour},
}

// parseLogTime returns the first instant that a time names, the end of its minute, second
// or day, and the time as a field of type datetime-local shows it: the last minute of a day
// if atEnd, otherwise the first. ok is false if value is not a time.
func parseLogTime(value string, atEnd bool) (from, end time.Time, shown string, ok bool) {
	for _, l := range logTimeLayouts {
		if at, err := time.Parse(l.layout, value); err == nil {
			from, end = at.UTC(), at.UTC().Add(l.unit)
			layout, minute := logTimeLayouts[1].layout, from
			if l.unit >= time.Minute {
				layout = logTimeLayouts[0].layout
			}
			if atEnd && l.unit > time.Minute {
				minute = end.Add(-time.Minute)
			}
			return from, end, minute.Format(layout), true
		}
	}
	return time.Time{}, time.Time{}, "", false
}

// present returns the delivery log without its rows. base is the address of the service.
func (f logFilter) present(c echo.Context, base string) views.DeliveryList {
	list := views.DeliveryList{
		URL: base, Filtered: f.DeliveryFilter != models.DeliveryFilter{} || len(f.form.Errors) > 0, RedeliverURL: base + "/deliveries/redeliver",
		Filter: f.fields(c),
	}
	list.Filter.Outcomes = append([]views.Option{{Text: translate(c, text.KeyChecksAllOutcomes)}}, list.Filter.Outcomes...)
	if query := f.query(); len(query) > 0 {
		list.RedeliverURL += "?" + query.Encode()
	}
	return list
}

// fields returns the fields of the filter with their choices.
func (f logFilter) fields(c echo.Context) views.DeliveryFilter {
	fields := views.DeliveryFilter{Form: f.form, Events: []views.Option{{Text: translate(c, text.KeyLogAllEvents)}}}
	for _, o := range outcomeTexts {
		fields.Outcomes = append(fields.Outcomes, views.Option{Value: string(o.state), Text: translate(c, o.word)})
	}
	for _, event := range models.DeliveryEvents() {
		fields.Events = append(fields.Events, views.Option{Value: event, Text: translate(c, eventTexts[event])})
	}
	return fields
}

// query returns the parameters of the filter.
func (f logFilter) query() url.Values {
	query := url.Values{}
	for name, values := range f.form.Values {
		query[name] = values
	}
	return query
}
