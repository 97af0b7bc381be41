package main

import (
	"os"
	"reflect"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The table of settings in README.md has every setting with its default.
func TestReadme_NamesEverySetting(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `(MERGEGATE_[A-Z_]+)` \\|(?: `([^`]*)`)? \\| .+ \\|$")
	documented := map[string]string{}
	for _, cells := range row.FindAllStringSubmatch(string(text), -1) {
		documented[cells[1]] = cells[2]
	}
	real := map[string]string{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[config]()) {
		if name := field.Tag.Get("env"); name != "" {
			real[name] = field.Tag.Get("envDefault")
		}
	}
	if diff := cmp.Diff(real, documented); diff != "" {
		t.Errorf("config.go (-) and README.md (+) differ:\n%s", diff)
	}
}
