package main

// demoHistory lists the commits of the demo project, oldest first.
var demoHistory = []demoCommit{
	{branch: "main", author: "olivia", message: "Start the ticketing API", files: map[string]string{
		"README.md": "# Ticketing API\n\nSells, changes and refunds tickets.\n\n## Run it\n\n```\ngo run ./cmd/ticketing\n```\n",
		"go.mod":    "module northwind.example/ticketing\n\ngo 1.26\n",
	}},
	{branch: "main", author: "max", message: "ticket: model a ticket and its price", files: map[string]string{
		"ticket/ticket.go": `// Package ticket knows what a ticket is.
package ticket

// Ticket is a seat on a train, sold for a price in cents.
type Ticket struct {
	ID    string
	Train string
	Seat  string
	Cents int64
}
`,
	}},
	{branch: "main", author: "dana", message: "refund: take webhooks of the acquirer\n\nThe acquirer tells us when a refund has been booked. Each call marks the\nticket as refunded.", files: map[string]string{
		"refund/webhook.go": `package refund

import (
	"encoding/json"
	"net/http"
)

// Event is what the acquirer tells us about a refund.
type Event struct {
	Reference string ` + "`json:\"reference\"`" + `
	Ticket    string ` + "`json:\"ticket\"`" + `
	Cents     int64  ` + "`json:\"cents\"`" + `
}

// Handler books the refunds that the acquirer tells us about.
func Handler(book func(Event) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var e Event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			http.Error(w, "not an event", http.StatusBadRequest)
			return
		}
		if err := book(e); err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	}
}
`,
	}},
	{branch: "release/1.0", from: "main", author: "max", message: "Release 1.0", files: map[string]string{
		"CHANGELOG.md": "# Changes\n\n## 1.0\n\n- Tickets can be sold, changed and refunded.\n",
	}},
	{branch: "main", author: "max", message: "docs: say how to run it behind a proxy", files: map[string]string{
		"README.md": "# Ticketing API\n\nSells, changes and refunds tickets.\n\n## Run it\n\n```\ngo run ./cmd/ticketing\n```\n\nBehind a proxy, set `TICKETING_BASE_URL`.\n",
	}},
	{branch: demoBranch, from: "main", author: demoAuthor, message: "refund: key events on the acquirer's reference", files: map[string]string{
		"refund/seen.go": `package refund

import "sync"

// Seen remembers the references of the events that have been booked.
type Seen struct {
	mu         sync.Mutex
	references map[string]bool
}

// First reports whether a reference has not been seen before, and remembers
// it.
func (s *Seen) First(reference string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.references == nil {
		s.references = map[string]bool{}
	}
	if s.references[reference] {
		return false
	}
	s.references[reference] = true
	return true
}
`,
	}},
	{branch: demoBranch, author: demoAuthor, message: "refund: answer repeats without side effects", files: map[string]string{
		"refund/webhook.go": `package refund

import (
	"encoding/json"
	"net/http"
)

// Event is what the acquirer tells us about a refund.
type Event struct {
	Reference string ` + "`json:\"reference\"`" + `
	Ticket    string ` + "`json:\"ticket\"`" + `
	Cents     int64  ` + "`json:\"cents\"`" + `
}

// Handler books the refunds that the acquirer tells us about, each once.
func Handler(seen *Seen, book func(Event) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var e Event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			http.Error(w, "not an event", http.StatusBadRequest)
			return
		}
		if !seen.First(e.Reference) {
			w.WriteHeader(http.StatusOK)
			return
		}
		if err := book(e); err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	}
}
`,
	}},
	{branch: "drain-queue", from: "main", author: "olivia", message: "queue: drain the old refund queue", files: map[string]string{
		"queue/drain.go": "package queue\n\n// Drain empties the old refund queue into book.\nfunc Drain(old <-chan string, book func(string)) {\n\tfor reference := range old {\n\t\tbook(reference)\n\t}\n}\n",
	}},
}
