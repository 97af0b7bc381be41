package models

import (
	"regexp"
	"strings"
	"unicode"
)

// MatchBranch reports whether a branch matches a protected branch's name or pattern.
// "*" matches any run of characters, including "/" and the empty run. Case matters, and
// no other character is special. Every rule about branches uses this function.
func MatchBranch(pattern, branch string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == branch
	}
	if !strings.HasPrefix(branch, parts[0]) {
		return false
	}
	rest := branch[len(parts[0]):]
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return len(rest) >= len(last) && strings.HasSuffix(rest, last)
}

// IsWildcard reports whether a protected branch's name is a pattern.
func IsWildcard(name string) bool { return strings.Contains(name, "*") }

// ValidBranchName reports whether git accepts name as a branch, see
// git-check-ref-format(1), and it has at most 255 bytes.
func ValidBranchName(name string) bool {
	if name == "" || len(name) > 255 || name == "@" || name == "HEAD" || strings.HasPrefix(name, "-") || hasControl(name) {
		return false
	}
	if strings.ContainsAny(name, " ~^:?*[\\\x7f") || strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.Contains(name, "//") {
		return false
	}
	for _, part := range strings.Split(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") || strings.HasSuffix(part, ".") {
			return false
		}
	}
	return true
}

var objectID = regexp.MustCompile(`^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$`)

// validNewBranchName is ValidBranchName for a branch that does not exist yet. It also
// refuses full object ids, which git would resolve to a commit, and bidirectional
// control characters, which make a name look like another one. The git hooks refuse the
// same names.
func validNewBranchName(name string) bool {
	return ValidBranchName(name) && !objectID.MatchString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) })
}

// validBranchPattern is ValidBranchName for names that may contain wildcards.
func validBranchPattern(name string) bool {
	return ValidBranchName(strings.ReplaceAll(name, "*", "x"))
}
