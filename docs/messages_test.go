package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// placeholder matches the placeholder of a value in a message.
var placeholder = regexp.MustCompile(`\{\{[^}]*\}\}|\{[a-z]+\}|%[qsdvw]|…`)

// pattern returns the parts of a message between its values, in lower case.
func pattern(message string) []string {
	var parts []string
	for _, part := range placeholder.Split(message, -1) {
		if part = strings.Trim(strings.ToLower(part), ` "`); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// explains reports whether a message in the documentation, which may be shortened,
// is that of the program: its parts occur in it, in order.
func explains(documented, message string) bool {
	rest := strings.Join(pattern(message), " … ")
	length, covered := len(rest), 0
	for _, part := range pattern(documented) {
		covered += len(part)
		_, after, found := strings.Cut(rest, strings.TrimSuffix(part, "."))
		if !found {
			return false
		}
		rest = after
	}
	return covered*4 >= length // a single word explains no sentence
}

// refusals returns the messages that refuse something or say why something failed:
// those that troubleshooting.md must explain.
func refusals(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{} // message → where it is from
	texts := map[string]*regexp.Regexp{
		"git":   regexp.MustCompile(`^(sign_in|limited|not_found|no_.*|read_only_token|new_password|unavailable|failed|cannot_check|refused_.*|noticed_later|not_created|unknown_option|option_.*|same_target|title_wrong|description_wrong|already_open|other_reason)$`),
		"mr":    regexp.MustCompile(`^(refused_.*|failure_.*|reason_.*|merging_blocked|blocked_.*|checks_forbidden)$`),
		"frame": regexp.MustCompile(`^(error_\d+_title|sign_in_rejected|sign_in_limited|password_wrong)$`),
		"admin": regexp.MustCompile(`^link_invalid$`),
	}
	for file, keys := range texts {
		var catalogue map[string]map[string]any
		path := "../views/text/locales/" + file + ".en.toml"
		if _, err := toml.DecodeFile(path, &catalogue); err != nil {
			t.Fatal(err)
		}
		for key, value := range catalogue[file] {
			if forms, ok := value.(map[string]any); ok {
				value = forms["other"]
			}
			if message, ok := value.(string); ok && keys.MatchString(key) {
				all[message] = path + " " + key
			}
		}
	}
	for path, calls := range map[string]*regexp.Regexp{
		"../cmd/mergegate/config.go":      regexp.MustCompile(`(?:fault\(|errors\.New\()"((?:[^"\\]|\\.)*)"`),
		"../cmd/mergegate/secrets.go":     regexp.MustCompile(`faults, fmt\.Errorf\("((?:[^"\\]|\\.)*)"`),
		"../cmd/mergegate/healthcheck.go": regexp.MustCompile(`fmt\.Errorf\("((?:[^"\\]|\\.)*)"`),
		"../gitrepo/push.go":              regexp.MustCompile(`"((?:The|Your) push was [^"]*)"`),
		"../gitrepo/push_refs.go":         regexp.MustCompile(`refusal\((?:fmt\.Sprintf\()?"((?:[^"\\]|\\.)*)"`),
		"../gitrepo/refs.go":              regexp.MustCompile(`fmt\.Errorf\("(%q is not allowed as [^"]*)"`),
		"../handlers/apiv4/errors.go":     regexp.MustCompile(`http\.Status\w+, "((?:[^"\\]|\\.)*)"\}`),
	} {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := calls.FindAllSubmatch(source, -1)
		if len(found) < 2 {
			t.Errorf("%s: only %d messages were found", path, len(found))
		}
		for _, match := range found {
			all[string(match[1])] = path
		}
	}
	return all
}

// troubleshooting.md explains every refusal, and each message in it exists.
func TestTroubleshooting_ExplainsEveryRefusal(t *testing.T) {
	var documented []string
	for _, cells := range tableRows(t, "troubleshooting.md", "", "") {
		for _, code := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[0], -1) {
			documented = append(documented, code[1])
		}
		if len(cells) != 3 || cells[1] == "" || cells[2] == "" {
			t.Errorf("a row has no cause or no way out: %q", cells)
		}
	}
	for message, from := range refusals(t) {
		explained := false
		for _, d := range documented {
			explained = explained || len(pattern(d)) > 0 && explains(d, message)
		}
		if !explained {
			t.Errorf("troubleshooting.md does not explain %q (%s): add a row with cause and way out", message, from)
		}
	}
	// The other direction: all that the program can print.
	var sources []string
	for _, glob := range []string{"../views/text/locales/*.en.toml", "../*/*.go", "../*/*/*.go"} {
		paths, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(path, "_test.go") {
				sources = append(sources, strings.ToLower(strings.ReplaceAll(string(content), `\"`, `"`)))
			}
		}
	}
	program := strings.Join(sources, "\n")
	for _, d := range documented {
		if strings.HasPrefix(d, "remote: fatal: ") || strings.HasPrefix(d, "error: RPC failed") {
			continue // printed by git
		}
		for _, part := range pattern(d) {
			if !strings.Contains(program, strings.TrimSuffix(part, ".")) {
				t.Errorf("troubleshooting.md explains %q, but the program never says %q", d, part)
			}
		}
	}
}

// Names in bold in the guide for people are labels of the pages.
func TestStatusChecksGuide_NamesRealLabels(t *testing.T) {
	paths, err := filepath.Glob("../views/text/locales/*.en.toml")
	if err != nil {
		t.Fatal(err)
	}
	var labels strings.Builder
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		labels.Write(content)
	}
	guide, err := os.ReadFile("status-checks.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\*\*([A-Z][^*]+)\*\*`).FindAllStringSubmatch(string(guide), -1)
	for _, name := range names {
		if !strings.Contains(labels.String(), `"`+strings.ReplaceAll(name[1], "\n", " ")) {
			t.Errorf("status-checks.md names %q, which is no label", name[1])
		}
	}
	if len(names) < 15 {
		t.Errorf("only %d names were found", len(names))
	}
}
