package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// setupLink matches the link that creates the first administrator, and its token.
var setupLink = regexp.MustCompile(`(?m)^  (http://\S+/users/setup\?token=(\S+))$`)

// postForm sends a form and returns the status of the answer, without redirects.
func postForm(t *testing.T, address string, form url.Values) int {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.PostForm(address, form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// The first start prints a set-up link, which works once. After it the commands
// administer the installation while the server runs.
func TestSetupLinkAndCommands_BesideRunningServer(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		p := newProgram(t, db)
		p.start(nil, "serve")
		p.await("the set-up link", func() bool { return setupLink.MatchString(p.output.String()) })
		link := setupLink.FindStringSubmatch(p.output.String())
		form := url.Values{"username": {"ada"}, "name": {"Ada"}, "password": {"a long quince and pear"}, "password_confirmation": {"a long quince and pear"}}
		if status := postForm(t, link[1], form); status != http.StatusSeeOther {
			t.Fatalf("set-up: status %d", status)
		}
		form.Set("username", "eve")
		if status := postForm(t, link[1], form); status != http.StatusNotFound {
			t.Errorf("set-up again: status %d, want 404", status)
		}
		if n := strings.Count(p.output.String(), link[2]); n != 1 {
			t.Errorf("the output has the token %d times, want once", n)
		}
		if db.Driver == models.DriverSQLite {
			info, err := os.Stat(filepath.Join(p.data, "admin.sock"))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("socket: %v, %v", info, err)
			}
		}
		for _, test := range []struct {
			args, want string
			fails      bool
		}{
			{"user create --name Mona --email mona@example.test mona", "One-time password of user mona", false},
			{"user create --invite noor", "/users/invitation?token=", false},
			{"user create mona", "is taken", true},
			{"user create --nonsense mona", "Usage", true},
			{"user edit mona", "Usage", true},
			{"user edit mona --name Mona_Weiss", "User mona changed", false},
			{"user edit mona --username ada", "is taken", true},
			{"user edit mona --username lisa", "User mona changed", false},
			{"user edit lisa --username mona", "User lisa changed", false},
			{"user block mona noor", "Usage", true},
			{"user edit --admin=false ada", "last active administrator", true},
			{"user block ada", "last active administrator", true},
			{"user block mona", "User mona blocked", false},
			{"user delete ada", "last active administrator", true},
			{"user delete nobody", "does not exist", true},
			{"user list --kind blocked", "Mona_Weiss", false},
			{"user list --kind x", "unknown kind", true},
			{"user unblock mona", "User mona unblocked", false},
			{"user reset-password mona", "One-time password of user mona", false},
			{"user reset-password nobody", "does not exist", true},
			{"user delete mona", "User mona deleted", false},
			{"user list --search mona", "USERNAME", false},
			{"namespace create tools", "Namespace tools created", false},
			{"namespace create ada", "is taken", true},
			{"namespace list", "tools", false},
			{"namespace delete tools", "Namespace tools deleted", false},
			{"namespace delete ada", "belongs to a user", true},
		} {
			out, err := p.run(nil, strings.Fields(test.args)...)
			if (err != nil) != test.fails || !strings.Contains(out, test.want) {
				t.Errorf("%s: %v, %s", test.args, err, out)
			}
		}
		p.stop()
		// The same commands without a server.
		if out, err := p.run(nil, "user", "list"); err != nil || !strings.Contains(out, "ada") || strings.Contains(out, "eve") {
			t.Errorf("%v: %s", err, out)
		}
		p.start(nil, "serve")
		p.stop()
		if setupLink.MatchString(p.output.String()) {
			t.Error("a start with users prints a set-up link")
		}
	})
}

// Instances that start at once on an empty database print one link.
func TestSetupLink_TwoInstances_OneLink(t *testing.T) {
	t.Parallel()
	db := modelstest.Postgres(t)
	first, second := newProgram(t, db), newProgram(t, db)
	first.start(nil, "serve")
	second.start(nil, "serve")
	first.stop()
	second.stop()
	printed := setupLink.FindAllString(first.output.String()+second.output.String(), -1)
	if len(printed) != 1 {
		t.Errorf("printed links %q, want one", printed)
	}
}
