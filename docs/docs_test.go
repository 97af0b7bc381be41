// Package docs_test checks the documentation: links, tables and messages.
package docs_test

import (
	"bytes"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

// document is a parsed Markdown file.
type document struct {
	links   []string
	anchors map[string]bool
}

// parseDocument parses a Markdown file. Its anchors are those that code hosts give
// to headings.
func parseDocument(t *testing.T, path string) document {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := document{anchors: map[string]bool{}}
	tree := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	err = ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			d.links = append(d.links, string(n.Destination))
		case *ast.Image:
			d.links = append(d.links, string(n.Destination))
		case *ast.Heading:
			d.anchors[anchorOf(plainText(n, source))] = true
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// plainText returns the text of a node without its markup.
func plainText(n ast.Node, source []byte) string {
	var b strings.Builder
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		if leaf, ok := child.(*ast.Text); ok {
			b.Write(leaf.Value(source))
		} else {
			b.WriteString(plainText(child, source))
		}
	}
	return b.String()
}

// anchorOf returns the anchor of a heading: lower case, letters, digits, - and _,
// with spaces as -.
func anchorOf(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// markdownFiles returns the Markdown files that git tracks, or would track.
func markdownFiles(t *testing.T) []string {
	t.Helper()
	list := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Fields(string(out))
	if len(files) < 20 {
		t.Fatalf("only %d Markdown files were found", len(files))
	}
	return files
}

func TestMarkdown_LinksAndAnchors_Exist(t *testing.T) {
	documents := map[string]document{}
	parsed := func(path string) document {
		if _, ok := documents[path]; !ok {
			documents[path] = parseDocument(t, path)
		}
		return documents[path]
	}
	checked := 0
	for _, file := range markdownFiles(t) {
		file = filepath.Join("..", file)
		for _, link := range parsed(file).links {
			u, err := url.Parse(link)
			if err != nil {
				t.Errorf("%s: link %q: %v", file, link, err)
				continue
			}
			if u.IsAbs() {
				continue // other sites are not asked
			}
			checked++
			target := file
			if u.Path != "" {
				target = filepath.Join(filepath.Dir(file), u.Path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: link %q leads nowhere", file, link)
			} else if u.Fragment != "" && !parsed(target).anchors[u.Fragment] {
				t.Errorf("%s: link %q has no heading in %s", file, link, target)
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d links were found", checked)
	}
}

// tableRows returns the cells of the table rows between two marks, or of all tables
// if begin is empty. The heads of tables are left out.
func tableRows(t *testing.T, path, begin, end string) [][]string {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content := string(source)
	if begin != "" {
		_, content, _ = strings.Cut(content, begin)
		content, _, _ = strings.Cut(content, end)
	}
	var rows [][]string
	body := false
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "|---"):
			body = true
		case !strings.HasPrefix(line, "|"):
			body = false
		case body:
			var cells []string
			for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
				cells = append(cells, strings.TrimSpace(cell))
			}
			rows = append(rows, cells)
		}
	}
	return rows
}

// The table in roles.md is that of package auth.
func TestRoles_TableAgreesWithAbilities(t *testing.T) {
	abilities := map[string]auth.Ability{
		"see that a private project exists, and its overview":   auth.ReadProject,
		"see that an internal project exists, and its overview": auth.ReadProject,
		"see that a public project exists, and its overview":    auth.ReadProject,
		"read code and merge requests of a private project":     auth.ReadCode,
		"read code and merge requests of an internal project":   auth.ReadCode,
		"read code and merge requests of a public project":      auth.ReadCode,
		"see the status checks of a private or public project":  auth.ReadStatusChecks,
		"see the status checks of an internal project":          auth.ReadStatusChecks,
		"see the URL of a service, without its query":           auth.ReadServiceURL,
		"open a merge request":                                  auth.CreateMergeRequest,
		"edit, close and reopen a merge request":                auth.UpdateMergeRequest,
		"approve a merge request, also one's own":               auth.Approve,
		"push to unprotected branches":                          auth.PushCode,
		"merge into unprotected branches":                       auth.Merge,
		"retry a failed check":                                  auth.RetryStatusCheck,
		"answer a check through the API":                        auth.SetStatus,
		"add, edit and remove services, send tests":             auth.ManageStatusChecks,
		"read deliveries and send them again":                   auth.ReadDeliveries,
		`switch "Status checks must succeed"`:                   auth.ManageMergeChecks,
		"protect branches":                                      auth.ManageProtectedBranches,
		"manage members below Owner":                            auth.ManageMembers,
		"manage project access tokens":                          auth.ManageTokens,
		"read audit events":                                     auth.ReadAuditEvents,
		"rename and delete the project, change its visibility":  auth.AdminProject,
		"make and unmake Owners":                                auth.ManageOwners,
	}
	rows := tableRows(t, "roles.md", "<!-- roles, checked by a test -->", "<!-- end of roles -->")
	if len(rows) != len(abilities) {
		t.Errorf("%d rows, want %d", len(rows), len(abilities))
	}
	roles := []models.Role{models.RoleNone, models.RoleNone, models.RoleGuest, models.RoleReporter, models.RoleDeveloper, models.RoleMaintainer, models.RoleOwner}
	for _, cells := range rows {
		ability, ok := abilities[cells[0]]
		if !ok || len(cells) != len(roles)+1 {
			t.Errorf("row %q is unknown or has %d cells", cells[0], len(cells))
			continue
		}
		visibilities := []models.Visibility{models.VisibilityPrivate, models.VisibilityPublic}
		switch {
		case strings.Contains(cells[0], " internal "):
			visibilities = []models.Visibility{models.VisibilityInternal}
		case strings.Contains(cells[0], "a public project"):
			visibilities = []models.Visibility{models.VisibilityPublic}
		case strings.Contains(cells[0], "a private project"):
			visibilities = []models.Visibility{models.VisibilityPrivate}
		}
		for i, role := range roles {
			for _, visibility := range visibilities {
				can := auth.Can(auth.Subject{SignedIn: i > 0, Role: role, Visibility: visibility}, ability)
				if can != (cells[i+1] == "yes") {
					t.Errorf("%s, column %d, %v project: the table says %q, the program %v", cells[0], i+1, visibility, cells[i+1], can)
				}
			}
		}
	}
}

// Each test that security.md names exists.
func TestSecurity_NamesRealTests(t *testing.T) {
	tests := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "data") {
			return filepath.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(source, -1) {
			tests[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("security.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`(Test\\w+)`").FindAllSubmatch(source, -1)
	for _, name := range names {
		if !tests[string(name[1])] {
			t.Errorf("security.md names %s, which does not exist", name[1])
		}
	}
	if len(names) < 40 {
		t.Errorf("only %d tests are named", len(names))
	}
	_, threats, _ := bytes.Cut(source, []byte("## Threats and controls"))
	for row := range strings.Lines(string(threats)) {
		if strings.HasPrefix(row, "| ") && !strings.Contains(row, "| threat |") && !strings.Contains(row, "`Test") && !strings.Contains(row, "`make dist-test`") {
			t.Errorf("no test holds: %s", row)
		}
	}
}
