package models

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestSuggestedTitle(t *testing.T) {
	for message, want := range map[string]struct {
		title string
		draft bool
	}{
		"Trim the pear\n\nbody":     {"Trim the pear", false},
		"A\tTAB and \x1b[31m ESC":   {"A TAB and [31m ESC", false},
		"Draft: trim":               {"trim", true},
		"[Draft] Draft: trim":       {"trim", true},
		"draft:":                    {"", true},
		" \t\n":                     {"", false},
		strings.Repeat("x", 300):    {strings.Repeat("x", 248), false},
		strings.Repeat("梨", 120):    {strings.Repeat("梨", 120), false},
		strings.Repeat("梨", 300):    {strings.Repeat("梨", 248), false},
		"caf\xe9":                   {"caf\uFFFD", false},
		strings.Repeat("word ", 99): {strings.TrimSpace(strings.Repeat("word ", 50)[:248]), false},
	} {
		title, draft := Commit{Message: message}.SuggestedTitle()
		if title != want.title || draft != want.draft {
			t.Errorf("%.30q suggests %q, %v; want %q, %v", message, title, draft, want.title, want.draft)
		}
	}
}

// The title is valid with and without the draft prefix, for any commit message.
func TestSuggestedTitle_IsValidTitle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		message := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
			rapid.StringMatching(`(Draft: |\[draft\]|\t|梨){0,300}`)).Draw(t, "message")
		title, _ := Commit{Message: message}.SuggestedTitle()
		if title == "" {
			return
		}
		for _, draft := range []bool{false, true} {
			var faults fieldErrors
			checkTitle(&faults, WithDraft(title, draft))
			if err := faults.err(); err != nil {
				t.Fatalf("%q suggests %q: %v", message, title, err)
			}
			if IsDraftTitle(WithDraft(title, draft)) != draft {
				t.Fatalf("%q suggests %q, which has a draft prefix of its own", message, title)
			}
		}
	})
}

func TestCutText_CountsCharacters(t *testing.T) {
	for _, s := range []string{"", "abc", strings.Repeat("梨", 300), strings.Repeat("😀", 256)} {
		if got := cutText(s, 255); utf8.RuneCountInString(got) != min(255, utf8.RuneCountInString(s)) || !strings.HasPrefix(s, got) {
			t.Errorf("cutText(%.10q) has %d characters", s, utf8.RuneCountInString(got))
		}
	}
}

func TestValidNewBranchName(t *testing.T) {
	for name, want := range map[string]bool{
		"main": true, "deadbeef": true, strings.Repeat("a", 39): true, strings.Repeat("a", 40): false, strings.Repeat("A1", 32): false,
		strings.Repeat("a", 41): true, "evil\u202egnp": false, "iso\u2066late": false, "arabic\u061cmark": false, "fix/" + strings.Repeat("a", 40): true,
	} {
		if got := validNewBranchName(name); got != want {
			t.Errorf("validNewBranchName(%q) = %v", name, got)
		}
	}
}
