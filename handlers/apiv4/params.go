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
	// maxBody is the largest request body that is read, in bytes: enough for
	// the longest description, escaped.
	maxBody = 8 << 20
	// maxFields bounds the parts of a multipart body.
	maxFields = 1000
)

// params are the parameters of a request, whatever way they came: in the query
// string, as JSON, as a form or as multipart. The body wins over the query.
// Readers note faults, which err tells all at once, as GitLab does.
type params struct {
	// values holds what JSON holds; forms give strings and lists of strings.
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
	// A client that announces too much is told before it sends it.
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
	if !utf8.Valid(body) { // encoding/json would replace what is wrong
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
	for name, value := range values { // none at all for null
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

// addForm takes name=value, and lists as name[]=value or repeated names. Of a
// list of objects it knows name[][key]=value with one key per object.
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

// cleanValue reports whether all texts in a value are valid UTF-8 without NUL,
// which no database takes.
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

// printable is a parameter's name as an error message may repeat it.
func printableName(name string) string {
	name = strings.ToValidUTF8(name, "?")
	if len(name) > 64 {
		return "parameter"
	}
	return name
}

func (p *params) addFault(name, what string) { p.faults = append(p.faults, name+" "+what) }

// err tells the faults found so far, in one message.
func (p *params) paramError() error {
	if len(p.faults) == 0 {
		return nil
	}
	return badRequest(strings.Join(p.faults, ", "))
}

// has reports whether a parameter was given, null included.
func (p *params) has(name string) bool {
	_, ok := p.values[name]
	return ok
}

// mustHave notes the named parameters that are missing, null or empty.
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

// translate returns a text parameter; nil when it is absent or null.
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

// word is a text that must be one of a few words.
func (p *params) enum(name string, words ...string) *string {
	text := p.text(name)
	if text != nil && !slices.Contains(words, *text) {
		p.addFault(name, "does not have a valid value")
		return nil
	}
	return text
}

// number is an integer; nil when it is absent, null or empty.
func (p *params) number(name string) *int64 {
	n, ok := parseInteger(p.values[name])
	if !ok {
		p.addFault(name, "is invalid")
	}
	return n
}

// integer reads a number or a number as text; ok is false for anything else
// but null and the empty text, which are no number at all (nil).
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

// flag is a boolean, in the spellings that clients use; nil when it is absent,
// null or empty.
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

// list is a list of values: a JSON array, repeated form fields, or one text
// with commas. given is false when it is absent or null; an empty text is an
// empty list.
func (p *params) list(name string) (values []any, given bool) {
	switch v := p.values[name].(type) {
	case nil:
		return nil, false
	case []any:
		// name[]= is how a form says "none".
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

// numbers is a list of integers; nil when it is absent or null.
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

// texts is a list of texts; nil when it is absent or null.
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
