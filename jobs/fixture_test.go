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

// patience is how long a test waits for what must come. It is below pollEvery,
// so that what only the poll would find comes too late.
const patience = pollEvery * 3 / 5

// received is a request that a receiver got.
type received struct {
	path, id string
	body     []byte
}

// receiver is a service on loopback. It answers 200 unless told otherwise.
type receiver struct {
	url string
	// requests holds every request, in order.
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

// answers sets how the receiver answers from now on.
func (r *receiver) answers(f func(w http.ResponseWriter, req *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// status answers with a status alone.
func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// next waits for the next request.
func (r *receiver) next(t testing.TB) received {
	t.Helper()
	select {
	case got := <-r.requests:
		return got
	case <-time.After(patience):
		t.Fatalf("no request within %v", patience)
		return received{}
	}
}

// none sees that nothing has been received.
func (r *receiver) none(t testing.TB) {
	t.Helper()
	select {
	case got := <-r.requests:
		t.Fatalf("unexpected request %s %s", got.path, got.body)
	default:
	}
}

// world is a store with a deliverer that may send to this machine.
type world struct {
	*modelstest.Fixture
	*Deliverer
}

func newWorld(t testing.TB, db modelstest.Database, options ...modelstest.Option) world {
	t.Helper()
	w := modelstest.New(t, db, options...)
	return world{w, NewDeliverer(w.Store, client(t), slog.New(slog.DiscardHandler))}
}

func client(t testing.TB) *webhook.Client {
	t.Helper()
	allow, err := webhook.ParseAllowList("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	return webhook.NewClient(webhook.Options{Version: "test", Allow: allow})
}

// service adds a service at a URL, with a secret unless it is empty.
func (w world) service(name, url, secret string) models.ExternalStatusCheck {
	w.T.Helper()
	check, err := w.Store.CreateExternalStatusCheck(w.T.Context(), w.Owner, w.Project.ID,
		models.ExternalStatusCheckInput{Name: name, ExternalURL: url, SharedSecret: secret}, false)
	if err != nil {
		w.T.Fatal(err)
	}
	return check
}

// edit makes an event of a merge request.
func (w world) edit(mr models.MergeRequest, title string) {
	w.T.Helper()
	_, err := w.Store.UpdateMergeRequest(w.T.Context(), w.Owner, mr.ProjectID, mr.IID, models.MergeRequestUpdate{Title: &title})
	if err != nil {
		w.T.Fatal(err)
	}
}

// DeliverOnce, for tests, makes one attempt at each delivery that is due, as far as there
// are places, waits for their ends and counts them.
func (d *Deliverer) DeliverOnce(ctx context.Context) (int, error) {
	n, _, err := d.start(ctx, ctx)
	d.running.Wait()
	return n, err
}

// deliver is DeliverOnce, with the number of attempts that must be made.
func (w world) deliver(want int) {
	w.T.Helper()
	n, err := w.DeliverOnce(w.T.Context())
	if err != nil || n != want {
		w.T.Fatalf("%d attempts, want %d (error %v)", n, want, err)
	}
}

// states lists the states of a service's deliveries, the oldest first.
func (w world) states(service models.ExternalStatusCheck) (states []models.DeliveryState) {
	w.T.Helper()
	for _, d := range w.Deliveries(service) {
		states = append(states, d.State)
	}
	return states
}

// only is the one delivery of a service, with its attempts.
func (w world) only(service models.ExternalStatusCheck) (models.Delivery, []models.DeliveryAttempt) {
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

// start runs the deliverer until stop is called, or the test ends.
func (w world) start() (stop func()) {
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

// eventually waits until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
