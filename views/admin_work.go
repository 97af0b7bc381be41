package views

import (
	"slices"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// AdminWork is the page of background work. Counts end at Limit + 1, which is shown as
// more than Limit.
type AdminWork struct {
	Waiting, InFlight, OpenBreakers int
	Limit                           int
	// LateSince is since when a delivery has been due, nil if none is.
	LateSince *time.Time
	Services  []AdminQueue
	// MoreServices reports whether there are services beyond Services.
	MoreServices bool
	Recoveries   []AdminRecovery
	Now          time.Time
}

// AdminQueue is the queue of a service.
type AdminQueue struct {
	ServiceID         int64
	Name, URL         string
	ProjectPath       string
	Waiting, InFlight int
	DueSince          *time.Time
	Breaker           Breaker
}

// AdminRecovery counts unfinished operations of a kind.
type AdminRecovery struct {
	Kind   string
	Name   text.Key
	Count  int
	Oldest *time.Time
	// Running reports whether Retry now is in progress, and Failed whether its last run failed.
	Running, Failed bool
}

// recoveriesPoll lets the list of unfinished operations poll while Retry now is in progress.
func (v AdminWork) recoveriesPoll() templ.Attributes {
	if !slices.ContainsFunc(v.Recoveries, func(r AdminRecovery) bool { return r.Running }) {
		return nil
	}
	return templ.Attributes{
		"hx-get": "/admin/background_work", "hx-trigger": "every 2s", "hx-target": "#recoveries", "hx-select": "#recoveries", "hx-swap": "outerHTML", "hx-sync": "this:drop",
	}
}

// count formats a bounded number, such as "64" or "10,000+".
func (v AdminWork) count(n int) string {
	return PageLinks{Total: min(n, v.Limit), More: n > v.Limit}.total()
}

// AdminProjects is the list of all projects.
type AdminProjects struct {
	Rows   []AdminProjectRow
	Pages  PageLinks
	Search string
	Now    time.Time
}

// AdminProjectRow is a project.
type AdminProjectRow struct {
	ID         int64
	Path, Name string
	Visibility string
	// Size is such as "1.2 MiB", empty if it cannot be read.
	Size         string
	LastActivity time.Time
}

// AdminNamespaces is the list of namespaces that belong to no user.
type AdminNamespaces struct {
	Rows   []AdminNamespaceRow
	Pages  PageLinks
	Search string
}

// AdminNamespaceRow is a namespace. More reports whether it has more than Projects.
type AdminNamespaceRow struct {
	ID        int64
	Path      string
	Projects  int
	More      bool
	CreatedAt time.Time
}

func (r AdminNamespaceRow) projects() string {
	return PageLinks{Total: r.Projects, More: r.More}.total()
}

// ByteSize formats a number of bytes, such as "1.2 MiB".
func ByteSize(n int64) string {
	const step = 1024
	if n < step {
		return strconv.FormatInt(n, 10) + " B"
	}
	value, unit := float64(n)/step, 0
	for value >= step && unit < 3 {
		value, unit = value/step, unit+1
	}
	digits := 1
	if value >= 100 {
		digits = 0
	}
	return strconv.FormatFloat(value, 'f', digits, 64) + " " + [...]string{"KiB", "MiB", "GiB", "TiB"}[unit]
}
