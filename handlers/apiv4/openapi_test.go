package apiv4_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/apiv4"
)

// openAPIDocument returns openapi.yaml, which it loads and validates once.
var openAPIDocument = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(context.Background())
})

// validateAnswers passes requests to next. It fails the test if an answer of the API
// does not match openapi.yaml.
func validateAnswers(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorded := httptest.NewRecorder()
		next.ServeHTTP(recorded, r)
		answered := recorded.Result()
		body, err := io.ReadAll(answered.Body)
		if err != nil {
			t.Error(err)
		}
		if err := validateAnswer(r, answered.StatusCode, answered.Header, body); err != nil {
			t.Errorf("%s %s: answer does not match openapi.yaml: %v", r.Method, r.URL.EscapedPath(), err)
		}
		for name, values := range answered.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(answered.StatusCode)
		if len(body) > 0 {
			if _, err := w.Write(body); err != nil {
				t.Error(err)
			}
		}
	})
}

// validateAnswer compares an answer with openapi.yaml. Unknown paths and methods
// must be refused.
func validateAnswer(r *http.Request, status int, header http.Header, body []byte) error {
	doc, err := openAPIDocument()
	if err != nil {
		return err
	}
	path, below := strings.CutPrefix(r.URL.EscapedPath(), apiv4.Prefix)
	if !below || r.Method == http.MethodHead {
		return nil
	}
	if header.Get("X-Request-Id") == "" {
		return fmt.Errorf("no request id")
	}
	refused := doc.Components.Responses["Refused"]
	operation := &openapi3.Operation{Responses: openapi3.NewResponses(
		openapi3.WithStatus(404, refused), openapi3.WithStatus(405, refused), openapi3.WithStatus(429, refused))}
	name := pathTemplateOf(doc, path)
	item := doc.Paths.Value(name)
	if item != nil && item.GetOperation(r.Method) != nil {
		operation = item.GetOperation(r.Method)
	}
	if status == http.StatusNoContent && len(body) > 0 {
		return fmt.Errorf("204 with a body: %s", body)
	}
	options := &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true}
	if kind := header.Get("Content-Type"); status == http.StatusOK && !strings.HasPrefix(kind, "application/json") {
		// A download: only its content type is compared.
		options.ExcludeResponseBody = true
		if answer := operation.Responses.Status(status); answer == nil || answer.Value.Content[kind] == nil {
			return fmt.Errorf("content type %q is not in openapi.yaml", kind)
		}
	}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: r, Route: &routers.Route{Spec: doc, Path: name, PathItem: item, Method: r.Method, Operation: operation},
		},
		Status: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: options,
	})
}

// pathTemplateOf returns the path template of openapi.yaml that matches an escaped
// path, or "". Templates with more fixed segments take precedence.
func pathTemplateOf(doc *openapi3.T, path string) string {
	best, fixed := "", -1
	segments := strings.Split(path, "/")
	for _, template := range doc.Paths.InMatchingOrder() {
		parts := strings.Split(template, "/")
		if len(parts) != len(segments) {
			continue
		}
		n, matches := 0, true
		for i, part := range parts {
			switch {
			case strings.HasPrefix(part, "{"):
				matches = matches && segments[i] != ""
			case part == segments[i]:
				n++
			default:
				matches = false
			}
		}
		if matches && n > fixed {
			best, fixed = template, n
		}
	}
	return best
}

// openapi.yaml describes every route of the router and no others.
func TestOpenAPI_DescribesEveryRoute(t *testing.T) {
	doc, err := openAPIDocument()
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			want = append(want, method+" "+path)
			if operation.Summary == "" || len(operation.Tags) != 1 || operation.Responses.Status(http.StatusNotFound) == nil {
				t.Errorf("%s %s has no summary, no tag or no error answers", method, path)
			}
		}
	}
	parameter := regexp.MustCompile(`:(\w+)`)
	for _, r := range apiv4.RoutesForTest() {
		got = append(got, r.Method+" "+parameter.ReplaceAllString(r.Path, "{$1}"))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		for _, route := range got {
			if !slices.Contains(want, route) {
				t.Errorf("%s is missing in openapi.yaml", route)
			}
		}
		for _, route := range want {
			if !slices.Contains(got, route) {
				t.Errorf("%s is in openapi.yaml but not a route", route)
			}
		}
	}
}

// All schemas have types and forbid additional properties. Only the properties
// listed here are optional.
func TestOpenAPI_SchemasAreStrict(t *testing.T) {
	doc, err := openAPIDocument()
	if err != nil {
		t.Fatal(err)
	}
	optional := map[string][]string{
		"AccessToken": {"access_level", "token"}, "CurrentUser": {"invitation_url", "is_admin"}, "DiffVersion": {"commits", "diffs"},
		"MergeRefused": {"conflicts", "merge_error"}, "Project": {"owner"},
		"MergeRequestDetail": {
			"changes", "description_html", "diverged_commits_count", "incomplete", "overflow", "rebase_in_progress",
			"title_html",
		},
		"StatusCheckService": {"incomplete"},
	}
	for name, ref := range doc.Components.Schemas {
		assertStrict(t, name, ref)
		var missing []string
		for property := range ref.Value.Properties {
			if !slices.Contains(ref.Value.Required, property) {
				missing = append(missing, property)
			}
		}
		slices.Sort(missing)
		if !slices.Equal(missing, optional[name]) {
			t.Errorf("%s: optional properties %v, want %v", name, missing, optional[name])
		}
	}
}

func assertStrict(t *testing.T, where string, ref *openapi3.SchemaRef) {
	t.Helper()
	schema := ref.Value
	if len(schema.AllOf)+len(schema.OneOf) > 0 {
		for _, part := range slices.Concat(schema.AllOf, schema.OneOf) {
			assertStrict(t, where, part)
		}
		return
	}
	if schema.Type == nil {
		t.Errorf("%s has no type", where)
		return
	}
	switch {
	case schema.Type.Is("object") && schema.AdditionalProperties.Schema != nil:
		assertStrict(t, where+".*", schema.AdditionalProperties.Schema)
	case schema.Type.Is("object"):
		if schema.AdditionalProperties.Has == nil || *schema.AdditionalProperties.Has {
			t.Errorf("%s allows additional properties", where)
		}
	case schema.Type.Is("array"):
		assertStrict(t, where+"[]", schema.Items)
	}
	for name, property := range schema.Properties {
		if property.Ref == "" {
			assertStrict(t, where+"."+name, property)
		}
	}
}

func TestValidateAnswer_DetectsDeviations(t *testing.T) {
	const good = `[{"id":1,"name":"n","external_url":"","status":"passed","sha":"a","description":null,"target_url":null,"timeout_seconds":120,"informational":false}]`
	for name, test := range map[string]struct {
		method, path string
		status       int
		body         string
		wrong        bool
	}{
		"valid":            {"GET", "/projects/1/merge_requests/1/status_checks", 200, good, false},
		"bad enum value":   {"GET", "/projects/1/merge_requests/1/status_checks", 200, strings.Replace(good, "passed", "perhaps", 1), true},
		"wrong type":       {"GET", "/projects/1/merge_requests/1/status_checks", 200, strings.Replace(good, `"id":1`, `"id":"1"`, 1), true},
		"null":             {"GET", "/projects/1/merge_requests/1/status_checks", 200, strings.Replace(good, `"sha":"a"`, `"sha":null`, 1), true},
		"extra property":   {"GET", "/projects/1/merge_requests/1/status_checks", 200, strings.Replace(good, `"id"`, `"idea":1,"id"`, 1), true},
		"missing property": {"GET", "/projects/1/merge_requests/1/status_checks", 200, strings.Replace(good, `"sha":"a",`, ``, 1), true},
		"null for a list":  {"GET", "/projects/1/merge_requests/1/status_checks", 200, `null`, true},
		"wrong status":     {"GET", "/projects/1/merge_requests/1/status_checks", 201, good, true},
		"a server error":   {"GET", "/projects/1/merge_requests/1/status_checks", 500, `{"message":"500 Internal Server Error"}`, true},
		"a refusal":        {"GET", "/projects/1/merge_requests/1/status_checks", 404, `{"message":"404 Not Found"}`, false},
		"invalid refusal":  {"GET", "/projects/1/merge_requests/1/status_checks", 404, `{"message":404}`, true},
		"unknown method":   {"POST", "/projects/1/merge_requests/1/status_checks", 200, good, true},
		"unknown path":     {"GET", "/projects/1/oranges", 200, `[]`, true},
		"unexpected body":  {"DELETE", "/projects/1/members/1", 204, `{}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			header := http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"r"}, "X-Total": {"1"}, "X-Next-Page": {""}, "Link": {"<x>"}}
			err := validateAnswer(httptest.NewRequest(test.method, apiv4.Prefix+test.path, nil), test.status, header, []byte(test.body))
			if (err != nil) != test.wrong {
				t.Errorf("validateAnswer: %v", err)
			}
		})
	}
}

// The documentation page contains every route and entity, and its links have
// targets.
func TestDocsPage_ShowsAllRoutesAndEntities(t *testing.T) {
	doc, err := openAPIDocument()
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	apiv4.Register(e, apiv4.Deps{Stylesheet: "/assets/style.css"})
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", "/api/docs", nil))
	page, err := goquery.NewDocumentFromReader(w.Body)
	if w.Code != 200 || err != nil {
		t.Fatal(w.Code, err)
	}
	text := page.Text()
	for _, r := range apiv4.RoutesForTest() {
		path := regexp.MustCompile(`:(\w+)`).ReplaceAllString(r.Path, "{$1}")
		if !strings.Contains(text, r.Method+" "+apiv4.Prefix+path+"\n") {
			t.Errorf("%s %s is not on the page", r.Method, path)
		}
	}
	for name := range doc.Components.Schemas {
		if page.Find("#entity-"+name).Length() != 1 {
			t.Errorf("%s is not on the page", name)
		}
	}
	page.Find(`a[href^="#"]`).Each(func(_ int, a *goquery.Selection) {
		if href, _ := a.Attr("href"); page.Find(href).Length() != 1 {
			t.Errorf("link %s has no target", href)
		}
	})
	if page.Find("script, [style], style").Length() > 0 || page.Find(`link[href="/assets/style.css"]`).Length() != 1 {
		t.Error("the page has a script or a style of its own")
	}
}

func TestOpenAPI_IsServedUnchanged(t *testing.T) {
	e := echo.New()
	apiv4.Register(e, apiv4.Deps{})
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", "/api/openapi.yaml", nil))
	file, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if w.Code != 200 || w.Body.String() != string(file) || w.Header().Get("Content-Type") != "application/yaml" {
		t.Errorf("status %d, header %s", w.Code, w.Header())
	}
}
