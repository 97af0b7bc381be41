// Package text is the catalogue of all texts that users read, in English and
// Japanese. [T] and [N] return the text of a [Key] in the language of a context;
// [WithLanguage] sets it. The messages are in locales/<area>.<language>.toml.
package text

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"sync"

	"github.com/BurntSushi/toml"
	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

// Key identifies a text that users read. The keys of an area are declared in
// keys_<area>.go, its messages in locales/<area>.<language>.toml.
type Key string

//go:embed locales/*.toml
var localeFiles embed.FS

// localizers returns one localizer per language. They are created at first use,
// because git hooks run this program, too, and must start fast.
var localizers = sync.OnceValue(newLocalizers)

// loadBundle reads the messages of all areas and languages.
func loadBundle() *i18n.Bundle {
	b := i18n.NewBundle(language.English)
	b.RegisterUnmarshalFunc("toml", toml.Unmarshal)
	names, err := fs.Glob(localeFiles, "locales/*.toml")
	if err != nil {
		panic(fmt.Sprintf("text: message files: %v", err))
	}
	for _, name := range names {
		if _, err := b.LoadMessageFileFS(localeFiles, name); err != nil {
			panic(fmt.Sprintf("text: message file %s: %v", name, err))
		}
	}
	return b
}

func newLocalizers() map[string]*i18n.Localizer {
	m, bundle := map[string]*i18n.Localizer{}, loadBundle()
	for _, tag := range bundle.LanguageTags() {
		m[tag.String()] = i18n.NewLocalizer(bundle, tag.String())
	}
	return m
}

// T returns the text of k in the language of ctx. args are alternating names and
// values for the message's placeholders: T(ctx, KeyGreeting, "Name", name). The
// result is plain text; templates escape it. For a key without a message it
// returns the key.
func T(ctx context.Context, k Key, args ...any) string {
	return localize(ctx, &i18n.LocalizeConfig{MessageID: string(k), TemplateData: data(args)})
}

// N returns the text of k in the plural form for n. The placeholder .Count is n
// unless args contain "Count".
func N(ctx context.Context, k Key, n int, args ...any) string {
	values := data(append([]any{"Count", n}, args...))
	return localize(ctx, &i18n.LocalizeConfig{MessageID: string(k), TemplateData: values, PluralCount: n})
}

func localize(ctx context.Context, config *i18n.LocalizeConfig) string {
	text, err := localizers()[Language(ctx)].Localize(config)
	if text == "" && err != nil {
		return config.MessageID
	}
	return text
}

// data converts alternating names and values to a map.
func data(args []any) map[string]any {
	values := make(map[string]any, len(args)/2+1)
	for i := 0; i+1 < len(args); i += 2 {
		values[fmt.Sprint(args[i])] = args[i+1]
	}
	return values
}
