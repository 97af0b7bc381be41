package models_test

import (
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// Addresses of one IPv6 /64 count as one client, and other clients do not count against
// it.
func TestCountSignInAttempt_PerAccountAndNetwork(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		try := func(account, address string) bool {
			ok, err := w.Store.CountSignInAttempt(t.Context(), account, address)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		for range models.MaxSignInsPerAccount {
			if !try("olga", "2001:db8::1") {
				t.Fatal("refused within the limit")
			}
		}
		for _, address := range []string{"2001:db8::1", "2001:db8::2:3", "2001:db8::ffff:1"} {
			if try("OLGA", address) {
				t.Errorf("%s may try again", address)
			}
		}
		for _, address := range []string{"2001:db8:0:1::1", "192.0.2.1", "::ffff:192.0.2.2", "not an address"} {
			if !try("olga", address) {
				t.Errorf("%s may not try", address)
			}
		}
		if !try("jonas", "2001:db8::1") {
			t.Error("another account is limited too")
		}
		if err := w.Store.ResetSignInAttempts(t.Context(), "olga", "2001:db8::9"); err != nil {
			t.Fatal(err)
		}
		if !try("olga", "2001:db8::1") {
			t.Error("the counter was not reset")
		}
	})
}
