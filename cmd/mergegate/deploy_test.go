package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// Files for operators name only settings that exist.
func TestDeploy_NamesRealSettings(t *testing.T) {
	var names []string
	for _, s := range settings() {
		names = append(names, s.name)
	}
	found := 0
	for _, root := range []string{"../../deploy", "../../docs", "../../README.md"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			for _, name := range regexp.MustCompile(`\bMERGEGATE_[A-Z_]+[A-Z]\b`).FindAllString(string(content), -1) {
				found++
				// Examples read MERGEGATE_TOKEN, _URL and _SECRET, tests MERGEGATE_TEST_… and MERGEGATE_BENCH_….
				ours := regexp.MustCompile(`^MERGEGATE_(TOKEN|URL|SECRET|(TEST|BENCH|DEMO_SERVICE)_.*)$`).MatchString(name)
				if !ours && !slices.Contains(names, name) {
					t.Errorf("%s: %s is not a setting", path, name)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 50 {
		t.Errorf("only %d names were found", found)
	}
}
