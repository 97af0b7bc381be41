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

// Key names one text that people read. Each area declares its keys in
// text_<area>.go and their English messages in locales/<area>.en.toml.
type Key string

//go:embed locales/*.toml
var localeFiles embed.FS

// localizers has one localizer per language with messages. They are made at
// first use: git's hooks run this program too, and have no time to lose.
var localizers = sync.OnceValue(newLocalizers)

// loadBundle reads the messages of every area and language.
func loadBundle() *i18n.Bundle {
	b := i18n.NewBundle(language.English)
	b.RegisterUnmarshalFunc("toml", toml.Unmarshal)
	names, err := fs.Glob(localeFiles, "locales/*.toml")
	if err != nil {
		panic(fmt.Sprintf("views: message files: %v", err))
	}
	for _, name := range names {
		if _, err := b.LoadMessageFileFS(localeFiles, name); err != nil {
			panic(fmt.Sprintf("views: message file %s: %v", name, err))
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

// T is the text of k in the language of ctx. args are alternating names and
// values for the message's placeholders: T(ctx, KeyGreeting, "Name", name).
// The result is plain text; templates escape it. A key without a message reads
// as the key itself.
func T(ctx context.Context, k Key, args ...any) string {
	return localize(ctx, &i18n.LocalizeConfig{MessageID: string(k), TemplateData: data(args)})
}

// N is the text of k for n things, in the plural form that the language asks
// for. The placeholder .Count is n unless args say otherwise.
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

// data turns alternating names and values into a map.
func data(args []any) map[string]any {
	values := make(map[string]any, len(args)/2+1)
	for i := 0; i+1 < len(args); i += 2 {
		values[fmt.Sprint(args[i])] = args[i+1]
	}
	return values
}
