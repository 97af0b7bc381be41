package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// A restore that is killed at any instant can be repeated.
func TestRestore_Killed_CanBeRepeated(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		w := newWorld(t, db)
		path := w.backup()
		empty := emptySQLite
		if db.Driver == models.DriverPostgres {
			empty = modelstest.EmptyPostgres
		}
		q := newProgram(t, empty(t))
		q.env = append(q.env, "MERGEGATE_SECRET_KEY="+w.secretKey())
		for delay, done := 10*time.Millisecond, false; !done; delay += 15 * time.Millisecond {
			var output bytes.Buffer
			cmd := exec.Command(q.path, "restore", path)
			cmd.Env, cmd.Stdout, cmd.Stderr = q.env, &output, &output
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			kill := time.AfterFunc(delay, func() { _ = cmd.Process.Kill() })
			err := cmd.Wait()
			kill.Stop()
			switch {
			case err == nil, strings.Contains(output.String(), "A restore needs an empty"): // killed just after the last step
				done = true
			case !cmd.ProcessState.Sys().(interface{ Signaled() bool }).Signaled():
				t.Fatalf("a restore after a killed one: %v\n%s", err, &output)
			}
		}
		if diff := cmp.Diff(readBackup(t, path), readBackup(t, q.backup())); diff != "" {
			t.Error(diff)
		}
	})
}
