package text

import (
	"regexp"
	"strings"
	"testing"
)

// avoidedWords maps words that Japanese texts must not use to the preferred word.
var avoidedWords = map[string]string{
	"合格": "成功", "完了する必要": "成功する必要", "対象ブランチ": "ターゲットブランチ", "競合": "コンフリクト", "非公開": "プライベート",
	"要求": "リクエスト", "再送信": "再試行",
	"マージがブロックされ": "マージはブロックされ",
}

// japaneseFaults match spellings that Japanese texts must not use.
var japaneseFaults = map[string]*regexp.Regexp{
	"a space after 。 or 、":                       regexp.MustCompile(`[。、] `),
	"a bracket without a space before it":        regexp.MustCompile(`[^ 「(]\(`),
	"a full-width bracket, colon or letter":      regexp.MustCompile(`[（）：！？Ａ-Ｚａ-ｚ０-９]`),
	"個 for what 件 counts":                        regexp.MustCompile(`\}個(の(ステータスチェック|マージリクエスト|コミット|ブランチ|配信|承認|条件))`),
	"a space between a number and its counter":   regexp.MustCompile(`\}\} [\p{Hiragana}\p{Katakana}\p{Han}]`),
	"a space between Japanese and a placeholder": regexp.MustCompile(`[\p{Hiragana}\p{Katakana}\p{Han}ー] \{\{`),
	"a name of an API scope that is not code":    regexp.MustCompile(`スコープapi`),
}

// spacedInJapanese are texts with a space after a placeholder. Without it, terminals
// would treat the following words as part of the URL.
var spacedInJapanese = map[string]bool{"git.new_password": true}

func TestMessages_Japanese_UsePreferredWords(t *testing.T) {
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
