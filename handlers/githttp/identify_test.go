package githttp_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/githttp"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestMain(m *testing.M) { os.Exit(modelstest.Main(m)) }

// noGit is a Transport that responds 200 to every info/refs that was authorized.
type noGit struct{ githttp.Transport }

func (noGit) InfoRefs(http.ResponseWriter, *http.Request, int64, string) error { return nil }

// The limit per address leaves room for an office that shares one address. The
// limit per account is ten wrong passwords.
func TestPassword_TooManyAttempts_IsRefusedPerAccount(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		digest, err := auth.HashPassword(t.Context(), "a good password")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Store.SetPassword(t.Context(), w.Owner, digest, "", false); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if ok, err := w.Store.CountAttempt(t.Context(), "sign_in:address:192.0.2.1", 300, 10*time.Minute); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		e := echo.New()
		githttp.Register(e, githttp.Deps{
			Store: w.Store, Transport: noGit{}, BaseURL: "https://gate.example",
			Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		infoRefs := func(password string) int {
			r := httptest.NewRequest(http.MethodGet, "/"+w.Project.FullPath()+".git/info/refs?service=git-receive-pack", nil)
			r.SetBasicAuth(w.Owner.Username, password)
			response := httptest.NewRecorder()
			e.ServeHTTP(response, r)
			return response.Code
		}
		if got := infoRefs("a good password"); got != http.StatusOK {
			t.Errorf("after 100 attempts from the address: status %d, want 200", got)
		}
		for range 10 {
			if got := infoRefs("wrong"); got != http.StatusUnauthorized {
				t.Fatalf("wrong password: status %d, want 401", got)
			}
		}
		if got := infoRefs("wrong"); got != http.StatusTooManyRequests {
			t.Errorf("eleventh wrong password: status %d, want 429", got)
		}
		if got := infoRefs("another guess"); got != http.StatusTooManyRequests {
			t.Errorf("another password beyond the limit: status %d, want 429", got)
		}
	})
}
