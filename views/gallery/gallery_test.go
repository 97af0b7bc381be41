package gallery_test

import (
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/a-h/templ"
	"github.com/google/go-cmp/cmp"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/gallery"
	"github.com/mergegate/mergegate/views/text"
)

func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }

var update = flag.Bool("update", false, "write the golden files anew")

// fingerprint matches the part of an asset's URL that depends on its content.
var fingerprint = regexp.MustCompile(`(/assets/[a-z.]+)-[0-9a-f]{16}`)

// inJapanese are the entries with a Japanese golden file, too.
var inJapanese = []string{"widget_mixed", "widget_forbidden", "merge_request", "service_form_add", "user_settings", "projects", "project", "offline"}

// TestGoldens compares every entry, for a whole page its main element, with
// testdata/<name>.golden.html, one tag per line. Some entries also have
// <name>.ja.golden.html. `go test ./views/gallery -update` rewrites the files.
func TestGoldens(t *testing.T) {
	wanted := map[string]bool{}
	held := func(entry gallery.Entry, name, language string) {
		file := filepath.Join("testdata", name+".golden.html")
		if wanted[file] {
			t.Errorf("two entries are called %s", name)
		}
		wanted[file] = true
		t.Run(name, func(t *testing.T) {
			html := renderIn(t, entry, language)
			if _, main, found := strings.Cut(html, `<main`); found {
				main, _, _ = strings.Cut(main, "</main>")
				html = "<main" + main + "</main>"
			}
			got := strings.ReplaceAll(fingerprint.ReplaceAllString(html, "$1"), "><", ">\n<") + "\n"
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
		})
	}
	for _, entry := range gallery.Entries() {
		held(entry, entry.Name, "en")
		if slices.Contains(inJapanese, entry.Name) {
			held(entry, entry.Name+".ja", "ja")
		}
	}
	for _, name := range inJapanese {
		if !wanted[filepath.Join("testdata", name+".ja.golden.html")] {
			t.Errorf("there is no entry %s", name)
		}
	}
	files, err := filepath.Glob("testdata/*.golden.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !wanted[file] {
			t.Errorf("%s belongs to no entry", file)
		}
	}
}

// spaceAfterFullStop matches a visible space after a Japanese sentence, also before
// an element.
var spaceAfterFullStop = regexp.MustCompile(`[^<>]{0,20}。((</(span|a|code|strong|bdi)>)+ +[^< ]| +(<(span|a|code|strong|bdi)\b|[^< ]))`)

// TestJapanesePages_NoSpaceAfterFullStop checks what templates add between
// sentences. Package text checks the messages themselves.
func TestJapanesePages_NoSpaceAfterFullStop(t *testing.T) {
	for _, entry := range gallery.Entries() {
		if found := spaceAfterFullStop.FindString(renderIn(t, entry, "ja")); found != "" {
			t.Errorf("%s: %s", entry.Name, found)
		}
	}
}

// Scrollable regions can be focused with the keyboard and have a name.
func TestEntries_ScrollableRegions_CanBeFocused(t *testing.T) {
	for _, entry := range gallery.Entries() {
		draw(t, entry.Component(t.Context(), "")).Find("pre.code, .table-wrap, .diff-wrap").Each(func(_ int, s *goquery.Selection) {
			named := s.AttrOr("aria-label", "") != "" || s.AttrOr("aria-labelledby", "") != ""
			if s.AttrOr("tabindex", "") != "0" || !slices.Contains([]string{"region", "group"}, s.AttrOr("role", "")) || !named {
				html, _ := goquery.OuterHtml(s)
				t.Errorf("%s: %.160s", entry.Name, html)
			}
		})
	}
}

// Heading levels are not skipped. A dialog starts again at level 2.
func TestEntries_Headings_SkipNoLevel(t *testing.T) {
	for _, entry := range gallery.Entries() {
		doc := draw(t, entry.Component(t.Context(), ""))
		doc.Find("main, dialog").Each(func(_ int, scope *goquery.Selection) {
			level := 0
			if goquery.NodeName(scope) == "dialog" {
				level = 1
			}
			scope.Find("h1, h2, h3, h4, h5, h6").Each(func(_ int, h *goquery.Selection) {
				next := int(goquery.NodeName(h)[1] - '0')
				if next > level+1 {
					t.Errorf("%s: h%d %q follows h%d", entry.Name, next, strings.TrimSpace(h.Text()), level)
				}
				level = next
			})
		})
	}
}

// Every entry is listed in the index and served as a whole page in both languages.
func TestHandler_ServesEveryEntry(t *testing.T) {
	handler := gallery.Handler()
	get := func(path string) *goquery.Document {
		t.Helper()
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d", path, w.Code)
		}
		doc, err := goquery.NewDocumentFromReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	index := get("/")
	for _, entry := range gallery.Entries() {
		path := "/gallery/" + entry.Name
		if index.Find(`a[href="`+path+`"]`).Length() != 1 {
			t.Errorf("%s is not listed", entry.Name)
		}
		for _, language := range []string{"en", "ja"} {
			doc := get(path + "?theme=dark&lang=" + language)
			if doc.Find("main").Length() != 1 {
				t.Errorf("%s has %d main elements", path, doc.Find("main").Length())
			}
			if theme := doc.Find("html").AttrOr("data-theme", ""); theme != "dark" {
				t.Errorf("%s has the theme %q", path, theme)
			}
		}
	}
}

func TestHandler_PollsAndForms(t *testing.T) {
	handler := gallery.Handler()
	for request, want := range map[string]int{
		"GET /northwind/ticketing-api/-/merge_requests/142/status_checks?rev=1x": http.StatusNoContent,
		"GET /northwind/ticketing-api":                                           http.StatusNotFound,
		"POST /northwind/ticketing-api/-/merge_requests/142/merge":               http.StatusSeeOther,
	} {
		method, path, _ := strings.Cut(request, " ")
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, path, nil)
		if strings.Contains(path, "?rev=") {
			r.Header.Set("HX-Request", "true")
		}
		handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", request, w.Code, want)
		}
	}
}

func TestServiceForm_SecretConfigured_HasNoSecretField(t *testing.T) {
	f := gallery.NewService()
	if n := draw(t, views.ServiceFormView(f)).Find(`input[name="shared_secret"]`); n.Length() != 1 || n.AttrOr("value", "") != "" {
		t.Errorf("%d secret fields, value %q", n.Length(), n.AttrOr("value", ""))
	}
	f.ID, f.HasSecret = 1, true
	doc := draw(t, views.ServiceFormView(f))
	if n := doc.Find(`input[name="shared_secret"]`).Length(); n != 0 {
		t.Errorf("%d secret fields although one is configured", n)
	}
	if !strings.Contains(doc.Text(), "A secret is configured.") {
		t.Error("the form does not say that a secret is configured")
	}
}

func TestServiceForm_Errors_DescribeControls(t *testing.T) {
	doc := draw(t, views.ServiceFormView(gallery.RejectedService(t.Context(), gallery.NewService())))
	for _, id := range []string{"status-check-name", "status-check-url", "status-check-secret"} {
		control := doc.Find("#" + id)
		if control.AttrOr("aria-invalid", "") != "true" {
			t.Errorf("%s is not marked invalid", id)
		}
		for _, ref := range strings.Fields(control.AttrOr("aria-describedby", "")) {
			if doc.Find("#"+ref).Length() != 1 {
				t.Errorf("%s refers to the missing element %q", id, ref)
			}
		}
	}
}

func TestMergeBox_Blind_ShowsOnlyThatMergingIsBlocked(t *testing.T) {
	for _, entry := range gallery.Entries() {
		if entry.Name != "merge_request_blind" {
			continue
		}
		doc := draw(t, entry.Draw(context.Background(), ""))
		if got := strings.Join(strings.Fields(doc.Find("#merge-state").Text()), " "); got != "Merging is blocked" {
			t.Errorf("headline = %q", got)
		}
		if doc.Find("#merge-checks li").Length() != 0 {
			t.Error("conditions are listed")
		}
		return
	}
	t.Error("the gallery has no entry merge_request_blind")
}

// renderIn renders an entry in a language.
func renderIn(t *testing.T, entry gallery.Entry, language string) string {
	t.Helper()
	ctx := text.WithLanguage(context.Background(), language)
	var out strings.Builder
	if err := entry.Draw(ctx, "").Render(ctx, &out); err != nil {
		t.Fatalf("render: %v", err)
	}
	return out.String()
}

func render(t *testing.T, c templ.Component) string {
	t.Helper()
	var out strings.Builder
	if err := c.Render(context.Background(), &out); err != nil {
		t.Fatalf("render: %v", err)
	}
	return out.String()
}

func draw(t *testing.T, c templ.Component) *goquery.Document {
	t.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(render(t, c)))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
