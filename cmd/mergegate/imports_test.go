package main_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/mergegate/mergegate/"

// importRules lists, for each package, which of our packages it may import and
// which libraries it must not import. All are regular expressions that match
// whole paths; the first rule whose name matches counts. A package without a
// rule fails the test.
var importRules = []struct{ name, may, never string }{
	{`models`, ``, `net/http|.*/echo/.*|.*/templ`},
	{`views/text`, ``, `gorm\.io/.*|.*/echo/.*|.*/templ`},
	{`views`, `static|views/text`, `gorm\.io/.*|.*/echo/.*`},
	{`views/gallery`, `static|views|views/text`, `gorm\.io/.*|.*/echo/.*`},
	{`static|gitrepo`, ``, `gorm\.io/.*|.*/echo/.*`},
	{`migrations`, ``, `gorm\.io/.*`},
	{`auth`, `models`, `net/http|gorm\.io/.*|.*/echo/.*`},
	{`webhook`, `models`, `gorm\.io/.*|.*/echo/.*`},
	{`webhook/badreceivers`, ``, `gorm\.io/.*|.*/echo/.*`},
	{`jobs`, `models`, `net/http|gorm\.io/.*|.*/echo/.*`},
	{`handlers/request`, `auth|models`, `gorm\.io/.*`},
	{`handlers/apiv4`, `handlers/request|auth|models|webhook|gitrepo`, `gorm\.io/.*`},
	{`handlers(/.*)?`, `models|views|views/text|static|auth|webhook|gitrepo|handlers/.*`, `gorm\.io/.*`},
	{`docs`, `auth|models`, `gorm\.io/.*|.*/echo/.*`},
	{`deploy|docs/examples(/.*)?`, ``, `gorm\.io/.*|.*/echo/.*`},
	{`cmd/.*|models/modelstest(/.*)?`, `.*`, `gorm\.io/.*`},
}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "../../...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		checkImports(t, strings.TrimPrefix(p.ImportPath, module), p.Imports)
	}
}

func checkImports(t *testing.T, name string, imports []string) {
	for _, r := range importRules {
		if !matchesWhole(r.name, name) {
			continue
		}
		for _, path := range imports {
			ours, isOurs := strings.CutPrefix(path, module)
			forbidden := isOurs && !matchesWhole(r.may, ours) || !isOurs && matchesWhole(r.never, path)
			if forbidden {
				t.Errorf("%s must not import %s", name, path)
			}
		}
		return
	}
	t.Errorf("%s has no import rule: add one to importRules", name)
}

func matchesWhole(pattern, s string) bool {
	return regexp.MustCompile(`^(` + pattern + `)$`).MatchString(s)
}

func TestImports_OnlyStoreFilesOfModelsUseGORM(t *testing.T) {
	files, err := filepath.Glob("../../models/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("list the files of models: found %d, error %v", len(files), err)
	}
	for _, file := range files {
		if matchesWhole(`.*/(store|.*_store|.*_test)\.go`, file) {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range source.Imports {
			if strings.Contains(spec.Path.Value, "gorm.io/") {
				t.Errorf("%s imports %s; only store.go and *_store.go may", file, spec.Path.Value)
			}
		}
	}
}

// TestImports_HandlersUseOnlyValuesOfGitrepo checks that pages and API read
// repositories through gitrepo.Reader and never run git themselves.
func TestImports_HandlersUseOnlyValuesOfGitrepo(t *testing.T) {
	forbidden := map[string]bool{"New": true, "Options": true, "Repo": true, "Store": true}
	files, err := filepath.Glob("../../handlers/*.go")
	if err != nil {
		t.Fatal(err)
	}
	ofAPI, err := filepath.Glob("../../handlers/apiv4/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, ofAPI...) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(source, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := selector.X.(*ast.Ident); ok && x.Name == "gitrepo" && forbidden[selector.Sel.Name] {
				t.Errorf("%s uses gitrepo.%s; use gitrepo.Reader", file, selector.Sel.Name)
			}
			return true
		})
	}
}
