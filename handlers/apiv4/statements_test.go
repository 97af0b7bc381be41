package apiv4_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// Services wait for the answer to their response, and each statement is a round trip to
// PostgreSQL. BEGIN and COMMIT are not counted.
func TestSetStatus_SendsFewStatements(t *testing.T) {
	const limit = 7
	eachDatabase(t, func(t *testing.T, s *testSite) {
		respond := func(status string) {
			t.Helper()
			body := fmt.Sprintf(`{"external_status_check_id":1,"sha":%q,"status":%q}`, s.mr.HeadSHA, status)
			s.wantAnswer(t, s.do("developer", "POST", "/projects/1/merge_requests/1/status_check_responses", body), 201)
		}
		respond("pending") // writes when the token was last used
		for _, status := range []string{"passed", "failed", "failed"} {
			var statements []string
			s.Store.SetHooks(models.Hooks{Query: func(sql string) { statements = append(statements, sql) }})
			respond(status)
			s.Store.SetHooks(models.Hooks{})
			if len(statements) == 0 || len(statements) > limit {
				t.Errorf("%s: %d statements, want at most %d:\n%s", status, len(statements), limit, strings.Join(statements, "\n"))
			}
		}
	})
}
