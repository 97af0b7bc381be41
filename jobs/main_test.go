package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"testing"

	"go.uber.org/goleak"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
	"github.com/mergegate/mergegate/webhook"
)

// childDriver and childDSN are environment variables of a child process. They
// name the database whose deliveries it sends.
const (
	childDriver = "MERGEGATE_TEST_CHILD_DRIVER"
	childDSN    = "MERGEGATE_TEST_CHILD_DSN"
)

// allowedPlans are statements that may read a whole table, with the reason.
var allowedPlans = map[string]string{
	"expires_at <= ":  "deletes sessions, one short row for each browser that is signed in, every ten minutes",
	"probe_at = CASE": "releases the leases at the start of the only process",
}

func TestMain(m *testing.M) {
	if driver := os.Getenv(childDriver); driver != "" {
		deliverAsChild(modelstest.Database{Driver: driver, DSN: os.Getenv(childDSN)})
		return
	}
	code := modelstest.MainWithPlans(m, allowedPlans)
	if code == 0 {
		// GORM's cache of prepared statements has a goroutine that never ends.
		gorm := goleak.IgnoreAnyFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1")
		if err := goleak.Find(gorm); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// deliverAsChild sends deliveries until the process is killed.
func deliverAsChild(db modelstest.Database) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	store, err := models.Open(models.Config{
		Driver: db.Driver, DSN: db.DSN, Payload: modelstest.RenderPayload, Git: modelstest.NewGit(), Sealer: modelstest.NewSealer(),
	})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	allow, err := webhook.ParseAllowList("127.0.0.0/8")
	if err != nil {
		panic(err)
	}
	NewDeliverer(store, webhook.NewClient(webhook.Options{Allow: allow}), slog.New(slog.DiscardHandler)).Run(ctx)
}
