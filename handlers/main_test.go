package handlers

import (
	"os"
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
)

// allowedPlans are statements that may read a whole table, with the reason.
var allowedPlans = map[string]string{
	"admin AND NOT bot AND NOT blocked":     "blocking an administrator locks all of them; there are few users",
	"FROM service_queues q WHERE q.next_at": "background work reads one short row per service, for administrators and every 10 s for metrics",
	"apply_after_id IS NOT NULL":            "counts services with an unfinished Also apply, as its recovery does",
}

func TestMain(m *testing.M) { os.Exit(browsertest.MainWithPlans(m, allowedPlans)) }
