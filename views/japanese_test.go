package views

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// in renders c in a language.
func in(lang string, c templ.Component) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		return c.Render(text.WithLanguage(ctx, lang), w)
	})
}

func TestTimeAgo_Japanese(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 42, 0, 0, time.UTC)
	for age, want := range map[time.Duration]string{
		0: "たった今", time.Second: "1秒前", time.Minute: "1分前", 2 * time.Hour: "2時間前", 25 * time.Hour: "昨日",
		3 * 24 * time.Hour: "3日前", 7 * 24 * time.Hour: "2026年11月15日",
	} {
		el := draw(t, in("ja", TimeAgo(now.Add(-age), now))).Find("time")
		if got := el.Text(); got != want {
			t.Errorf("%v ago reads %q, want %q", age, got, want)
		}
		if title, _ := el.Attr("title"); !strings.HasPrefix(title, "2026年11月") {
			t.Errorf("%v ago: title %q", age, title)
		}
	}
}

// The texts that app.js writes are in the page's language.
func TestLayout_ScriptTexts_FollowLanguage(t *testing.T) {
	for lang, want := range map[string]map[string]string{
		"en": {"data-minutes-one": "1 minute ago", "data-minutes": "{n} minutes ago", "data-seconds": "{n} s ago", "data-yesterday": "yesterday", "data-separator": ", "},
		"ja": {"data-minutes-one": "1分前", "data-minutes": "{n}分前", "data-hours": "{n}時間前", "data-days": "{n}日前", "data-separator": "、"},
	} {
		doc := draw(t, in(lang, Layout(Page{})))
		if got, _ := doc.Find("html").Attr("lang"); got != lang {
			t.Errorf("lang = %q, want %q", got, lang)
		}
		for name, text := range want {
			if got, _ := doc.Find("#app-texts").Attr(name); got != text {
				t.Errorf("%s: %s = %q, want %q", lang, name, got, text)
			}
		}
	}
}

func TestAcceptedLanguage(t *testing.T) {
	for header, want := range map[string]string{
		"": "en", "ja": "ja", "ja-JP": "ja", "JA-jp;q=0.9, en;q=0.8": "ja", "en;q=0.4, ja;q=0.6": "ja", "en, ja": "en", "en-GB,ja;q=0.9": "en",
		"fr, ja;q=0.5, en;q=0.1": "ja", "fr": "en", "*": "en", "ja;q=0, en": "en", "nonsense;;;": "en", strings.Repeat("a-", 4000): "en",
	} {
		if got := text.AcceptedLanguage(header); got != want {
			t.Errorf("%.40q: %q, want %q", header, got, want)
		}
	}
}
