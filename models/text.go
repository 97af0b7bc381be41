package models

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// MaxNameLength is the longest name of any entity, in characters, as in GitLab.
const MaxNameLength = 255

// cleanName trims s and converts it to Unicode normal form NFC.
func cleanName(s string) string {
	return norm.NFC.String(strings.TrimSpace(s))
}

// foldKey returns the form of a name that unique indexes compare. It folds case by
// Unicode's rules; lower() of the databases does not agree outside ASCII.
func foldKey(s string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(s)))
}

// hasControl reports whether s contains control characters or invalid UTF-8.
func hasControl(s string) bool {
	if !utf8.ValidString(s) {
		return true
	}
	return strings.ContainsFunc(s, unicode.IsControl)
}

// validText reports whether s is valid UTF-8 without NUL, which PostgreSQL cannot
// store. Line breaks and tabs are allowed.
func validText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// checkName adds the errors that all name fields share.
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

// checkPath adds the errors of a path segment of a namespace or project. It may contain
// ASCII letters, digits, "_", "-" and ".", must not start with "-" or ".", and must not
// end with ".git", ".atom" or ".".
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

// cleanText replaces invalid UTF-8 and removes NUL, so PostgreSQL can store s.
func cleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// formatSwitch returns "on" or "off" for audit events.
func formatSwitch(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
