// Package servicecheck tests a status check service against what Mergegate sends
// and expects.
//
// [Run] plays the events of imaginary merge requests, with the payloads,
// signatures and time limits of package webhook, and serves the part of the API
// that the service answers to.
package servicecheck

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/webhook"
)

// Options of Run.
type Options struct {
	// URL is the service's address, as a maintainer would register it.
	URL string
	// Secret is the shared secret; "" sends unsigned deliveries.
	Secret string
	// Token is the access token that the service must send; "" accepts any.
	Token string
	// Listener is where the API listens. Run closes it.
	Listener net.Listener
	// AnswerWithin is how long each response may take; 0 expects no responses.
	AnswerWithin time.Duration
	// Wait is how long to wait until the service accepts connections.
	Wait time.Duration
	// Settle is how long to wait at the end for responses that must not come.
	Settle time.Duration
	// Version is Mergegate's version, for the User-Agent header.
	Version string
	// Progress gets lines about what happens; it may be io.Discard.
	Progress io.Writer
}

// checker is one run.
type checker struct {
	Options
	ctx     context.Context
	api     *api
	report  *Report
	payload func(models.Event) ([]byte, error)
	allow   webhook.AllowList
	// given is how long the next responses are waited for.
	given time.Duration
	// slowest is the longest time that a response took.
	slowest time.Duration
	// expected are the deliveries whose responses have not been awaited yet.
	expected []*sent
	// forbidden are the responses that must not come.
	forbidden []forbidden
	nextIID   int64
	// err is the first error that ended the run. Later deliveries are not sent.
	err error
}

// sent is a delivery that was sent.
type sent struct {
	delivery *Delivery
	event    models.Event
	key      string
	payload  []byte
	begin    time.Time
}

// Run checks a service. An error means that the check could not run: an invalid
// URL, no connection to the service, or the end of ctx.
func Run(ctx context.Context, o Options) (*Report, error) {
	defer o.Listener.Close()
	target, err := url.Parse(o.URL)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return nil, fmt.Errorf("the URL of the service must be absolute, with http or https: %q", o.URL)
	}
	// The author chose the service, so its host is allowed, as by an operator.
	allow, err := webhook.ParseAllowList(target.Host)
	if err != nil {
		return nil, err
	}
	report := &Report{Service: target.Redacted(), API: "http://" + o.Listener.Addr().String(), Faults: []Finding{}, Advice: []Finding{}}
	c := &checker{
		Options: o, ctx: ctx, api: newAPI(o.Token, report), report: report, payload: webhook.Payload(report.API), allow: allow, given: o.AnswerWithin,
	}
	server := &http.Server{Handler: c.api.handler(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(o.Listener)
	}()
	defer func() {
		server.Close()
		<-served
	}()

	fmt.Fprintf(o.Progress, "The service must send its responses to %s\n", report.API)
	if err := c.waitForService(target); err != nil {
		return nil, err
	}
	if err := c.play(); err != nil {
		return nil, err
	}
	return c.finish(), nil
}

// waitForService waits until the service accepts connections.
func (c *checker) waitForService(target *url.URL) error {
	address := target.Host
	if target.Port() == "" {
		address = net.JoinHostPort(target.Hostname(), map[string]string{"http": "80", "https": "443"}[target.Scheme])
	}
	for end := time.Now().Add(c.Wait); ; {
		dialer := net.Dialer{Timeout: 5 * time.Second}
		conn, err := dialer.DialContext(c.ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(end) {
			return fmt.Errorf("the service does not accept connections: %w", err)
		}
		select {
		case <-c.ctx.Done():
			return c.ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// newMergeRequest returns the open event of a merge request that was not used
// before.
func (c *checker) newMergeRequest() models.Event {
	c.nextIID++
	return c.event(c.nextIID, "first", models.ActionOpen)
}

// event returns an event of a merge request at one of its commits.
func (c *checker) event(iid int64, commit string, action models.Action) models.Event {
	return event(c.URL, iid, sha(fmt.Sprint(iid, commit)), action, time.Now())
}

// how says how to send a delivery in another way than Mergegate does.
type how struct {
	secret string
	// age is how old the delivery claims to be.
	age    time.Duration
	modify func(*http.Request)
	// key is the Idempotency-Key of a repeat.
	key string
	// stale leaves HEAD where it is, because the event is an old one.
	stale bool
	// payload changes the body before it is signed.
	payload func([]byte) ([]byte, error)
}

// send sends the delivery of an event. It always returns a delivery, and sets
// c.err if the run cannot go on.
func (c *checker) send(name string, e models.Event, h how) *sent {
	s := &sent{delivery: &Delivery{Name: name}, event: e, key: h.key, begin: time.Now()}
	if c.err != nil {
		return s
	}
	if !h.stale {
		c.api.setHead(e)
	}
	e.UUID = uuid.NewString()
	if s.key == "" {
		s.key = uuid.NewString()
	}
	if s.payload, c.err = c.payload(e); c.err == nil && h.payload != nil {
		s.payload, c.err = h.payload(s.payload)
	}
	if c.err != nil {
		return s
	}
	at := s.begin
	if h.age != 0 {
		at = at.Add(-h.age)
	}
	client := webhook.NewClient(webhook.Options{Version: c.Version, Allow: c.allow, Modify: h.modify})
	result := client.Send(c.ctx, models.ClaimedDelivery{
		Delivery: models.Delivery{UUID: s.key, EventUUID: e.UUID, URL: c.URL, Payload: s.payload}, Secret: h.secret,
	}, at)
	if c.err = c.ctx.Err(); c.err != nil {
		return s
	}
	s.delivery.HTTPStatus, s.delivery.Error, s.delivery.Duration = result.HTTPStatus, result.ErrorDetail, Millis(result.Duration)
	c.report.Deliveries = append(c.report.Deliveries, s.delivery)
	fmt.Fprintf(c.Progress, "sent %s\n", name)
	return s
}
