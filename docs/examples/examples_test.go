package examples_test

import (
	"bufio"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/cmd/mergegate/repositories"
	"github.com/mergegate/mergegate/cmd/mergegate/servicecheck"
	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/handlers"
	"github.com/mergegate/mergegate/handlers/apiv4"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
	"github.com/mergegate/mergegate/webhook"
)

// secrets are a secret of each notation: plain text and Standard Webhooks.
var secrets = []string{"an example's secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}

// site is a server with one service. The test sends the deliveries.
type site struct {
	*modelstest.Fixture
	url      string
	sender   *webhook.Client
	options  webhook.Options // of sender
	secret   string
	token    string
	reporter string
	service  models.ExternalStatusCheck
	// answers gets the status of every answer to a response.
	answers chan int
}

// newSite serves the API for the project olga/pear, whose branch feature could be merged
// into main. Deliveries are signed with secret. startService is called when the API can
// be reached, and gives the service's address.
func newSite(t *testing.T, secret string, startService func(s *site) string) *site {
	t.Helper()
	dir := t.TempDir()
	repos, err := gitrepo.New(filepath.Join(dir, "repositories"), gitrepo.Options{HooksDir: filepath.Join(dir, "hooks")})
	check(t, err)
	git := repositories.Git{Store: repos}
	allow, err := webhook.ParseAllowList("127.0.0.1")
	check(t, err)
	s := &site{secret: secret, answers: make(chan int, 10)}
	server := httptest.NewUnstartedServer(nil)
	s.url = "http://" + server.Listener.Addr().String()
	s.options = webhook.Options{Version: "test", BaseURL: s.url, Allow: allow}
	s.sender = webhook.NewClient(s.options)
	s.Fixture = modelstest.Open(t, modelstest.SQLite(t), modelstest.WithGit(git), modelstest.WithPayload(webhook.Payload(s.url)))
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	e, err := handlers.New(handlers.Deps{
		Store: s.Store, Git: git, Log: log, BaseURL: s.url, SessionKey: []byte(strings.Repeat("k", 32)),
	})
	check(t, err)
	apiv4.Register(e, apiv4.Deps{Store: s.Store, Git: git, Log: log, BaseURL: s.url})
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		e.ServeHTTP(recorder, r)
		maps.Copy(w.Header(), recorder.Header())
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(recorder.Body.Bytes())
		if strings.HasPrefix(r.URL.Path, "/api/") {
			s.answers <- recorder.Code
		}
	})
	server.Start()
	t.Cleanup(server.Close)
	s.populate(repos, startService)
	return s
}

func (s *site) populate(repos *gitrepo.Store, startService func(s *site) string) {
	s.T.Helper()
	ctx := s.T.Context()
	s.Owner = s.User("olga")
	namespace, err := s.Store.Namespace(ctx, "olga")
	check(s.T, err)
	s.Project, err = s.Store.CreateProject(ctx, s.Owner, models.ProjectInput{NamespaceID: namespace.ID, Path: "pear"}, true)
	check(s.T, err)
	repo := repos.Repo(s.Project.ID)
	parent, _, err := repo.BranchTip(ctx, "main")
	check(s.T, err)
	_, err = repo.WriteCommit(ctx, gitrepo.WriteInput{
		Branch: "feature", Parent: parent, Files: map[string]string{"pears.txt": "conference\n"}, Message: "Add pears\n",
		Author: gitrepo.Identity{Name: "Olga", Email: "olga@orchard.example"}, When: s.Clock.Now(),
	})
	check(s.T, err)
	s.token = s.newToken(s.Member("desk", models.RoleDeveloper))
	s.reporter = s.newToken(s.Member("rex", models.RoleReporter))
	s.service, err = s.Store.CreateExternalStatusCheck(ctx, s.Owner, s.Project.ID, models.ExternalStatusCheckInput{
		Name: "desk", ExternalURL: startService(s), SharedSecret: s.secret,
	}, false)
	check(s.T, err)
}

func (s *site) newToken(user models.User) string {
	s.T.Helper()
	token := auth.NewAccessToken()
	_, err := s.Store.CreatePersonalToken(s.T.Context(), user, models.AccessTokenInput{
		Name: "example", Scopes: []string{models.ScopeAPI}, ExpiresAt: s.Store.Now().Add(time.Hour), Digest: auth.Digest(token),
	})
	check(s.T, err)
	return token
}

// open opens a merge request and returns its delivery.
func (s *site) open(description string) (models.MergeRequest, models.ClaimedDelivery) {
	s.T.Helper()
	mr, err := s.Store.CreateMergeRequest(s.T.Context(), s.Owner, s.Project.ID, models.MergeRequestInput{
		Title: "Add pears", Description: description, SourceBranch: "feature", TargetBranch: "main",
	})
	check(s.T, err)
	claimed, err := s.Store.Claim(s.T.Context(), models.ClaimOptions{Limit: 10})
	check(s.T, err)
	if len(claimed) != 1 {
		s.T.Fatalf("%d deliveries, want 1", len(claimed))
	}
	return mr, claimed[0]
}

// programs are the commands of the example services, which run in this folder.
var programs = map[string][]string{
	"go": {"go-service"}, "python": {"python3", "python/service.py"}, "node": {"node", "node/service.mjs"},
}

// start starts an example service in a child process and returns its address.
func start(t *testing.T, language, secret, api, token string) string {
	t.Helper()
	command := programs[language]
	if language == "go" {
		command = []string{filepath.Join(t.TempDir(), command[0])}
		if out, err := exec.Command("go", "build", "-o", command[0], "./go").CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LISTEN=127.0.0.1:0", "SHARED_SECRET=" + secret, "MERGEGATE_URL=" + api, "MERGEGATE_TOKEN=" + token}
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	check(t, err)
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; make setup installs the programs that the tests need", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	check(t, err)
	return "http://" + strings.TrimSpace(address) + "/"
}

// TestServices_PassCheckService runs mergegate check-service on each example.
func TestServices_PassCheckService(t *testing.T) {
	for language := range programs {
		for _, secret := range append(secrets, "whsec_ no base64") {
			t.Run(language+" "+secret, func(t *testing.T) {
				t.Parallel()
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				check(t, err)
				const token = "mgat-example"
				report, err := servicecheck.Run(t.Context(), servicecheck.Options{
					URL: start(t, language, secret, "http://"+listener.Addr().String(), token), Secret: secret, Token: token,
					Listener: listener, AnswerWithin: time.Minute, Settle: 500 * time.Millisecond, Progress: io.Discard,
				})
				check(t, err)
				for _, f := range append(report.Faults, report.Advice...) {
					t.Errorf("%s: %s", f.Delivery, f.Text)
				}
				if !slices.ContainsFunc(report.Deliveries, func(d *servicecheck.Delivery) bool { return d.Name == "open" && d.Answer == "passed" }) {
					t.Error("open was not answered with passed")
				}
			})
		}
	}
}

func TestGoService_RespondsToDeliveries(t *testing.T) {
	for _, c := range []struct {
		secret, description string
		want                models.Status
	}{
		{secrets[0], "They are ripe.", models.StatusPassed},
		{secrets[0], "", models.StatusFailed},
		{secrets[1], "They are ripe.", models.StatusPassed},
		{"whsec_ no base64", "", models.StatusFailed},
	} {
		t.Run(c.secret+" "+string(c.want), func(t *testing.T) {
			s := newSite(t, c.secret, func(s *site) string { return start(t, "go", s.secret, s.url, s.token) })
			mr, claimed := s.open(c.description)
			send := func(claimed models.ClaimedDelivery, at time.Time, want int) {
				t.Helper()
				if got := s.sender.Send(t.Context(), claimed, at); got.HTTPStatus != want {
					t.Errorf("the service answers %d (%s), want %d", got.HTTPStatus, got.ErrorDetail, want)
				}
			}
			forged := claimed
			forged.Secret = "guessed"
			send(forged, time.Now(), http.StatusUnauthorized)
			unsigned := claimed
			unsigned.Secret = ""
			send(unsigned, time.Now(), http.StatusUnauthorized)
			send(claimed, time.Now().Add(-time.Hour), http.StatusUnauthorized)

			send(claimed, time.Now(), http.StatusAccepted)
			select {
			case status := <-s.answers:
				if status != http.StatusCreated {
					t.Errorf("the response is answered %d, want 201", status)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("the service does not answer")
			}
			if got := s.Status(mr, s.service); got != c.want {
				t.Errorf("the check is %s, want %s", got, c.want)
			}
			send(claimed, time.Now(), http.StatusOK)
		})
	}
}

func TestAnswerScript_RecordsResponse(t *testing.T) {
	s := newSite(t, secrets[0], func(*site) string { return "https://desk.example/" })
	mr, _ := s.open("")
	const otherSHA = "0a11c4d0f0e1b2c3d4e5f60718293a4b5c6d7e8f"
	id := strconv.FormatInt(s.service.ID, 10)
	for _, c := range []struct{ name, token, service, sha, status, want string }{
		{"recorded", s.token, id, mr.HeadSHA, "passed", "201"},
		{"unknown status", s.token, id, mr.HeadSHA, "green", "400"},
		{"no token", "mgat-unknown", id, mr.HeadSHA, "passed", "401"},
		{"reporter", s.reporter, id, mr.HeadSHA, "passed", "403"},
		{"other service", s.token, "4711", mr.HeadSHA, "passed", "404"},
		{"other commit", s.token, id, otherSHA, "passed", "409"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command("./answer.sh", strconv.FormatInt(s.Project.ID, 10), strconv.FormatInt(mr.IID, 10), c.service, c.sha, c.status, "It's done.")
			cmd.Env = append(os.Environ(), "MERGEGATE_URL="+s.url, "MERGEGATE_TOKEN="+c.token)
			out, err := cmd.CombinedOutput()
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if got := lines[len(lines)-1]; got != c.want || (err == nil) != (c.want == "201") {
				t.Errorf("%v, want %s:\n%s", err, c.want, out)
			}
		})
	}
	if got := s.Status(mr, s.service); got != models.StatusPassed {
		t.Errorf("the check is %s", got)
	}
}

func TestVerifyScript_ChecksSignatures(t *testing.T) {
	for _, secret := range secrets {
		header, body := recorded(t, secret)
		file := filepath.Join(t.TempDir(), "body")
		check(t, os.WriteFile(file, body, 0o600))
		gitlab, id, timestamp, standard := header.Get("X-Gitlab-Signature"), header.Get("webhook-id"), header.Get("webhook-timestamp"), header.Get("webhook-signature")
		verify := func(good bool, secret string, arguments ...string) {
			t.Helper()
			cmd := exec.Command("./verify.sh", append([]string{file}, arguments...)...)
			cmd.Env = append(os.Environ(), "SHARED_SECRET="+secret)
			if out, err := cmd.CombinedOutput(); (err == nil) != good {
				t.Errorf("verify.sh %v: %v\n%s", arguments, err, out)
			}
		}
		verify(true, secret, gitlab)
		verify(true, secret, gitlab, id, timestamp, standard)
		verify(false, "guessed", gitlab)
		verify(false, secret, gitlab, "other", timestamp, standard)
		check(t, os.WriteFile(file, append(body, ' '), 0o600))
		verify(false, secret, gitlab)
	}
}

// recorded returns a delivery of package webhook that is signed with secret.
func recorded(t *testing.T, secret string) (header http.Header, body []byte) {
	t.Helper()
	body, err := os.ReadFile("../../webhook/testdata/push.golden.json")
	check(t, err)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { header = r.Header }))
	defer receiver.Close()
	allow, err := webhook.ParseAllowList("127.0.0.1")
	check(t, err)
	delivery := models.Delivery{UUID: "5d0f", URL: receiver.URL, Payload: body}
	result := webhook.NewClient(webhook.Options{Allow: allow}).Send(t.Context(), models.ClaimedDelivery{Delivery: delivery, Secret: secret}, time.Now())
	if !result.Succeeded() {
		t.Fatalf("not sent: %s", result.ErrorDetail)
	}
	return header, body
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
