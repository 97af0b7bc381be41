package views

import (
	"context"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
)

// in is c for readers of a language.
func in(lang string, c templ.Component) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		return c.Render(WithLanguage(ctx, lang), w)
	})
}

func TestJapaneseTimes(t *testing.T) {
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

// TestTheScriptCountsInThePagesLanguage: what app.js writes comes from the page.
func TestTheScriptCountsInThePagesLanguage(t *testing.T) {
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
		if got := AcceptedLanguage(header); got != want {
			t.Errorf("%.40q: %q, want %q", header, got, want)
		}
	}
}

// avoidedWords maps words that the Japanese texts do not use to the one that
// they use for the same thing.
var avoidedWords = map[string]string{
	"合格": "成功", "完了する必要": "成功する必要", "対象ブランチ": "ターゲットブランチ", "競合": "コンフリクト", "非公開": "プライベート",
	"要求": "リクエスト", "再送信": "再試行",
	"マージがブロックされ": "マージはブロックされ",
}

// japaneseFaults are spellings that no Japanese text has.
var japaneseFaults = map[string]*regexp.Regexp{
	"a space after 。 or 、":                       regexp.MustCompile(`[。、] `),
	"a bracket without a space before it":        regexp.MustCompile(`[^ 「(]\(`),
	"a full-width bracket, colon or letter":      regexp.MustCompile(`[（）：！？Ａ-Ｚａ-ｚ０-９]`),
	"個 for what 件 counts":                        regexp.MustCompile(`\}個(の(ステータスチェック|マージリクエスト|コミット|ブランチ|配信|承認|条件))`),
	"a space between a number and its counter":   regexp.MustCompile(`\}\} [\p{Hiragana}\p{Katakana}\p{Han}]`),
	"a space between Japanese and a placeholder": regexp.MustCompile(`[\p{Hiragana}\p{Katakana}\p{Han}ー] \{\{`),
	"a name of an API scope that is not code":    regexp.MustCompile(`スコープapi`),
}

// spacedInJapanese are the texts with a space after a placeholder: a terminal
// would take the words for a part of the URL.
var spacedInJapanese = map[string]bool{"git.new_password": true}

// TestJapaneseTexts_OneWordForOneThing checks the catalogue for words and
// spellings that were used beside the usual ones.
func TestJapaneseTexts_OneWordForOneThing(t *testing.T) {
	for key, forms := range messages(t, "ja") {
		text := forms["other"]
		for word, use := range avoidedWords {
			if strings.Contains(text, word) {
				t.Errorf("%s uses %s instead of %s: %s", key, word, use, text)
			}
		}
		for fault, pattern := range japaneseFaults {
			if pattern.MatchString(text) && !spacedInJapanese[key] {
				t.Errorf("%s has %s: %s", key, fault, text)
			}
		}
	}
}
