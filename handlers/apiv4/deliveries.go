package apiv4

import (
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/mergegate/mergegate/models"
)

// deliveryEntity is one payload to a service with its state.
type deliveryEntity struct {
	ID               int64                `json:"id"`
	UUID             string               `json:"uuid"`
	EventUUID        string               `json:"event_uuid"`
	Kind             models.DeliveryKind  `json:"kind"`
	Action           models.Action        `json:"action"`
	MergeRequestIID  *int64               `json:"merge_request_iid"`
	SHA              string               `json:"sha"`
	URL              string               `json:"url"`
	State            models.DeliveryState `json:"state"`
	SupersededReason *string              `json:"superseded_reason"`
	Attempts         int                  `json:"attempts"`
	MaxAttempts      int                  `json:"max_attempts"`
	NextAttemptAt    *timestamp           `json:"next_attempt_at"`
	LastAttemptAt    *timestamp           `json:"last_attempt_at"`
	LastHTTPStatus   *int                 `json:"last_http_status"`
	LastError        *string              `json:"last_error"`
	LastDurationMS   int64                `json:"last_duration_ms"`
	FinishedAt       *timestamp           `json:"finished_at"`
	CreatedAt        timestamp            `json:"created_at"`
}

// deliveryDetail is a delivery with its payload and all attempts.
type deliveryDetail struct {
	deliveryEntity
	Request string          `json:"request_body"`
	Tries   []attemptEntity `json:"attempt_log"`
}

type attemptEntity struct {
	Number            int           `json:"number"`
	StartedAt         timestamp     `json:"started_at"`
	DurationMS        int64         `json:"duration_ms"`
	HTTPStatus        *int          `json:"http_status"`
	Error             *string       `json:"error"`
	ErrorDetail       *string       `json:"error_detail"`
	RequestHeaders    models.Header `json:"request_headers"`
	ResponseHeaders   models.Header `json:"response_headers"`
	ResponseBody      string        `json:"response_body"`
	ResponseTruncated bool          `json:"response_truncated"`
	Timing            timingEntity  `json:"timing"`
}

// timingEntity splits the duration of an attempt, in milliseconds.
type timingEntity struct {
	DNS       float64 `json:"dns_ms"`
	Connect   float64 `json:"connect_ms"`
	TLS       float64 `json:"tls_ms"`
	FirstByte float64 `json:"first_byte_ms"`
}

func newTimingEntity(t models.Timing) timingEntity {
	return timingEntity{float64(t.DNSUS) / 1000, float64(t.ConnectUS) / 1000, float64(t.TLSUS) / 1000, float64(t.FirstByteUS) / 1000}
}

func newDeliveryEntity(d models.Delivery) deliveryEntity {
	entity := deliveryEntity{
		ID: d.ID, UUID: d.UUID, EventUUID: d.EventUUID, Kind: d.Kind, Action: d.Action, SHA: d.SHA,
		URL: models.DisplayURL(d.URL), State: d.State,
		SupersededReason: textOrNull(d.SupersededReason), Attempts: d.Attempts, MaxAttempts: models.MaxAttempts,
		LastAttemptAt: timestampOrNull(d.LastAttemptAt), LastHTTPStatus: numberOrNull(d.LastHTTPStatus),
		LastError: textOrNull(d.LastError), LastDurationMS: d.LastDurationMS, FinishedAt: timestampOrNull(d.FinishedAt),
		CreatedAt: timestamp(d.CreatedAt),
	}
	if d.MergeRequestIID != 0 {
		entity.MergeRequestIID = &d.MergeRequestIID
	}
	if d.State == models.DeliveryWaiting {
		entity.NextAttemptAt = timestampOrNull(&d.NextAttemptAt)
	}
	if d.SingleAttempt {
		entity.MaxAttempts = d.Attempts
		if d.State == models.DeliveryWaiting {
			entity.MaxAttempts++
		}
	}
	return entity
}

func newAttemptEntity(a models.DeliveryAttempt) attemptEntity {
	return attemptEntity{
		Number: a.Number, StartedAt: timestamp(a.StartedAt), DurationMS: a.DurationMS, HTTPStatus: numberOrNull(a.HTTPStatus),
		Error: textOrNull(a.Error), ErrorDetail: textOrNull(a.ErrorDetail), RequestHeaders: a.RequestHeader,
		ResponseHeaders: a.ResponseHeader, ResponseBody: readable(a.ResponseBody), ResponseTruncated: a.ResponseTruncated,
		Timing: newTimingEntity(a.Timing),
	}
}

// readable returns a body as text, or "(binary)" if it is not valid UTF-8.
func readable(body []byte) string {
	if !utf8.Valid(body) {
		return "(binary)"
	}
	return string(body)
}

func numberOrNull(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}

// serviceInPath loads the service that :check_id names.
func (c *call) serviceInPath() (models.ExternalStatusCheck, error) {
	id, err := c.pathID("check_id")
	if err != nil {
		return models.ExternalStatusCheck{}, err
	}
	return c.api.Store.ExternalStatusCheck(c.ctx(), c.access.Project.ID, id)
}

// deliveryFilter reads the filter of a list of deliveries.
func (c *call) deliveryFilter() models.DeliveryFilter {
	filter := models.DeliveryFilter{
		State: models.DeliveryState(orEmpty(c.text("state"))), Event: orEmpty(c.text("event")),
		HTTPStatus: orEmpty(c.text("http_status")), ID: orEmpty(c.text("search")),
	}
	for _, fault := range models.FieldErrorsOf(filter.Validate()) {
		c.addFault(fault.Field, "does not have a valid value")
	}
	if iid := c.number("merge_request_iid"); iid != nil {
		if filter.MergeRequestIID = *iid; *iid < 1 {
			c.addFault("merge_request_iid", "does not have a valid value")
		}
	}
	if after := c.dateTime("created_after"); after != nil {
		filter.Since = *after
	}
	if before := c.dateTime("created_before"); before != nil {
		filter.Before = *before
	}
	return filter
}

func listDeliveries(c *call) error {
	page, filter := c.keysetPage(), c.deliveryFilter()
	if err := c.paramError(); err != nil {
		return err
	}
	s, err := c.serviceInPath()
	if err != nil {
		return err
	}
	deliveries, total, err := c.api.Store.Deliveries(c.ctx(), c.access.Project.ID, s.ID, filter, page.storePage())
	if err != nil {
		return err
	}
	place := func(i int) models.Cursor { return models.Cursor{ID: deliveries[i].ID} }
	return replyKeyset(c, page, mapSlice(deliveries, newDeliveryEntity), total, place)
}

// deliveryInPath returns the service and the id of the delivery that the path names.
func (c *call) deliveryInPath() (s models.ExternalStatusCheck, id int64, err error) {
	if s, err = c.serviceInPath(); err == nil {
		id, err = c.pathID("delivery_id")
	}
	return s, id, err
}

func getDelivery(c *call) error {
	s, id, err := c.deliveryInPath()
	if err != nil {
		return err
	}
	d, attempts, err := c.api.Store.Delivery(c.ctx(), c.access.Project.ID, s.ID, id)
	if err != nil {
		return err
	}
	detail := deliveryDetail{newDeliveryEntity(d), readable(d.Payload), mapSlice(attempts, newAttemptEntity)}
	return c.reply(http.StatusOK, detail)
}

func redeliver(c *call) error {
	s, id, err := c.deliveryInPath()
	if err != nil {
		return err
	}
	d, err := c.api.Store.Redeliver(c.ctx(), c.me, c.access.Project.ID, s.ID, id)
	if err != nil {
		return err
	}
	return c.reply(http.StatusAccepted, newDeliveryEntity(d))
}

// redeliverAll sends the deliveries again that match the filter of the list, failed ones
// by default. since is another name of created_after.
func redeliverAll(c *call) error {
	filter := c.deliveryFilter()
	if since := c.dateTime("since"); since != nil {
		filter.Since = *since
	}
	switch {
	case filter == models.DeliveryFilter{} && len(c.faults) == 0:
		c.addFault("since", "is missing")
	case filter.State == "":
		filter.State = models.DeliveryFailed
	case !slices.Contains(models.RedeliverableStates, filter.State):
		c.addFault("state", "does not have a valid value")
	}
	if err := c.paramError(); err != nil {
		return err
	}
	s, err := c.serviceInPath()
	if err != nil {
		return err
	}
	queued, err := c.api.Store.RedeliverAll(c.ctx(), c.me, c.access.Project.ID, s.ID, filter)
	if err != nil {
		return err
	}
	remaining, err := c.api.Store.CountRedeliverable(c.ctx(), c.access.Project.ID, s.ID, filter)
	if err != nil {
		return err
	}
	return c.reply(http.StatusAccepted, map[string]int64{"queued": int64(queued), "remaining": remaining})
}

// sendTest sends a test delivery. It does not change any check.
func sendTest(c *call) error {
	s, err := c.serviceInPath()
	if err != nil {
		return err
	}
	d, err := c.api.Store.SendTest(c.ctx(), c.me, c.access.Project.ID, s.ID)
	if err != nil {
		return err
	}
	return c.reply(http.StatusAccepted, newDeliveryEntity(d))
}
