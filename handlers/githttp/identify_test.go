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

// noGit answers where git would: whoever gets here was let in.
type noGit struct{}

func (noGit) InfoRefs(http.ResponseWriter, *http.Request, int64, string) error { return nil }

func (noGit) Service(http.ResponseWriter, *http.Request, int64, string, int64, string) error {
	return nil
}

// An office behind one address that has signed in a hundred times in its
// browsers is no reason to refuse it git; one account is refused after ten
// wrong passwords.
func TestSignInLimits(t *testing.T) {
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
			if ok, err := w.Store.CountTry(t.Context(), "sign_in:address:192.0.2.1", 300, 10*time.Minute); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		e := echo.New()
		githttp.Register(e, githttp.Deps{Store: w.Store, Transport: noGit{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), BaseURL: "https://gate.example"})
		ask := func(password string) int {
			r := httptest.NewRequest(http.MethodGet, "/"+w.Project.FullPath()+".git/info/refs?service=git-receive-pack", nil)
			r.SetBasicAuth(w.Owner.Username, password)
			answer := httptest.NewRecorder()
			e.ServeHTTP(answer, r)
			return answer.Code
		}
		if got := ask("a good password"); got != http.StatusOK {
			t.Errorf("after a hundred sign-ins from the address, git gets %d", got)
		}
		for range 10 {
			if got := ask("wrong"); got != http.StatusUnauthorized {
				t.Fatalf("a wrong password gets %d", got)
			}
		}
		if got := ask("wrong"); got != http.StatusTooManyRequests {
			t.Errorf("the eleventh wrong password gets %d", got)
		}
		if got := ask("another guess"); got != http.StatusTooManyRequests {
			t.Errorf("a guess beyond the limit gets %d", got)
		}
	})
}
