package handlers

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/webhook"
)

// The log has English sentences; the page translates those of Mergegate and
// keeps technical details.
func TestDeliveryErrors_AreInTheReadersLanguage(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		service := s.Service("licence")
		s.openMergeRequest("topic")
		details := []struct{ kind, stored, english, japanese string }{
			{webhook.ErrorTimeout, webhook.DetailTimeout, "No answer in time.", "時間内に応答がありませんでした。"},
			{webhook.ErrorRedirect, fmt.Sprintf(webhook.DetailRedirectTo, "https://a.test/"), "The answer was a redirect to https://a.test/, which is not followed.",
				"応答はhttps://a.test/へのリダイレクトでした。リダイレクトには従いません。"},
			{webhook.ErrorInvalidAnswer, webhook.DetailInformational, webhook.DetailInformational, "応答は中間応答のみで、最終的な応答がありませんでした。"},
			{webhook.ErrorInvalidAnswer, webhook.DetailStatus, webhook.DetailStatus, "応答のステータスはHTTPで定められたものではありません。"},
			{"", webhook.DetailNotSuccess, webhook.DetailNotSuccess, "応答は成功でもリダイレクトでもありませんでした。成功とみなされるのは200～299のみです。"},
			{webhook.ErrorTLS, "TLS: x509: expired", "TLS: x509: expired", "TLS: x509: expired"},
			{models.ErrorSecret, models.DetailSecret, models.DetailSecret, "共有シークレットを読み取れません。サーバーのシークレットキーが変更されていないか確認してください。"},
		}
		var english, japanese []string
		for _, d := range details {
			s.Clock.Advance(40 * time.Minute)
			claimed, err := s.Store.Claim(t.Context(), models.ClaimOptions{Limit: 1})
			if err != nil || len(claimed) != 1 {
				t.Fatalf("%d claimed: %v", len(claimed), err)
			}
			result := models.AttemptResult{StartedAt: s.Clock.Now(), Error: d.kind, ErrorDetail: d.stored}
			if err := s.Store.FinishDelivery(t.Context(), claimed[0].Delivery, result); err != nil {
				t.Fatal(err)
			}
			// The newest attempt is listed first.
			english, japanese = slices.Insert(english, 0, d.english), slices.Insert(japanese, 0, d.japanese)
		}
		v := s.as(s.Owner)
		one := v.get(servicePath(service)).wantStatus(http.StatusOK).attr("#deliveries tbody td:first-child a", "href")
		for language, want := range map[string][]string{"en": english, "ja": japanese} {
			var got []string
			for _, p := range v.withLanguage(language).get(one).wantStatus(http.StatusOK).Find("p.card__body").EachIter() {
				got = append(got, collapseSpace(p.Text()))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", language, got, want)
			}
		}
	})
}
