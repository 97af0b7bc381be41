package handlers

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// Runs the command with sh: a receiver on the loopback address gets the same request.
func TestCurlCommand_RunBySh_SendsRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}))
	t.Cleanup(server.Close)
	payload := `{"title":"it's \"$HOME\" ` + "`id`" + ` $(id) \\ 日本 %s"}` + "\nMERGEGATE_BODY\n--upload-file x"
	header := models.Header{
		"Content-Type": {"application/json"}, "X-Gitlab-Event": {"Merge Request Hook"}, "Idempotency-Key": {"it's; $(id)"},
		"X-Gitlab-Signature": {"[masked]"}, "Webhook-Signature": {"[masked]"}, "Webhook-Timestamp": {"1"}, "Authorization": {"[masked]"},
		"X-Api-Key": {"[masked]"}, "Content-Length": {"3"},
	}
	command, variables := curlCommand(strings.Replace(server.URL, "://", "://user:password@", 1)+"/a'b/$(id)?token=open-sesame", header, []byte(payload))
	for _, secret := range []string{"open-sesame", "password", "user:"} {
		if strings.Contains(command, secret) {
			t.Errorf("the command contains %q: %s", secret, command)
		}
	}
	if want := []string{"MERGEGATE_QUERY", "MERGEGATE_AUTHORIZATION", "MERGEGATE_X_API_KEY", "MERGEGATE_SECRET"}; !slices.Equal(variables, want) {
		t.Errorf("variables %v, want %v", variables, want)
	}
	sh := exec.CommandContext(t.Context(), "sh", "-eu")
	sh.Env = append(sh.Environ(), "MERGEGATE_SECRET=it's secret", "MERGEGATE_QUERY=a=b", "MERGEGATE_AUTHORIZATION=Basic eA==", "MERGEGATE_X_API_KEY=k")
	sh.Stdin = strings.NewReader(command)
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s\n%s", err, out, command)
	}
	if got == nil || string(body) != payload+"\n" || got.Method != http.MethodPost || got.RequestURI != "/a'b/$(id)?a=b" {
		t.Fatalf("received %+v with body %q", got, body)
	}
	mac := hmac.New(sha256.New, []byte("it's secret"))
	mac.Write(body)
	for name, want := range map[string]string{
		"Content-Type": "application/json", "X-Gitlab-Event": "Merge Request Hook", "Idempotency-Key": "it's; $(id)", "Authorization": "Basic eA==",
		"X-Api-Key": "k", "X-Gitlab-Signature": hex.EncodeToString(mac.Sum(nil)), "Webhook-Signature": "", "Webhook-Timestamp": "",
	} {
		if value := got.Header.Get(name); value != want {
			t.Errorf("%s: %q, want %q", name, value, want)
		}
	}
}
