package main

import (
	"testing"

	"github.com/mergegate/mergegate/models/modelstest"
)

func TestRun_ReturnsTheExitCode(t *testing.T) {
	t.Setenv(modelstest.DSNVariable, "postgres://given.example/x") // no server is started
	for command, want := range map[string]int{
		"exit 0": 0,
		"exit 3": 3,
		`test "$MERGEGATE_TEST_POSTGRES_DSN" = postgres://given.example/x`: 0,
	} {
		if code, err := run(modelstest.StartServer, []string{"sh", "-c", command}); code != want || err != nil {
			t.Errorf("%s: code %d, %v; want %d", command, code, err, want)
		}
	}
	if code, err := run(modelstest.StartServer, []string{"/does/not/exist"}); code != 1 || err == nil {
		t.Errorf("a missing command: code %d, %v; want 1 and an error", code, err)
	}
}
