package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// NOTICE names every module that is linked into the program.
func TestNotice_NamesEveryModule(t *testing.T) {
	notice, err := os.ReadFile("../../NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", ".")
	list.Env = append(os.Environ(), "CGO_ENABLED=0")
	modules, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range strings.Fields(string(modules)) {
		if !strings.Contains(string(notice), "\n  "+module+"\n") {
			t.Errorf("NOTICE does not name %s, its copyright and its licence", module)
		}
	}
}
