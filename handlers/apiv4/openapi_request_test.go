package apiv4_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/mergegate/mergegate/handlers/apiv4"
)

// validateRequests passes requests to next. It fails the test if the body of an
// accepted request does not match openapi.yaml.
func validateRequests(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		recorded := httptest.NewRecorder()
		next.ServeHTTP(recorded, r)
		if recorded.Code < 300 {
			if err := validateRequest(r, body); err != nil {
				t.Errorf("%s %s: request does not match openapi.yaml: %v\n%s", r.Method, r.URL.EscapedPath(), err, body)
			}
		}
		for name, values := range recorded.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(recorded.Code)
		if recorded.Body.Len() > 0 {
			if _, err := recorded.Body.WriteTo(w); err != nil {
				t.Error(err)
			}
		}
	})
}

// validateRequest compares the body of a request with openapi.yaml. A body may be
// missing only if none of its properties are required.
func validateRequest(r *http.Request, body []byte) error {
	doc, err := openAPIDocument()
	if err != nil {
		return err
	}
	name := pathTemplateOf(doc, strings.TrimPrefix(r.URL.EscapedPath(), apiv4.Prefix))
	item := doc.Paths.Value(name)
	if item == nil || item.GetOperation(r.Method) == nil {
		return fmt.Errorf("no such operation")
	}
	operation := item.GetOperation(r.Method)
	sent := len(body) > 0 && string(body) != "null" && string(body) != "{}"
	if operation.RequestBody == nil {
		if sent {
			return fmt.Errorf("openapi.yaml has no request body")
		}
		return nil
	}
	schema := operation.RequestBody.Value.Content.Get("application/json").Schema.Value
	if !sent {
		if len(schema.Required) > 0 {
			return fmt.Errorf("required properties missing: %v", schema.Required)
		}
		return nil
	}
	asked := r.Clone(r.Context())
	asked.Body = io.NopCloser(bytes.NewReader(body))
	return openapi3filter.ValidateRequestBody(r.Context(), &openapi3filter.RequestValidationInput{
		Request: asked, Route: &routers.Route{Spec: doc, Path: name, PathItem: item, Method: r.Method, Operation: operation},
		Options: &openapi3filter.Options{MultiError: true},
	}, operation.RequestBody.Value)
}

func TestValidateRequest_DetectsDeviations(t *testing.T) {
	const responses = "/projects/olga%2Fpear/merge_requests/1/status_check_responses"
	const good = `{"external_status_check_id":1,"sha":"a","status":"passed"}`
	for name, test := range map[string]struct {
		method, path, body string
		wrong              bool
	}{
		"valid":              {"POST", responses, good, false},
		"invalid enum value": {"POST", responses, strings.Replace(good, "passed", "perhaps", 1), true},
		"wrong type":         {"POST", responses, strings.Replace(good, ":1", `:"one"`, 1), true},
		"missing property":   {"POST", responses, strings.Replace(good, `"sha":"a",`, ``, 1), true},
		"missing body":       {"POST", responses, "", true},
		"optional body":      {"PUT", "/projects/1/merge_requests/1/merge", "", false},
		"unexpected body":    {"DELETE", "/projects/1/members/1", good, true},
		"unknown operation":  {"PATCH", responses, good, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, apiv4.Prefix+test.path, nil)
			r.Header.Set("Content-Type", "application/json")
			if err := validateRequest(r, []byte(test.body)); (err != nil) != test.wrong {
				t.Errorf("validateRequest: %v", err)
			}
		})
	}
}
