// Package doctor examines an installation: settings, database, git, folders, secrets,
// repositories, the base URL, services and access tokens. It changes nothing and works
// beside a running server. Start with Run.
package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/webhook"
)

// State is the result of one examination.
type State string

// The states. Only faults make the report fail.
const (
	OK      State = "ok"
	Warning State = "warning"
	Fault   State = "fault"
)

// Finding is a result: one sentence, and what to do unless it is OK.
type Finding struct {
	Area    string `json:"area"`
	State   State  `json:"state"`
	Message string `json:"message"`
	Help    string `json:"help,omitempty"`
}

// Report is what Run found.
type Report struct {
	Version  string    `json:"version"`
	Time     time.Time `json:"time"`
	Faults   int       `json:"faults"`
	Warnings int       `json:"warnings"`
	Findings []Finding `json:"findings"`
}

// Options describe the installation.
type Options struct {
	Version string
	// Settings are the faults of the settings. If there are any, nothing else is
	// examined, because the rest of Options may be wrong.
	Settings []string
	// BaseURL is the address under which people reach the server.
	BaseURL string
	// Data is the data folder; it has a folder named repositories.
	Data string
	// Driver and DSN are those of models.Config, DatabaseConnections its MaxConns.
	Driver, DSN         string
	DatabaseConnections int
	// Sealer opens stored secrets; nil if there is no secret key yet.
	Sealer models.Sealer
	// Allow lists what deliveries may reach besides the public internet.
	Allow webhook.AllowList
	// Serving reports whether a server uses the data folder. It is unknown on
	// PostgreSQL, where it is nil.
	Serving *bool
	// HTTP asks the base URL; nil uses a client with a time limit.
	HTTP *http.Client
	// Now is the clock; nil uses time.Now.
	Now func() time.Time
}

// examination collects findings.
type examination struct {
	Options
	report *Report
	store  *models.Store
	repos  *gitrepo.Store
}

func (e *examination) add(area string, state State, help, message string, args ...any) {
	e.report.Findings = append(e.report.Findings, Finding{Area: area, State: state, Message: fmt.Sprintf(message, args...), Help: help})
	switch state {
	case Fault:
		e.report.Faults++
	case Warning:
		e.report.Warnings++
	}
}

func (e *examination) ok(area, message string, args ...any) { e.add(area, OK, "", message, args...) }

// Run examines everything. An examination that needs a failed one is left out.
func Run(ctx context.Context, o Options) Report {
	if o.Now == nil {
		o.Now = time.Now
	}
	report := Report{Version: o.Version, Time: o.Now().UTC().Truncate(time.Second)}
	e := &examination{Options: o, report: &report}
	if len(o.Settings) > 0 {
		for _, fault := range o.Settings {
			e.add("settings", Fault, "Change the environment variable. README.md lists all settings.", "%s.", strings.TrimSuffix(fault, "."))
		}
		return report
	}
	e.ok("settings", "All settings are valid.")
	e.git()
	e.folders()
	if e.database(ctx) {
		defer e.store.Close()
		e.secrets(ctx)
		e.repositories(ctx)
		e.tokens(ctx)
		e.services(ctx)
	}
	e.baseURL(ctx)
	return report
}

// Print writes the report as text: faults and warnings with their ways out.
func (r Report) Print(out io.Writer) error {
	var text strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&text, "%-8s %-13s %s\n", f.State, f.Area, f.Message)
		if f.Help != "" {
			fmt.Fprintf(&text, "%-22s → %s\n", "", f.Help)
		}
	}
	fmt.Fprintf(&text, "%s, %s.\n", count(r.Faults, "fault"), count(r.Warnings, "warning"))
	_, err := io.WriteString(out, text.String())
	return err
}

// PrintJSON writes the report as JSON.
func (r Report) PrintJSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// count returns a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprint(n, " ", noun, "s")
}

// list joins texts and says how many more there are.
func list(texts []string, total int) string {
	joined := strings.Join(texts, ", ")
	if more := total - len(texts); more > 0 {
		joined += fmt.Sprintf(" and %d more", more)
	}
	return joined
}

// maxListed is how many names a sentence lists.
const maxListed = 10
