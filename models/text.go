package models

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// MaxNameLength is the longest name of anything, in characters (GitLab's
// column width).
const MaxNameLength = 255

// cleanName trims s and brings it to NFC, so that what looks the same is the
// same.
func cleanName(s string) string {
	return norm.NFC.String(strings.TrimSpace(s))
}

// foldKey is the form of a name that unique indexes compare: case-folded by
// Unicode's rules, which neither database's lower() follows.
func foldKey(s string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(s)))
}

// hasControl reports whether s holds control characters or is not valid UTF-8.
func hasControl(s string) bool {
	if !utf8.ValidString(s) {
		return true
	}
	return strings.ContainsFunc(s, unicode.IsControl)
}

// validText reports whether a free text may be stored: valid UTF-8 without
// NUL, which PostgreSQL cannot hold. Line breaks and tabs are fine.
func validText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// checkName finds the faults that every name field shares.
func checkName(f *fieldErrors, field, value string) {
	switch {
	case value == "":
		f.add(field, CodeBlank)
	case hasControl(value):
		f.add(field, CodeControlCharacter)
	case utf8.RuneCountInString(value) > MaxNameLength:
		f.add(field, CodeTooLong, "max", "255")
	}
}

// checkPath finds the faults of a namespace's or project's path segment:
// letters, digits, _ - . as SPEC's projects have them, not starting with a
// dash or dot, not ending in ".git" or ".atom" or a dot.
func checkPath(f *fieldErrors, field, value string) {
	if value == "" {
		f.add(field, CodeBlank)
		return
	}
	if len(value) > MaxNameLength {
		f.add(field, CodeTooLong, "max", "255")
		return
	}
	for i, r := range value {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' ||
			(i > 0 && (r == '-' || r == '.'))
		if !ok {
			f.add(field, CodeInvalid)
			return
		}
	}
	lower := strings.ToLower(value)
	if strings.HasSuffix(lower, ".git") || strings.HasSuffix(lower, ".atom") || strings.HasSuffix(lower, ".") {
		f.add(field, CodeInvalid)
	}
}

// cleanText makes a text from outside storable: valid UTF-8 without NUL.
func cleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// formatSwitch writes a switch in audit events.
func formatSwitch(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
