package servicecheck

import (
	"fmt"
	"io"
	"strconv"
	"time"
)

// Report is the result of a check.
type Report struct {
	Service string `json:"service"`
	API     string `json:"api"`
	// Deliveries are the deliveries in the order in which they were sent.
	Deliveries []*Delivery `json:"deliveries"`
	// Faults must be mended, Advice should be followed.
	Faults []Finding `json:"faults"`
	Advice []Finding `json:"advice"`
}

// Delivery is one request to the service, and the response that followed.
type Delivery struct {
	Name       string `json:"name"`
	HTTPStatus int    `json:"http_status"`
	Error      string `json:"error,omitempty"`
	Duration   Millis `json:"duration_ms"`
	// Answer is the status in the service's response, "" if none was expected or
	// none came. AnswerAfter counts from the start of the delivery.
	Answer      string `json:"answer,omitempty"`
	AnswerAfter Millis `json:"answer_after_ms,omitempty"`
}

// Millis is a duration that is milliseconds in JSON.
type Millis time.Duration

// MarshalJSON returns the milliseconds as a number.
func (m Millis) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(m).Seconds()*1000, 'f', 1, 64), nil
}

// String rounds the duration for people.
func (m Millis) String() string {
	if d := time.Duration(m); d > time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return time.Duration(m).Round(100 * time.Microsecond).String()
}

// Finding is one thing that the service does wrong.
type Finding struct {
	Delivery string `json:"delivery"`
	Text     string `json:"text"`
	Mend     string `json:"mend"`
}

func (r *Report) fault(delivery, text, mend string)  { r.Faults = add(r.Faults, delivery, text, mend) }
func (r *Report) advise(delivery, text, mend string) { r.Advice = add(r.Advice, delivery, text, mend) }

// add appends a finding. It keeps one finding of each delivery and text.
func add(findings []Finding, delivery, text, mend string) []Finding {
	for _, f := range findings {
		if f.Delivery == delivery && f.Text == text {
			return findings
		}
	}
	return append(findings, Finding{Delivery: delivery, Text: text, Mend: mend})
}

// Print writes the report as text.
func (r *Report) Print(out io.Writer) {
	for _, d := range r.Deliveries {
		got := fmt.Sprintf("HTTP %d in %s", d.HTTPStatus, d.Duration)
		if d.HTTPStatus == 0 {
			got = "no answer: " + d.Error
		}
		if d.Answer != "" {
			got += fmt.Sprintf(", %s after %s", d.Answer, d.AnswerAfter)
		}
		fmt.Fprintf(out, "%-22s %s\n", d.Name, got)
	}
	printFindings(out, "fault", r.Faults)
	printFindings(out, "advice", r.Advice)
	if len(r.Faults) == 0 {
		fmt.Fprintf(out, "\nNo faults found in %d deliveries.\n", len(r.Deliveries))
	}
}

func printFindings(out io.Writer, kind string, findings []Finding) {
	for _, f := range findings {
		fmt.Fprintf(out, "\n%s: %s: %s\n  To mend it: %s\n", kind, f.Delivery, f.Text, f.Mend)
	}
}
