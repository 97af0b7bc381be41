package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// runBlock matches a fenced block that begins with "```sh run", indented or not.
var runBlock = regexp.MustCompile("(?ms)^( *)```sh run\n(.*?)^ *```$")

// The commands in the documentation that are marked with "sh run" work, in the
// order of each document, against a demo.
func TestDocs_CommandsRun(t *testing.T) {
	t.Parallel()
	scripts := map[string]string{}
	for _, pattern := range []string{"../../README.md", "../../docs/*.md"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, block := range runBlock.FindAllStringSubmatch(string(content), -1) {
				scripts[filepath.Base(path)] += regexp.MustCompile("(?m)^"+block[1]).ReplaceAllString(block[2], "")
			}
		}
	}
	if len(scripts) < 3 {
		t.Fatalf("only %d documents have commands to run", len(scripts))
	}
	p := newProgram(t, modelstest.Database{Driver: models.DriverSQLite})
	p.start(nil, "demo")
	p.await("the demo", func() bool { return strings.Contains(p.output.String(), "demo.json") })
	programs := t.TempDir()
	if err := os.Symlink(p.path, filepath.Join(programs, "mergegate")); err != nil {
		t.Fatal(err)
	}
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			dir, temporary := t.TempDir(), t.TempDir()
			if err := os.Symlink(p.data, filepath.Join(dir, "data")); err != nil {
				t.Fatal(err)
			}
			script = strings.NewReplacer("localhost:8080", strings.TrimPrefix(p.url, "http://"), "/tmp/", temporary+"/").Replace(script)
			cmd := exec.Command("bash", "-euxo", "pipefail", "-c", script)
			cmd.Dir = dir
			cmd.Env = []string{"PATH=" + programs + ":" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0"}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	p.stop()
}
