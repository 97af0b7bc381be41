package views

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/a-h/templ"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fingerprint is the part of an asset's address that changes with its content.
var fingerprint = regexp.MustCompile(`(/assets/[a-z.]+)-[0-9a-f]{16}`)

// golden holds what c draws, of a whole page its main element, against
// testdata/<name>.golden.html, one tag per line; `go test ./views -update` writes the file anew.
func golden(t *testing.T, name string, c templ.Component) {
	t.Helper()
	var out strings.Builder
	if err := c.Render(context.Background(), &out); err != nil {
		t.Fatalf("render: %v", err)
	}
	html := out.String()
	if _, main, found := strings.Cut(html, `<main`); found {
		main, _, _ = strings.Cut(main, "</main>")
		html = "<main" + main + "</main>"
	}
	got := strings.ReplaceAll(fingerprint.ReplaceAllString(html, "$1"), "><", ">\n<") + "\n"
	file := filepath.Join("testdata", name+".golden.html")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}
