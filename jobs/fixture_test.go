package jobs

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
	"github.com/mergegate/mergegate/webhook"
)

// waitLimit is how long a test waits for a condition. It is below pollEvery, so
// a test fails if only the poll would find a delivery.
const waitLimit = pollEvery * 9 / 10

// received is a request that a receiver got.
type received struct {
	path, id string
	body     []byte
}

// receiver is a service on loopback. It answers 200 unless respond sets another
// answer.
type receiver struct {
	url string
	// requests holds the requests in order of arrival.
	requests chan received

	mu     sync.Mutex
	answer func(w http.ResponseWriter, r *http.Request)
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{requests: make(chan received, 1000)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		answer := r.answer
		r.mu.Unlock()
		r.requests <- received{path: req.URL.Path, id: req.Header.Get("Idempotency-Key"), body: body}
		if answer != nil {
			answer(w, req)
		}
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// respond sets how the receiver answers from now on; nil resets it.
func (r *receiver) respond(f func(w http.ResponseWriter, req *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// status returns a handler that answers with a status and an empty body.
func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// next waits for the next request and returns it.
func (r *receiver) next(t testing.TB) received {
	t.Helper()
	return r.nextWithin(t, waitLimit)
}

// nextWithin is next with another limit than waitLimit.
func (r *receiver) nextWithin(t testing.TB, limit time.Duration) received {
	t.Helper()
	select {
	case got := <-r.requests:
		return got
	case <-time.After(limit):
		t.Fatalf("no request within %v", limit)
		return received{}
	}
}

// assertNoRequest fails if an unread request has been received.
func (r *receiver) assertNoRequest(t testing.TB) {
	t.Helper()
	select {
	case got := <-r.requests:
		t.Fatalf("unexpected request %s %s", got.path, got.body)
	default:
	}
}

// fixture is a store with a deliverer that may send to loopback addresses.
type fixture struct {
	*modelstest.Fixture
	*Deliverer
}

func newFixture(t testing.TB, db modelstest.Database, options ...modelstest.Option) fixture {
	t.Helper()
	w := modelstest.New(t, db, options...)
	return fixture{w, NewDeliverer(w.Store, client(t), slog.New(slog.DiscardHandler))}
}

func client(t testing.TB) *webhook.Client {
	t.Helper()
	allow, err := webhook.ParseAllowList("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	return webhook.NewClient(webhook.Options{Version: "test", Allow: allow})
}

// service creates a service; an empty secret means none.
func (w fixture) service(name, url, secret string) models.ExternalStatusCheck {
	w.T.Helper()
	service, err := w.Store.CreateExternalStatusCheck(w.T.Context(), w.Owner, w.Project.ID,
		models.ExternalStatusCheckInput{Name: name, ExternalURL: url, SharedSecret: secret}, false)
	if err != nil {
		w.T.Fatal(err)
	}
	return service
}

// edit changes the title of a merge request, which records an event.
func (w fixture) edit(mr models.MergeRequest, title string) {
	w.T.Helper()
	_, err := w.Store.UpdateMergeRequest(w.T.Context(), w.Owner, mr.ProjectID, mr.IID, models.MergeRequestUpdate{Title: &title})
	if err != nil {
		w.T.Fatal(err)
	}
}

// deliverOnce makes one attempt at each delivery that is due, within the limits,
// waits until they have ended, and returns their number.
func (d *Deliverer) deliverOnce(ctx context.Context) (int, error) {
	n, _, err := d.startDue(ctx, ctx)
	d.running.Wait()
	return n, err
}

// deliver calls deliverOnce and fails unless it made the wanted number of attempts.
func (w fixture) deliver(want int) {
	w.T.Helper()
	n, err := w.deliverOnce(w.T.Context())
	if err != nil || n != want {
		w.T.Fatalf("%d attempts, want %d (error %v)", n, want, err)
	}
}

// states returns the states of a service's deliveries, oldest first.
func (w fixture) states(service models.ExternalStatusCheck) (states []models.DeliveryState) {
	w.T.Helper()
	for _, d := range w.Deliveries(service) {
		states = append(states, d.State)
	}
	return states
}

// singleDelivery returns the only delivery of a service, with its attempts.
func (w fixture) singleDelivery(service models.ExternalStatusCheck) (models.Delivery, []models.DeliveryAttempt) {
	w.T.Helper()
	list := w.Deliveries(service)
	if len(list) != 1 {
		w.T.Fatalf("%d deliveries, want one", len(list))
	}
	d, attempts, err := w.Store.Delivery(w.T.Context(), service.ProjectID, service.ID, list[0].ID)
	if err != nil {
		w.T.Fatal(err)
	}
	return d, attempts
}

// start runs the deliverer until stop is called or the test ends.
func (w fixture) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	w.T.Cleanup(stop)
	return stop
}

// eventually waits until condition returns true, at most waitLimit.
func eventually(t testing.TB, description string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(waitLimit); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", waitLimit, description)
		}
	}
}
