package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/handlers"
)

var update = flag.Bool("update", false, "write the table in docs/configuration.md anew")

// Every setting has a meaning, and docs/configuration.md has the current table.
func TestSettings_AreDocumented(t *testing.T) {
	var table strings.Builder
	table.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	documented := map[string]bool{}
	for _, s := range settings() {
		if s.meaning == "" {
			t.Errorf("settingMeanings does not explain %s", s.name)
		}
		documented[s.name] = true
		fallback := ""
		if s.fallback != "" {
			fallback = " `" + s.fallback + "`"
		}
		fmt.Fprintf(&table, "| `%s` |%s | %s |\n", s.name, fallback, s.meaning)
	}
	for name := range settingMeanings {
		if !documented[name] {
			t.Errorf("settingMeanings explains %s, which config does not have", name)
		}
	}
	const path, begin, end = "../../docs/configuration.md", "<!-- settings, generated -->\n", "<!-- end of settings -->\n"
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(content), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no lines %q and %q", path, begin, end)
	}
	want := before + begin + table.String() + end + after
	if want == string(content) {
		return
	}
	if !*update {
		t.Fatalf("the table in %s is stale; run go test ./cmd/mergegate -run TestSettings_AreDocumented -update", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// clearSettings removes all settings from the environment of a test and returns
// a folder for files.
func clearSettings(t *testing.T) string {
	t.Helper()
	for _, s := range settings() {
		t.Setenv(s.name, "")
		os.Unsetenv(s.name)
	}
	folder := t.TempDir()
	t.Setenv("MERGEGATE_DATA", filepath.Join(folder, "data"))
	return folder
}

func TestSecrets_FromFilesAndCredentials(t *testing.T) {
	const key, older = "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=", "YWJjZGVmZ2hpamtsbW5vcHFyc3R1djAxMjM0NTY3ODk="
	const database = "postgres://mergegate:pear@db.example.com/mergegate"
	for name, variables := range map[string]map[string]string{
		"files": {
			"MERGEGATE_SECRET_KEY_FILE": "mergegate.secret_key", "MERGEGATE_DATABASE_URL_FILE": "mergegate.database_url",
			"MERGEGATE_OLD_SECRET_KEYS_FILE": "mergegate.old_secret_keys",
		},
		"credentials": {"CREDENTIALS_DIRECTORY": "."},
		// A variable replaces a credential.
		"both": {"CREDENTIALS_DIRECTORY": ".", "MERGEGATE_DATABASE_URL": database},
	} {
		t.Run(name, func(t *testing.T) {
			folder := clearSettings(t)
			for variable, value := range variables {
				if !strings.Contains(value, "://") {
					value = filepath.Join(folder, value)
				}
				t.Setenv(variable, value)
			}
			stored := database
			if name == "both" {
				stored = "postgres://nobody@nowhere.example.com/nothing"
			}
			for file, content := range map[string]string{"secret_key": key, "database_url": stored, "old_secret_keys": older + "\n" + older} {
				if err := os.WriteFile(filepath.Join(folder, "mergegate."+file), []byte(content+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c, err := readConfig()
			if err != nil {
				t.Fatal(err)
			}
			got := []string{c.SecretKey, c.DatabaseURL, c.OldSecretKeys}
			if want := []string{key, database, older + "\n" + older}; !reflect.DeepEqual(got, want) {
				t.Errorf("secrets %q, want %q", got, want)
			}
		})
	}
}

func TestSecrets_InvalidFile_NamesIt(t *testing.T) {
	for name, test := range map[string]struct {
		variable, content string
		want              string
	}{
		"an empty file":           {"MERGEGATE_SECRET_KEY_FILE", " \n", "MERGEGATE_SECRET_KEY_FILE is empty"},
		"a large file":            {"MERGEGATE_DATABASE_URL_FILE", strings.Repeat("x", maxSecretBytes+1), "is larger than 65536 bytes"},
		"a weak key":              {"MERGEGATE_SECRET_KEY_FILE", "c2hvcnQ=", "MERGEGATE_SECRET_KEY_FILE is too short"},
		"a weak old key":          {"MERGEGATE_OLD_SECRET_KEYS_FILE", "c2hvcnQ=", "MERGEGATE_OLD_SECRET_KEYS_FILE is too short"},
		"a weak key of systemd":   {"", "c2hvcnQ=", "credential mergegate.secret_key is too short"},
		"an empty one of systemd": {"", "", "credential mergegate.secret_key is empty"},
		"another database":        {"MERGEGATE_DATABASE_URL_FILE", "mysql://x", "MERGEGATE_DATABASE_URL_FILE must begin with postgres://"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := clearSettings(t)
			path := filepath.Join(folder, "mergegate.secret_key")
			if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if test.variable == "" {
				t.Setenv("CREDENTIALS_DIRECTORY", folder)
			} else {
				t.Setenv(test.variable, path)
			}
			_, err := readConfig()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if err != nil && test.content == "mysql://x" && strings.Contains(err.Error(), test.content) {
				t.Errorf("the error prints a secret: %v", err)
			}
		})
	}
}

// The admin area shows every setting with its source, and no secret.
func TestSettingsInForce_HaveSourcesAndNoSecrets(t *testing.T) {
	folder := clearSettings(t)
	key := filepath.Join(folder, "key")
	const secret = "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="
	if err := os.WriteFile(key, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MERGEGATE_SECRET_KEY_FILE", key)
	t.Setenv("MERGEGATE_DATABASE_URL", "postgres://ada:hunter2@localhost/mergegate")
	t.Setenv("MERGEGATE_TRUSTED_PROXIES", "127.0.0.1/32,10.0.0.0/8")
	c, err := readConfig()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]handlers.Setting{}
	for _, s := range c.inForce() {
		if strings.Contains(s.Value, secret) || strings.Contains(s.Value, "hunter2") {
			t.Errorf("%s shows a secret: %q", s.Name, s.Value)
		}
		got[s.Name] = s
	}
	for _, want := range []handlers.Setting{
		{Name: "MERGEGATE_LISTEN", Value: "127.0.0.1:8080", Source: handlers.SettingDefault},
		{Name: "MERGEGATE_SECRET_KEY", Secret: true, Set: true, Source: handlers.SettingFile},
		{Name: "MERGEGATE_OLD_SECRET_KEYS", Secret: true, Source: handlers.SettingDefault},
		{Name: "MERGEGATE_DATABASE_URL", Secret: true, Set: true, Source: handlers.SettingEnvironment},
		{Name: "MERGEGATE_TRUSTED_PROXIES", Value: "127.0.0.1/32, 10.0.0.0/8", Source: handlers.SettingEnvironment},
		{Name: "MERGEGATE_LOG_LEVEL", Value: "INFO", Source: handlers.SettingDefault},
	} {
		if got[want.Name] != want {
			t.Errorf("%+v, want %+v", got[want.Name], want)
		}
	}
	if len(got) != len(settings()) {
		t.Errorf("%d settings, want %d", len(got), len(settings()))
	}
}
