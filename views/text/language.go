package text

import (
	"context"
	"slices"

	"golang.org/x/text/language"
)

// defaultLanguage is used if no other language is requested.
const defaultLanguage = "en"

// languages are the supported languages, the default first.
var languages = []string{defaultLanguage, "ja"}

// accepted matches supported languages with a browser's.
var accepted = language.NewMatcher([]language.Tag{language.English, language.Japanese})

type languageKey struct{}

// WithLanguage returns a context in which T and N use the language lang, such as
// "en". An unsupported language means English.
func WithLanguage(ctx context.Context, lang string) context.Context {
	return context.WithValue(ctx, languageKey{}, lang)
}

// Language returns the language of ctx, "en" if none is set.
func Language(ctx context.Context) string {
	if lang, ok := ctx.Value(languageKey{}).(string); ok && IsLanguage(lang) {
		return lang
	}
	return defaultLanguage
}

// SentenceGap returns the separator of two sentences: a space in English, nothing
// in Japanese.
func SentenceGap(ctx context.Context) string {
	if Language(ctx) == "ja" {
		return ""
	}
	return " "
}

// Languages returns the supported languages, such as "ja", the default first.
func Languages() []string { return slices.Clone(languages) }

// IsLanguage reports whether the language lang, such as "ja", is supported.
func IsLanguage(lang string) bool { return slices.Contains(languages, lang) }

// AcceptedLanguage returns the supported language that matches an Accept-Language
// header best, or the default if none does.
func AcceptedLanguage(header string) string {
	_, index := language.MatchStrings(accepted, header)
	return languages[index]
}
