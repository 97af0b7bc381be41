package auth

import (
	_ "embed"
	"slices"
	"strings"
	"unicode"
)

//go:embed common_passwords.txt
var commonPasswordList string

// commonPasswords are sorted words in lower case. A password that is one of
// them, with digits and signs around it, is easy to guess.
var commonPasswords = strings.Fields(commonPasswordList)

// substitutes replaces digits and signs that people write instead of letters.
var substitutes = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// minDistinct is the least number of different characters in a password.
const minDistinct = 5

// isCommonPassword reports whether a password is easy to guess: a common word
// or one of names with digits and signs around it, a text of fewer than
// minDistinct characters, or a run such as 12345678. names are publicly known
// names of the user.
func isCommonPassword(password string, names []string) bool {
	folded := strings.ToLower(password)
	distinct := map[rune]bool{}
	for _, r := range folded {
		distinct[r] = true
	}
	if len(distinct) < minDistinct || isRun(folded) {
		return true
	}
	core := strings.TrimFunc(folded, func(r rune) bool { return !unicode.IsLetter(r) })
	for _, form := range []string{folded, substitutes.Replace(core)} {
		word := letters(form)
		if _, known := slices.BinarySearch(commonPasswords, word); known && word != "" {
			return true
		}
		for _, name := range names {
			if name := letters(strings.ToLower(name)); name != "" && name == word {
				return true
			}
		}
	}
	return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(strings.TrimSpace(name), password) })
}

// letters returns s without digits, signs and space.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, s)
}

// isRun reports whether the characters of s ascend or descend by one, as in
// 12345678 and hgfedcba. After 9 comes 0.
func isRun(s string) bool {
	var previous rune
	step := rune(0)
	for i, r := range []rune(s) {
		d := r - previous
		if previous == '9' && r == '0' {
			d = 1
		}
		if previous == '0' && r == '9' {
			d = -1
		}
		switch {
		case i == 0:
		case d != 1 && d != -1, i > 1 && d != step:
			return false
		default:
			step = d
		}
		previous = r
	}
	return true
}
