package handlers

import (
	"os"
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
)

// allowedPlans are statements that may read a whole table, with the reason.
var allowedPlans = map[string]string{
	"admin AND NOT bot AND NOT blocked": "blocking an administrator locks all of them; there are few users",
}

func TestMain(m *testing.M) { os.Exit(browsertest.MainWithPlans(m, allowedPlans)) }
