package main_test

import (
	"encoding/json"
	"errors"
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

// rooms says which packages of ours a package may import and which libraries
// it must never import, both as regular expressions for whole paths. A package
// that no room matches fails the test.
var rooms = []struct{ room, may, never string }{
	{`models`, ``, `net/http|.*/echo/.*|.*/templ`},
	{`views/text`, ``, `gorm\.io/.*|.*/echo/.*|.*/templ`},
	{`views`, `static|views/text`, `gorm\.io/.*|.*/echo/.*`},
	{`views/gallery`, `static|views|views/text`, `gorm\.io/.*|.*/echo/.*`},
	{`static|gitrepo`, ``, `gorm\.io/.*|.*/echo/.*`},
	{`migrations`, ``, `gorm\.io/.*`},
	{`auth`, `models`, `net/http|gorm\.io/.*|.*/echo/.*`},
	{`webhook`, `models`, `gorm\.io/.*|.*/echo/.*`},
	{`jobs`, `models`, `net/http|gorm\.io/.*|.*/echo/.*`},
	{`handlers/request`, `auth|models`, `gorm\.io/.*`},
	{`handlers/apiv4`, `handlers/request|auth|models|webhook|gitrepo`, `gorm\.io/.*`},
	{`handlers(/.*)?`, `models|views|views/text|static|auth|webhook|gitrepo|handlers/.*`, `gorm\.io/.*`},
	{`docs/examples(/.*)?`, ``, `gorm\.io/.*|.*/echo/.*`},
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
	for _, r := range rooms {
		if !whole(r.room, name) {
			continue
		}
		for _, path := range imports {
			ours, isOurs := strings.CutPrefix(path, module)
			forbidden := isOurs && !whole(r.may, ours) || !isOurs && whole(r.never, path)
			if forbidden {
				t.Errorf("%s must not import %s", name, path)
			}
		}
		return
	}
	t.Errorf("%s is a new room: say in this test what it may import", name)
}

func whole(pattern, s string) bool {
	return regexp.MustCompile(`^(` + pattern + `)$`).MatchString(s)
}

// The domain's rules stay free of the database: only its stores know GORM.
func TestOnlyStoresImportGORM(t *testing.T) {
	files, err := filepath.Glob("../../models/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files of models: %v", err)
	}
	for _, file := range files {
		if whole(`.*/(store|.*_store|.*_test)\.go`, file) {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range source.Imports {
			if strings.Contains(spec.Path.Value, "gorm.io/") {
				t.Errorf("%s imports %s: only *_store.go and store.go may", file, spec.Path.Value)
			}
		}
	}
}
