//go:build dist

package deploy_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemas loads CycloneDX's schemas from the module of its Go library.
type schemas struct{ dir string }

func (s schemas) Load(url string) (any, error) {
	name := strings.Replace(filepath.Base(url), "jsf-0.82.schema.json", "jsf-0.82.schemax.json", 1)
	content, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(content))
}

// Each SBOM in ../dist is valid CycloneDX 1.6 and names every module that is
// linked into the binary of its architecture.
func TestSBOM_IsValidAndComplete(t *testing.T) {
	list := exec.Command("go", "list", "-modfile=tools/go.mod", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go")
	list.Dir, list.Stderr = ".", os.Stderr
	dir, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(schemas{filepath.Join(strings.TrimSpace(string(dir)), "schema")})
	schema, err := compiler.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		paths, err := filepath.Glob("../dist/*-linux-" + arch + ".cdx.json")
		if err != nil || len(paths) != 1 {
			t.Fatalf("SBOMs for %s: %v, %v", arch, paths, err)
		}
		content, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", paths[0], err)
		}
		var sbom struct {
			Components []struct{ Name, Version string }
		}
		if err := json.Unmarshal(content, &sbom); err != nil {
			t.Fatal(err)
		}
		listed := map[string]bool{}
		for _, c := range sbom.Components {
			listed[c.Name+" "+c.Version] = true
		}
		binary := strings.TrimSuffix(paths[0], ".cdx.json")
		unpack := exec.Command("tar", "-xzf", binary+".tar.gz", "-C", t.TempDir(), "--strip-components=1")
		if out, err := unpack.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		info, err := exec.Command("go", "version", "-m", filepath.Join(unpack.Args[4], "mergegate")).Output()
		if err != nil {
			t.Fatal(err)
		}
		modules := 0
		for line := range strings.Lines(string(info)) {
			if fields := strings.Fields(line); fields[0] == "dep" {
				modules++
				if !listed[fields[1]+" "+fields[2]] {
					t.Errorf("%s does not name %s %s", paths[0], fields[1], fields[2])
				}
			}
		}
		if modules < 20 {
			t.Errorf("only %d modules in the binary", modules)
		}
	}
}
