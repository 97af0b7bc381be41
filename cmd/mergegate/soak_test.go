package main

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// soakTime names the environment variable with the duration of TestSoak. `make soak`
// sets it.
const soakTime = "MERGEGATE_TEST_SOAK_TIME"

// TestSoak repeats all kinds of fault with new seeds until the time is over, and
// checks the invariants after each round. It runs only if its time is set.
func TestSoak(t *testing.T) {
	setting := os.Getenv(soakTime)
	if setting == "" {
		t.Skip("make soak runs this test")
	}
	limit, err := time.ParseDuration(setting)
	if err != nil {
		t.Fatalf("%s: %v", soakTime, err)
	}
	var total tally
	began := time.Now()
	each := min(limit/time.Duration(len(faultKinds)), time.Minute)
	for seed := uint64(began.Unix()); !t.Failed() && time.Since(began) < limit; seed++ {
		for _, kind := range faultKinds {
			left := limit - time.Since(began)
			if t.Failed() || left < time.Second {
				break
			}
			t.Run(fmt.Sprintf("%s, seed %d", kind.name, seed), func(t *testing.T) {
				total.add(kind.check(t, min(each, left), 1, seed))
			})
		}
	}
	verdict := "no invariant was violated"
	if t.Failed() {
		verdict = "AN INVARIANT WAS VIOLATED"
	}
	fmt.Printf("soak of %v: %s\n%s\n", time.Since(began).Round(time.Second), verdict, total)
}
