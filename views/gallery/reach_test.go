package gallery_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// component matches the components in a template file.
var component = regexp.MustCompile(`(?m)^templ (?:\([^)]*\) )?(\w+)\(`)

// notInGallery are components without an entry. ServiceSavedView is ServiceView,
// which has entries, with two out-of-band elements.
var notInGallery = map[string]bool{"ServiceSavedView": true}

// Every component is rendered by an entry, directly or through other components. The
// calls between components are read from the Go code of package views.
func TestEntries_RenderEveryComponent(t *testing.T) {
	components := map[string]string{}
	for _, name := range files(t, "../*.templ") {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range component.FindAllStringSubmatch(string(source), -1) {
			components[found[1]] = filepath.Base(name)
		}
	}
	calls := map[string][]string{} // by function of package views
	for _, name := range files(t, "../*.go") {
		for _, decl := range parse(t, name).Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Body != nil {
				calls[f.Name.Name] = append(calls[f.Name.Name], names(f.Body)...)
			}
		}
	}
	var next []string
	for _, name := range files(t, "*.go") {
		ast.Inspect(parse(t, name), func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				next = append(next, s.Sel.Name)
			}
			return true
		})
	}
	drawn := map[string]bool{}
	for len(next) > 0 {
		name := next[len(next)-1]
		next = next[:len(next)-1]
		if !drawn[name] {
			drawn[name] = true
			next = append(next, calls[name]...)
		}
	}
	if len(components) < 50 {
		t.Fatalf("only %d components were found in the templates", len(components))
	}
	for name, file := range components {
		if !drawn[name] && !notInGallery[name] {
			t.Errorf("no entry renders %s of %s", name, file)
		}
	}
}

// files returns the files that match, without tests.
func files(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("no file %s: %v", pattern, err)
	}
	var kept []string
	for _, name := range found {
		if !strings.HasSuffix(name, "_test.go") {
			kept = append(kept, name)
		}
	}
	return kept
}

func parse(t *testing.T, name string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// names returns all identifiers inside a node.
func names(n ast.Node) (all []string) {
	ast.Inspect(n, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			all = append(all, id.Name)
		}
		return true
	})
	return all
}
