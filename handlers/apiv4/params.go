package apiv4

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mergegate/mergegate/handlers/request"
)

const (
	// maxBody limits a request body, in bytes. The longest description fits in
	// when every character is escaped.
	maxBody = 8 << 20
	// maxFields limits the parts of a multipart body.
	maxFields = 1000
)

// params are the parameters of a request, from the query string and a JSON, form
// or multipart body. The body takes precedence. The methods that read a parameter
// collect faults; paramError returns all of them in one error, as GitLab does.
type params struct {
	// values holds JSON values. Forms contain only strings and lists of strings.
	values map[string]any
	faults []string
}

// readParams reads all parameters of a request.
func readParams(r *http.Request) (*params, error) {
	p := &params{values: map[string]any{}}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("The query string is invalid")
	}
	if err := p.addForm(query); err != nil {
		return nil, err
	}
	// Refuses a body that is too large before the client sends it.
	if r.ContentLength > maxBody {
		return nil, tooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit):
		return nil, tooLarge()
	case errors.Is(err, request.ErrSlowBody):
		return nil, &failure{http.StatusRequestTimeout, map[string]string{"error": "The request body came too slowly"}}
	case err != nil:
		return nil, badRequest("The request body could not be read")
	}
	return p, p.addBody(r.Header.Get("Content-Type"), body)
}

func tooLarge() error {
	return &failure{http.StatusRequestEntityTooLarge, map[string]string{"error": "The request body is too large"}}
}

func (p *params) addBody(contentType string, body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	media, options, err := mime.ParseMediaType(contentType)
	if contentType != "" && err != nil {
		return badRequest("The content type is invalid")
	}
	switch {
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		return p.addJSON(body)
	case media == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return badRequest("The form is invalid")
		}
		return p.addForm(form)
	case media == "multipart/form-data":
		return p.addMultipart(body, options["boundary"])
	}
	return &failure{http.StatusUnsupportedMediaType, map[string]string{"error": "The provided content-type is not supported."}}
}

func (p *params) addJSON(body []byte) error {
	if !utf8.Valid(body) { // encoding/json would replace invalid bytes
		return badRequest("The request body is not valid UTF-8")
	}
	var values map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&values); err != nil {
		return badRequest("The request body is not a JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return badRequest("The request body is not one JSON object")
	}
	for name, value := range values { // values is nil for the body null
		if !hasValidText(value) {
			return badRequest(printableName(name) + " is invalid")
		}
		p.values[name] = value
	}
	return nil
}

func (p *params) addMultipart(body []byte, boundary string) error {
	form := url.Values{}
	reader := multipart.NewReader(bytes.NewReader(body), boundary)
	for range maxFields {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return p.addForm(form)
		}
		if err != nil {
			return badRequest("The multipart body is invalid")
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return badRequest("The multipart body is invalid")
		}
		if part.FormName() != "" {
			form.Add(part.FormName(), string(text))
		}
	}
	return badRequest("The multipart body has too many parts")
}

// addForm adds form fields: name=value, and lists as name[]=value or repeated names.
// name[][key]=value adds to a list of objects, with one key per object.
func (p *params) addForm(form url.Values) error {
	lists := map[string][]any{}
	for _, key := range slices.Sorted(maps.Keys(form)) {
		name, inner, nested := strings.Cut(key, "[")
		_, field, ofObjects := strings.Cut(strings.TrimSuffix(inner, "]"), "][")
		for _, text := range form[key] {
			if !hasValidText(name) || !hasValidText(field) || !hasValidText(text) {
				return badRequest(printableName(name) + " is invalid")
			}
			if ofObjects {
				lists[name] = append(lists[name], map[string]any{field: text})
			} else {
				lists[name] = append(lists[name], text)
			}
		}
		if !nested && len(lists[name]) == 1 {
			p.values[name] = lists[name][0]
		} else {
			p.values[name] = lists[name]
		}
	}
	return nil
}

// hasValidText reports whether all strings in a JSON value are valid UTF-8 without
// NUL, which PostgreSQL cannot store.
func hasValidText(value any) bool {
	switch v := value.(type) {
	case string:
		return request.IsText(v)
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !hasValidText(e) })
	case map[string]any:
		for key, e := range v {
			if !hasValidText(key) || !hasValidText(e) {
				return false
			}
		}
	}
	return true
}

// printableName returns a parameter's name for an error message. It returns
// "parameter" for a name of more than 64 bytes.
func printableName(name string) string {
	name = strings.ToValidUTF8(name, "?")
	if len(name) > 64 {
		return "parameter"
	}
	return name
}

func (p *params) addFault(name, what string) { p.faults = append(p.faults, name+" "+what) }

// paramError returns one error with all faults found so far, or nil.
func (p *params) paramError() error {
	if len(p.faults) == 0 {
		return nil
	}
	return badRequest(strings.Join(p.faults, ", "))
}

// has reports whether a parameter was given, even as null.
func (p *params) has(name string) bool {
	_, ok := p.values[name]
	return ok
}

// requireParams adds a fault for each parameter that is missing, null or empty.
func (p *params) requireParams(names ...string) {
	for _, name := range names {
		switch p.values[name] {
		case nil:
			p.addFault(name, "is missing")
		case "":
			p.addFault(name, "is empty")
		}
	}
}

// text returns a text parameter, or nil if it is missing or null.
func (p *params) text(name string) *string {
	switch v := p.values[name].(type) {
	case nil:
	case string:
		return &v
	case json.Number:
		s := v.String()
		return &s
	default:
		p.addFault(name, "is invalid")
	}
	return nil
}

// enum returns a text parameter that must be one of words, or nil if it is missing
// or null.
func (p *params) enum(name string, words ...string) *string {
	text := p.text(name)
	if text != nil && !slices.Contains(words, *text) {
		p.addFault(name, "does not have a valid value")
		return nil
	}
	return text
}

// number returns an integer parameter, or nil if it is missing, null or empty.
func (p *params) number(name string) *int64 {
	n, ok := parseInteger(p.values[name])
	if !ok {
		p.addFault(name, "is invalid")
	}
	return n
}

// parseInteger reads an integer from a JSON number or string. It returns nil and
// true for null and "", and false for any other value.
func parseInteger(value any) (n *int64, ok bool) {
	text := ""
	switch v := value.(type) {
	case nil:
	case string:
		text = v
	case json.Number:
		text = v.String()
	default:
		return nil, false
	}
	if text == "" {
		return nil, true
	}
	i, err := strconv.ParseInt(text, 10, 64)
	return &i, err == nil
}

// boolean returns a boolean parameter in any of the spellings that clients use, or
// nil if it is missing, null or empty.
func (p *params) boolean(name string) *bool {
	yes, no := true, false
	switch v := p.values[name].(type) {
	case nil:
		return nil
	case bool:
		return &v
	case json.Number:
		switch v {
		case "1":
			return &yes
		case "0":
			return &no
		}
	case string:
		switch strings.ToLower(v) {
		case "":
			return nil
		case "true", "t", "1", "yes", "on":
			return &yes
		case "false", "f", "0", "no", "off":
			return &no
		}
	}
	p.addFault(name, "is invalid")
	return nil
}

// list returns a list parameter: a JSON array, repeated form fields, or one
// comma-separated string. given is false if it is missing or null. An empty string
// is an empty list.
func (p *params) list(name string) (values []any, given bool) {
	switch v := p.values[name].(type) {
	case nil:
		return nil, false
	case []any:
		// A form sends name[]= for an empty list.
		return slices.DeleteFunc(slices.Clone(v), func(e any) bool { return e == "" || e == nil }), true
	case string:
		for _, part := range strings.Split(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				values = append(values, part)
			}
		}
		return values, true
	case json.Number:
		return []any{v}, true
	}
	p.addFault(name, "is invalid")
	return nil, false
}

// numbers returns a list of integers, or nil if it is missing or null.
func (p *params) numbers(name string) *[]int64 {
	values, given := p.list(name)
	if !given {
		return nil
	}
	numbers := make([]int64, 0, len(values))
	for _, value := range values {
		n, ok := parseInteger(value)
		if !ok || n == nil {
			p.addFault(name, "is invalid")
			return nil
		}
		numbers = append(numbers, *n)
	}
	return &numbers
}

// texts returns a list of strings, or nil if it is missing or null.
func (p *params) texts(name string) []string {
	values, given := p.list(name)
	if !given {
		return nil
	}
	texts := make([]string, 0, len(values))
	for _, value := range values {
		text, ok := value.(string)
		if !ok {
			p.addFault(name, "is invalid")
			return nil
		}
		texts = append(texts, text)
	}
	return texts
}
