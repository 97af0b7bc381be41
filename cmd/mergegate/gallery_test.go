package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestGallery_NeedsNoSettings(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"gallery", "127.0.0.1:0"}, w) }()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := strings.TrimPrefix(strings.TrimSpace(line), "Gallery: ")
	response, err := http.Get(url + "/gallery/widget_mixed")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), "Load test gate") {
		t.Errorf("%d, %v", response.StatusCode, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the command ended with %v", err)
	}
}

// Every command prints help, and rejects unknown arguments before it does anything.
func TestCommands_HelpAndInvalidArguments(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("MERGEGATE_DATA", filepath.Join(dir, "data"))
	for _, command := range [][]string{
		{"serve"}, {"demo"}, {"demo-service"}, {"migrate"}, {"user"}, {"user", "create"}, {"user", "password"}, {"gallery"},
		{"settings"}, {"healthcheck"}, {"completion"}, {"manual"}, {"version"}, {"help"}, {},
	} {
		for _, help := range []string{"-h", "--help"} {
			var out strings.Builder
			if err := run(t.Context(), append(slices.Clone(command), help), &out); err != nil || !strings.HasPrefix(out.String(), "Usage: mergegate ") {
				t.Errorf("%v %s: %v, %q", command, help, err, out.String())
			}
		}
		if len(command) == 1 && command[0] == "help" {
			continue
		}
		var out strings.Builder
		if err := run(t.Context(), append(slices.Clone(command), "--colour"), &out); !errors.Is(err, errUsage) || out.Len() > 0 {
			t.Errorf("%v with an unknown option: %v, %q", command, err, out.String())
		}
		if made, err := os.ReadDir(dir); err != nil || len(made) > 0 {
			t.Fatalf("%v has made %v, %v", command, made, err)
		}
	}
	if err := run(t.Context(), []string{"gallery", "a", "b"}, io.Discard); !errors.Is(err, errUsage) {
		t.Errorf("two addresses: %v", err)
	}
}
