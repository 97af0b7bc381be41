package main

import (
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models/modelstest"
)

// Two instances share PostgreSQL and the data folder. The hooks of a push call the
// instance that received it, and each delivery is sent once.
func TestTwoInstances_SendDeliveriesOnce(t *testing.T) {
	t.Parallel()
	db := modelstest.Postgres(t)
	first := newRaceWorld(t, db)
	second := newProgram(t, db)
	second.useTestBinary()
	second.data = first.data
	for i, setting := range second.env {
		if strings.HasPrefix(setting, "MERGEGATE_DATA=") {
			second.env[i] = "MERGEGATE_DATA=" + first.data
		}
	}
	second.start(nil, "serve")
	first.await("the first event", func() bool { return len(first.service.got("open")) == 1 })
	tree := clone(t, second.url, first.project, first.api.token)
	tree.git("checkout", "-q", "feature")
	head := tree.commit("trim.txt", "by the second\n")
	tree.git("push", "-q", "origin", "feature")
	if mr := first.mergeRequest(); mr.SHA != head {
		t.Fatalf("HEAD is %s, not what was pushed through the other instance", mr.SHA)
	}
	first.await("the event", func() bool { return len(first.service.got("update")) > 0 })
	first.tree.git("pull", "-q", "origin", "feature")
	first.tree.commit("trim.txt", "by the first\n")
	first.tree.git("push", "-q", "origin", "feature")
	first.await("the second event", func() bool { return len(first.service.got("update")) == 2 })
	second.stop()
	first.stop()
	seen := map[string]bool{}
	for _, r := range first.service.got("") {
		key := r.header.Get("Idempotency-Key")
		if seen[key] {
			t.Errorf("delivery %s was sent twice", key)
		}
		seen[key] = true
	}
}
