package apiv4

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
	yaml "github.com/oasdiff/yaml3"
)

//go:embed docs.html
var docsText string

var docsTemplate = sync.OnceValues(func() (*template.Template, error) { return template.New("docs").Parse(docsText) })

// document is the part of openapi.yaml that the documentation page shows.
type document struct {
	Info struct {
		Title       string
		Description string
	}
	Tags []struct {
		Name        string
		Description string
	}
	Paths      map[string]map[string]yaml.Node
	Components struct {
		Schemas    map[string]schema
		Parameters map[string]parameter
	}
}

type parameter struct {
	Ref         string `yaml:"$ref"`
	Name, In    string
	Required    bool
	Description string
	Schema      schema
}

type schema struct {
	Ref         string `yaml:"$ref"`
	Type        string
	Format      string
	Description string
	Nullable    bool
	Enum        []string
	Items       *schema
	AllOf       []schema `yaml:"allOf"`
	Required    []string
	Properties  yaml.Node
}

type operation struct {
	Tags        []string
	Summary     string
	Parameters  []parameter
	RequestBody struct {
		Content map[string]struct{ Schema schema }
	} `yaml:"requestBody"`
	Responses map[string]struct {
		Ref         string `yaml:"$ref"`
		Description string
		Content     map[string]struct{ Schema schema }
	}
}

// docsSection shows one tag, docsRoute one operation.
type docsSection struct {
	Name, Description string
	Routes            []docsRoute
}

type docsRoute struct {
	Method, Path, Summary string
	Fields                []docsField
	Answers               []docsAnswer
}

type docsField struct {
	Name, Type, Link, Text string
	Required               bool
}

type docsAnswer struct{ Status, Text, Type, Link string }

type docsEntity struct {
	Name, Text string
	Type       string
	Fields     []docsField
}

// docs returns the content of the documentation page. It parses openapi.yaml at
// the first call.
var docs = sync.OnceValues(func() (map[string]any, error) {
	var d document
	if err := yaml.Unmarshal(openAPI, &d); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	sections := make([]docsSection, 0, len(d.Tags))
	for _, tag := range d.Tags {
		sections = append(sections, docsSection{Name: tag.Name, Description: tag.Description})
	}
	for path, item := range d.Paths {
		for method, node := range item {
			if method == "parameters" {
				continue
			}
			var op operation
			if err := node.Decode(&op); err != nil {
				return nil, fmt.Errorf("openapi.yaml: %s %s: %w", method, path, err)
			}
			at := slices.IndexFunc(sections, func(s docsSection) bool { return slices.Contains(op.Tags, s.Name) })
			if at < 0 {
				return nil, fmt.Errorf("openapi.yaml: %s %s has an unknown tag", method, path)
			}
			sections[at].Routes = append(sections[at].Routes, d.route(method, path, op))
		}
	}
	for _, s := range sections {
		slices.SortFunc(s.Routes, func(a, b docsRoute) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
		})
	}
	var entities []docsEntity
	for name, s := range d.Components.Schemas {
		entities = append(entities, docsEntity{Name: name, Text: s.Description, Type: typeOf(s), Fields: fieldsOf(s)})
	}
	slices.SortFunc(entities, func(a, b docsEntity) int { return cmp.Compare(a.Name, b.Name) })
	text := strings.Split(strings.TrimSpace(strings.NewReplacer("**", "", "`", "").Replace(d.Info.Description)), "\n\n")
	return map[string]any{"Title": d.Info.Title, "Text": text, "Sections": sections, "Entities": entities}, nil
})

func (d document) route(method, path string, op operation) docsRoute {
	r := docsRoute{Method: strings.ToUpper(method), Path: Prefix + path, Summary: op.Summary}
	for _, p := range op.Parameters {
		if p.Ref != "" {
			p = d.Components.Parameters[refName(p.Ref)]
		}
		r.Fields = append(r.Fields, docsField{p.Name, typeOf(p.Schema), linkOf(p.Schema), p.Description, p.Required})
	}
	r.Fields = append(r.Fields, fieldsOf(op.RequestBody.Content["application/json"].Schema)...)
	for status, answer := range op.Responses {
		if answer.Ref != "" {
			continue // the error answers that all operations share
		}
		s := answer.Content["application/json"].Schema
		r.Answers = append(r.Answers, docsAnswer{status, answer.Description, typeOf(s), linkOf(s)})
	}
	slices.SortFunc(r.Answers, func(a, b docsAnswer) int { return cmp.Compare(a.Status, b.Status) })
	return r
}

// fieldsOf returns the properties of an object in the order of openapi.yaml.
func fieldsOf(s schema) []docsField {
	var fields []docsField
	for i := 0; i+1 < len(s.Properties.Content); i += 2 {
		var p schema
		if err := s.Properties.Content[i+1].Decode(&p); err != nil {
			continue // oneOf and similar are not shown
		}
		name := s.Properties.Content[i].Value
		fields = append(fields, docsField{name, typeOf(p), linkOf(p), p.Description, slices.Contains(s.Required, name)})
	}
	return fields
}

func refName(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

// linkOf returns the name of the entity that a schema refers to, directly or as a
// list, or "" if there is none.
func linkOf(s schema) string {
	switch {
	case s.Ref != "":
		return refName(s.Ref)
	case s.Items != nil:
		return linkOf(*s.Items)
	case len(s.AllOf) > 0:
		return linkOf(s.AllOf[0])
	}
	return ""
}

// typeOf describes the type of a schema in a few words.
func typeOf(s schema) string {
	text := s.Type
	switch {
	case s.Ref != "":
		text = refName(s.Ref)
	case len(s.AllOf) > 0:
		text = typeOf(s.AllOf[0])
	case s.Items != nil:
		text = "list of " + typeOf(*s.Items)
	case len(s.Enum) > 0:
		text = strings.Join(s.Enum, " | ")
	case s.Format == "date" || s.Format == "date-time":
		text = s.Format
	}
	if s.Nullable {
		text += " or null"
	}
	return text
}

// getDocs answers with the documentation page.
func (a *api) getDocs(c echo.Context) error {
	content, err := docs()
	if err != nil {
		return err
	}
	page, err := docsTemplate()
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if err := page.Execute(&body, map[string]any{"Doc": content, "Stylesheet": a.Stylesheet}); err != nil {
		return err
	}
	return c.HTMLBlob(http.StatusOK, body.Bytes())
}
