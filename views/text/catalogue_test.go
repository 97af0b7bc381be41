package text

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// sameInJapanese are messages that are equal in both languages: names, and messages
// without words.
var sameInJapanese = map[string]bool{
	"frame.product_name": true, "frame.page_title": true, "frame.readme": true, "mr.page_title": true,
	"mr.delivery_http": true, "log.timing_dns": true, "log.timing_tls": true, "checks.http_status": true, "checks.api_column": true, "checks.hmac_on": true, "checks.plain_http": true,
	"checks.audit_field_hmac": true, "checks.change_both": true, "checks.change_to": true,
	"settings.language_english": true, "settings.language_japanese": true,
}

// computedKeys are prefixes of keys that are built at run time.
var computedKeys = []string{"checks.audit_"}

// message is a text by plural form. A text without plural forms has only "other".
type message map[string]string

// messages returns the messages of a language by key.
func messages(t *testing.T, lang string) map[string]message {
	t.Helper()
	all := map[string]message{}
	for _, name := range glob(t, "locales/*."+lang+".toml") {
		var areas map[string]map[string]any
		if _, err := toml.DecodeFile(name, &areas); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for area, texts := range areas {
			if want := filepath.Base(name); want != area+"."+lang+".toml" {
				t.Errorf("%s holds messages of %q", name, area)
			}
			for id, value := range texts {
				forms := message{}
				switch v := value.(type) {
				case string:
					forms["other"] = v
				case map[string]any:
					for form, text := range v {
						forms[form] = fmt.Sprint(text)
					}
				}
				all[area+"."+id] = forms
			}
		}
	}
	return all
}

// keys returns the constants' names by key, as declared in keys_*.go.
func keys(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range glob(t, "keys_*.go") {
		for constant, value := range stringConstants(t, name) {
			if found[value] != "" {
				t.Errorf("%s: key %q is declared twice", name, value)
			}
			found[value] = constant
		}
	}
	return found
}

// Every key has a message in every language, and every message has a key.
func TestKeys_HaveMessages(t *testing.T) {
	declared := keys(t)
	for _, lang := range languages {
		texts := messages(t, lang)
		for key := range declared {
			if texts[key]["other"] == "" {
				t.Errorf("%s: key %q has no message", lang, key)
			}
		}
		for id := range texts {
			if declared[id] == "" {
				t.Errorf("%s: message %q has no key", lang, id)
			}
		}
	}
}

func TestKeys_AreUsed(t *testing.T) {
	words := map[string]bool{}
	identifier := regexp.MustCompile(`\bKey[A-Za-z0-9]+\b`)
	for _, pattern := range []string{"*.go", "../*.go", "../*.templ", "../../handlers/*.go", "../../handlers/*/*.go"} {
		for _, name := range glob(t, pattern) {
			if strings.HasPrefix(filepath.Base(name), "keys_") || strings.HasSuffix(name, "_test.go") {
				continue
			}
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range identifier.FindAllString(string(source), -1) {
				words[word] = true
			}
		}
	}
	for key, constant := range keys(t) {
		computed := slices.ContainsFunc(computedKeys, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
		if !words[constant] && !computed {
			t.Errorf("%s (%q) is not used", constant, key)
		}
	}
}

// placeholder matches a placeholder for T or for app.js.
var placeholder = regexp.MustCompile(`\{\{\.\w+\}\}|\{n\}`)

// placeholders returns the distinct placeholders of a text, sorted.
func placeholders(text string) string {
	found := placeholder.FindAllString(text, -1)
	slices.Sort(found)
	return strings.Join(slices.Compact(found), " ")
}

// All languages and plural forms of a message use the same placeholders.
func TestMessages_UseSamePlaceholders(t *testing.T) {
	english, japanese := messages(t, "en"), messages(t, "ja")
	for key, forms := range english {
		want := placeholders(forms["other"])
		for form, text := range forms {
			got := placeholders(text)
			omitsCount := form == "one" && got == placeholders(strings.ReplaceAll(forms["other"], "{{.Count}}", ""))
			if got != want && !omitsCount { // "the last delivery" needs no number
				t.Errorf("en %s: %q uses %q, the other form %q", key, form, got, want)
			}
		}
		if got := placeholders(japanese[key]["other"]); got != want {
			t.Errorf("ja %s uses %q, English %q", key, got, want)
		}
		if len(japanese[key]) > 1 {
			t.Errorf("ja %s has plural forms, but Japanese has none", key)
		}
		if strings.Contains(fmt.Sprint(forms), "{{") && !placeholder.MatchString(forms["other"]) {
			t.Errorf("en %s: invalid placeholder: %s", key, forms["other"])
		}
	}
}

// japaneseLetter matches letters and marks that only Japanese texts have.
var japaneseLetter = regexp.MustCompile(`[\p{Hiragana}\p{Katakana}\p{Han}、。]`)

// letter matches a letter in any language.
var letter = regexp.MustCompile(`\p{L}`)

// Japanese texts have Japanese letters, and English texts have none.
func TestMessages_AreInTheirLanguage(t *testing.T) {
	english, japanese := messages(t, "en"), messages(t, "ja")
	for key, forms := range japanese {
		text := forms["other"]
		same := text == english[key]["other"]
		switch {
		case sameInJapanese[key] && !same:
			t.Errorf("ja %s: %q differs from the English message, but is in sameInJapanese", key, text)
		case sameInJapanese[key]:
		case same, !japaneseLetter.MatchString(text) && letter.MatchString(placeholder.ReplaceAllString(text, "")):
			t.Errorf("ja %s is not Japanese: %q", key, text)
		}
	}
	for key, forms := range english {
		for form, text := range forms {
			if japaneseLetter.MatchString(text) && key != "settings.language_japanese" {
				t.Errorf("en %s (%s) is not English: %q", key, form, text)
			}
		}
	}
	for key := range sameInJapanese {
		if japanese[key] == nil {
			t.Errorf("sameInJapanese has %s, but there is no such message", key)
		}
	}
}

// Japanese texts use the terms of GitLab's documentation.
func TestMessages_Japanese_UseGitLabTerms(t *testing.T) {
	ctx := WithLanguage(t.Context(), "ja")
	for key, want := range map[Key]string{
		KeyMRStatusChecks: "ステータスチェック", KeyChecksMustSucceed: "ステータスチェックが成功する必要があります",
		KeyChecksAdd: "ステータスチェックの追加", KeyChecksUpdate: "ステータスチェックを更新",
		KeyChecksRemoveTitle: "ステータスチェックを削除しますか?", KeyChecksRemoveConfirm: "ステータスチェックの削除",
		KeyChecksName: "サービス名", KeyChecksAPI: "チェックするAPI", KeyChecksTargetBranchLabel: "ターゲットブランチ",
		KeyChecksTargetBranch: "ターゲットブランチ", KeyChecksAllBranches: "すべてのブランチ", KeyChecksSecret: "HMAC共有シークレット",
		KeyStatusPending: "保留中", KeyStatusPassed: "成功", KeyStatusFailed: "失敗", KeyMRRetry: "再試行", KeyChecksEdit: "編集",
		KeyChecksRemove: "削除", KeySettings: "設定", KeyMergeRequests: "マージリクエスト", KeySaveChanges: "変更を保存",
	} {
		if got := T(ctx, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no file %s: %v", pattern, err)
	}
	return names
}

// stringConstants returns the string constants of a Go file by name.
func stringConstants(t *testing.T, name string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, decl := range file.Decls {
		d, ok := decl.(*ast.GenDecl)
		if !ok || d.Tok != token.CONST {
			continue
		}
		for _, spec := range d.Specs {
			constant := spec.(*ast.ValueSpec)
			for i, v := range constant.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					value, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}
					values[constant.Names[i].Name] = value
				}
			}
		}
	}
	return values
}
