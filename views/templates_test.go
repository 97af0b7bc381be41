package views

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// version2 are words of htmx 2 that do not exist in htmx 4 or have another meaning,
// and code that the security policy blocks.
var version2 = map[string]*regexp.Regexp{
	"hx-disabled-elt":           regexp.MustCompile(`hx-disabled-elt`),
	"hx-ext":                    regexp.MustCompile(`hx-ext\b`),
	"hx-on":                     regexp.MustCompile(`hx-on\b`),
	"hx-vars":                   regexp.MustCompile(`hx-vars`),
	"hx-params":                 regexp.MustCompile(`hx-params`),
	"hx-history":                regexp.MustCompile(`hx-history`),
	"responseHandling":          regexp.MustCompile(`responseHandling`),
	"includeIndicatorStyles":    regexp.MustCompile(`includeIndicatorStyles`),
	"a camel-case htmx event":   regexp.MustCompile(`htmx:[a-z]+[A-Z]`),
	"a filter in hx-trigger":    regexp.MustCompile(`hx-trigger="[^"]*\[`),
	"a js: value":               regexp.MustCompile(`hx-(vals|headers)="(js|javascript):`),
	"inherited hx-headers":      regexp.MustCompile(`<body[^>]*hx-(headers|target|swap|select)=`),
	"an inline event handler":   regexp.MustCompile(`\son[a-z]+=`),
	"an inline style":           regexp.MustCompile(`\sstyle=|<style`),
	"an inline script":          regexp.MustCompile(`<script>`),
	"a form field against CSRF": regexp.MustCompile(`name="_csrf"`),
}

// literal matches text between tags that starts with two letters. Such text must
// come from the catalogue.
var literal = regexp.MustCompile(`>\s*([A-Za-z][a-z]+[^<{}@]*)<`)

// literalAttribute matches such text in an attribute that users read or hear, except
// URLs.
var literalAttribute = regexp.MustCompile(`\s(?:aria-label|placeholder|title|alt)="([^"]*[A-Za-z][^"]*)"`)

// literalLine matches a line of a template that consists only of words.
var literalLine = regexp.MustCompile(`^[A-Z][a-z]+( [a-z]+)+[.]?$`)

func TestTemplates_UseHTMX4AndSecurityPolicy(t *testing.T) {
	for _, name := range append(glob(t, "*.templ"), "../static/app.js") {
		source := markup(t, name)
		for word, pattern := range version2 {
			if found := pattern.FindString(source); found != "" {
				t.Errorf("%s: %s: %s", name, word, found)
			}
		}
	}
}

func TestTemplates_HaveNoLiteralText(t *testing.T) {
	for _, name := range glob(t, "*.templ") {
		source := markup(t, name)
		for _, found := range append(literal.FindAllStringSubmatch(source, -1), literalAttribute.FindAllStringSubmatch(source, -1)...) {
			if !strings.HasPrefix(found[1], "http") {
				t.Errorf("%s: %q must be a text of the catalogue", name, found[1])
			}
		}
		for line := range strings.Lines(source) {
			if line = strings.TrimSpace(line); literalLine.MatchString(line) {
				t.Errorf("%s: %q must be a text of the catalogue", name, line)
			}
		}
	}
}

// The patterns of the two tests above match what they should.
func TestTemplates_PatternsMatch(t *testing.T) {
	for source, pattern := range map[string]*regexp.Regexp{
		`<button hx-disabled-elt="this">`:       version2["hx-disabled-elt"],
		`addEventListener("htmx:beforeRequest"`: version2["a camel-case htmx event"],
		`<div hx-trigger="click[ctrlKey]">`:     version2["a filter in hx-trigger"],
		`<button onclick="x()">`:                version2["an inline event handler"],
		`<p>Save changes</p>`:                   literal,
		`<a aria-label="Close" href="/">`:       literalAttribute,
		`Merge requests are listed here.`:       literalLine,
	} {
		if !pattern.MatchString(source) {
			t.Errorf("%s is not found", source)
		}
	}
}

// goLines matches comments and Go statements in a template.
var goLines = regexp.MustCompile(`(?m)^\s*(//|if |for |switch |case |default:|\} else).*$`)

// markup returns a file without Go code: in templates, the bodies of components.
func markup(t *testing.T, name string) string {
	t.Helper()
	source, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text := string(source)
	if strings.HasSuffix(name, ".templ") {
		text = strings.Join(components.FindAllString(text, -1), "\n")
	}
	return goLines.ReplaceAllString(text, "")
}

// components matches the bodies of a file's components.
var components = regexp.MustCompile(`(?ms)^templ .*?^\}$`)

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no file %s: %v", pattern, err)
	}
	return names
}
