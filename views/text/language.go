package text

import (
	"context"
	"slices"

	"golang.org/x/text/language"
)

// defaultLanguage is spoken where nobody chose another.
const defaultLanguage = "en"

// languages are those that pages speak, the default first.
var languages = []string{defaultLanguage, "ja"}

// accepted finds the language of ours that suits a browser's best.
var accepted = language.NewMatcher([]language.Tag{language.English, language.Japanese})

type languageKey struct{}

// WithLanguage is ctx in which T and N speak the language lang, such as "en".
// A language that is none of ours is English.
func WithLanguage(ctx context.Context, lang string) context.Context {
	return context.WithValue(ctx, languageKey{}, lang)
}

// Language is the language of ctx that pages name in their lang attribute.
func Language(ctx context.Context) string {
	if lang, ok := ctx.Value(languageKey{}).(string); ok && IsLanguage(lang) {
		return lang
	}
	return defaultLanguage
}

// SentenceGap is what separates two sentences: a space in English, nothing in
// Japanese, whose full stop is as wide as a character.
func SentenceGap(ctx context.Context) string {
	if Language(ctx) == "ja" {
		return ""
	}
	return " "
}

// Languages are those that pages speak, such as "ja".
func Languages() []string { return slices.Clone(languages) }

// IsLanguage reports whether pages speak the language lang, such as "ja".
func IsLanguage(lang string) bool { return slices.Contains(languages, lang) }

// AcceptedLanguage is the language of ours that suits an Accept-Language
// header best, the default where none does.
func AcceptedLanguage(header string) string {
	_, index := language.MatchStrings(accepted, header)
	return languages[index]
}
