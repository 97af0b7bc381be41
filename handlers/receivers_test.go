package handlers

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The programs in the form of a service compile. TestReceiver in apiv4 runs one.
func TestReceivers_Compile(t *testing.T) {
	dir := t.TempDir()
	for _, r := range Receivers("https://git.example.test", 9) {
		if !strings.Contains(r.Code, "https://git.example.test/api/v4/projects/9/merge_requests/") || strings.Contains(r.Code, "__") && r.ID != "python" {
			t.Errorf("%s: the address is not filled in", r.Language)
		}
		name := filepath.Join(dir, map[string]string{"go": "main.go", "python": "receiver.py", "node": "receiver.mjs", "shell": "receiver.sh"}[r.ID])
		if err := os.WriteFile(name, []byte(r.Code), 0o600); err != nil {
			t.Fatal(err)
		}
		command := map[string][]string{
			"go": {"go", "vet", name}, "python": {"python3", "-m", "py_compile", name}, "node": {"node", "--check", name}, "shell": {"sh", "-n", name},
		}[r.ID]
		if r.ID == "go" {
			if _, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution); err != nil {
				t.Error(err)
			}
		}
		if output, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", r.Language, err, output)
		}
	}
}
