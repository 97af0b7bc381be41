package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
	"github.com/mergegate/mergegate/webhook"
)

const (
	// scaleSizeVariable is the number of merge requests of the large database.
	scaleSizeVariable = "MERGEGATE_BENCH_MERGE_REQUESTS"
	// scaleKeepVariable names a folder in which the seeded SQLite databases are kept for
	// the next run.
	scaleKeepVariable = "MERGEGATE_BENCH_KEEP"
	scaleSmall        = 1000
	scaleRounds       = 11
)

// BenchmarkScale measures every GET route on a database with 1,000 merge requests and on
// one with many, alternately, and prints the medians and their ratio. A tenth of the
// merge requests is in the project that is looked at. Run it with -benchtime 1x.
func BenchmarkScale(b *testing.B) {
	size, err := strconv.Atoi(cmp.Or(os.Getenv(scaleSizeVariable), "20000"))
	if err != nil {
		b.Fatal(err)
	}
	for _, driver := range []string{models.DriverSQLite, models.DriverPostgres} {
		b.Run(driver, func(b *testing.B) {
			small, large := openScaleSite(b, driver, scaleSmall), openScaleSite(b, driver, size)
			for b.Loop() {
				compareScale(b, small, large)
			}
		})
	}
}

// scaleTimes are the times of one request on both databases.
type scaleTimes struct {
	request      scaleRequest
	small, large time.Duration
}

func (t scaleTimes) ratio() float64 { return float64(t.large) / float64(t.small) }

func compareScale(b *testing.B, small, large *scaleSite) {
	var all []scaleTimes
	for _, r := range small.requests() {
		var s, l []time.Duration
		for round := range 3 + scaleRounds {
			if len(l) > 2 && l[0] > time.Second/5 {
				break
			}
			x, y := small.serve(b, r), large.serve(b, r)
			if round >= 3 { // the first ones warm up
				s, l = append(s, x), append(l, y)
			}
		}
		slices.Sort(s)
		slices.Sort(l)
		all = append(all, scaleTimes{r, s[len(s)/2], l[len(l)/2]})
	}
	slices.SortStableFunc(all, func(a, b scaleTimes) int { return cmp.Compare(b.ratio(), a.ratio()) })
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "ratio\t%d ms\t%d ms\t\n", small.size, large.size)
	for _, t := range all {
		fmt.Fprintf(table, "%.2f\t%.2f\t%.2f\t  %s\n", t.ratio(), ms(t.small), ms(t.large), t.request)
	}
	table.Flush()
	fmt.Println(out.String())
	b.ReportMetric(all[0].ratio(), "max-ratio")
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// scaleSite is a whole server on a seeded database.
type scaleSite struct {
	size    int
	handler *echo.Echo
	// tokens and cookies by user.
	tokens, cookies map[string]string
	params          map[string]string
}

// scaleRequest is a GET of a path with parameters as in routes, by a user. Paths below
// /api/ are requested with a token.
type scaleRequest struct{ user, path string }

func (r scaleRequest) String() string { return r.path + " as " + r.user }

func openScaleSite(b *testing.B, driver string, size int) *scaleSite {
	folder := b.TempDir()
	if keep := os.Getenv(scaleKeepVariable); keep != "" {
		folder = filepath.Join(keep, driver+"-"+strconv.Itoa(size))
	}
	c := config{
		Data: filepath.Join(folder, "data"), BaseURL: "http://mergegate.test",
		DatabaseConnections: 10, LogFormat: "text", LogLevel: slog.LevelError, MaxPackBytes: 1 << 30,
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		b.Fatal(err)
	}
	if driver == models.DriverPostgres {
		c.DatabaseURL = scalePostgres(b, size)
	}
	var err error
	if c.keyring, err = auth.NewKeyring([]byte("0123456789abcdefghijklmnopqrstuv")); err != nil {
		b.Fatal(err)
	}
	a, err := openAppWith(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(a.close)
	handler, err := newHandler(a, slog.New(slog.NewTextHandler(io.Discard, nil)), webhook.NewClient(webhook.Options{Version: "test"}))
	if err != nil {
		b.Fatal(err)
	}
	s := &scaleSite{size: size, handler: handler.(*echo.Echo), tokens: map[string]string{}, cookies: map[string]string{}}
	s.prepare(b, a)
	return s
}

// scalePostgres returns the URL of a database for size merge requests. It is kept while
// the server runs if the SQLite databases are kept.
func scalePostgres(b *testing.B, size int) string {
	server := os.Getenv(modelstest.DSNVariable)
	if os.Getenv(scaleKeepVariable) == "" || server == "" {
		return modelstest.EmptyPostgres(b).DSN
	}
	admin, err := sql.Open("pgx", server)
	if err != nil {
		b.Fatal(err)
	}
	defer admin.Close()
	name := "scale_" + strconv.Itoa(size)
	_, err = admin.Exec("CREATE DATABASE " + name)
	if err != nil && !strings.Contains(err.Error(), "already exists") {
		b.Fatal(err)
	}
	u, err := url.Parse(server)
	if err != nil {
		b.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// prepare seeds the database unless it is, and signs in.
func (s *scaleSite) prepare(b *testing.B, a *app) {
	ctx := context.Background()
	owner, err := a.store.UserByUsername(ctx, models.SeedNamespace)
	if models.KindOf(err) == models.KindNotFound {
		start := time.Now()
		if _, err := seedDatabase(ctx, a, s.size); err != nil {
			b.Fatal(err)
		}
		b.Logf("%s: seeded %d merge requests in %v", a.store.Driver(), s.size, time.Since(start).Round(time.Second/10))
		owner, err = a.store.UserByUsername(ctx, models.SeedNamespace)
	}
	if err != nil {
		b.Fatal(err)
	}
	if _, err = a.store.CreateUser(ctx, models.User{}, models.UserInput{Username: "root-of-seed", Name: "Root", Admin: true}); err != nil && len(models.FieldErrorsOf(err)) == 0 {
		b.Fatal(err)
	}
	for _, name := range []string{models.SeedNamespace, "seed-1", "root-of-seed"} {
		s.signIn(b, a, name)
	}
	list, _, err := a.store.Projects(ctx, &owner, models.ProjectFilter{Search: "large", Owned: true}, models.Page{Number: 1, Size: 1})
	if err != nil || len(list) != 1 {
		b.Fatal("the seeded project is missing: ", err)
	}
	large := list[0].Project
	services, _, err := a.store.ExternalStatusChecks(ctx, large.ID, models.Page{})
	if err != nil {
		b.Fatal(err)
	}
	deliveries, _, err := a.store.Deliveries(ctx, large.ID, services[0].ID, models.DeliveryFilter{}, models.Page{Number: 1, Size: 1})
	if err != nil {
		b.Fatal(err)
	}
	mrs, _, err := a.store.MergeRequests(ctx, models.MergeRequestFilter{ProjectIDs: []int64{large.ID}}, models.Page{Number: 1, Size: 1})
	if err != nil {
		b.Fatal(err)
	}
	s.params = map[string]string{
		"namespace": models.SeedNamespace, "project": large.Path, "username": models.SeedNamespace, "iid": fmt.Sprint(mrs[0].IID), "sha": mrs[0].HeadSHA,
		"project_id": fmt.Sprint(large.ID), "check_id": fmt.Sprint(services[0].ID), "delivery": fmt.Sprint(deliveries[0].ID),
		"delivery_id": fmt.Sprint(deliveries[0].ID), "user_id": fmt.Sprint(owner.ID), "namespace_id": fmt.Sprint(large.NamespaceID),
		"name": "main", "file_path": "README.md", "range": "main...main", "version_id": "1", "mr_id": fmt.Sprint(mrs[0].ID),
	}
}

func (s *scaleSite) signIn(b *testing.B, a *app, name string) {
	ctx, password := context.Background(), auth.NewPassword()
	user, err := a.store.UserByUsername(ctx, name)
	digest, hashErr := auth.HashPassword(ctx, password)
	if err := errors.Join(err, hashErr); err != nil {
		b.Fatal(err)
	}
	if err := a.store.SetPassword(ctx, user, digest, "", false); err != nil {
		b.Fatal(err)
	}
	form := url.Values{"login": {name}, "password": {password}}
	r := httptest.NewRequest(http.MethodPost, "http://mergegate.test/users/sign_in", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	for _, cookie := range w.Result().Cookies() {
		s.cookies[name] += cookie.Name + "=" + cookie.Value + "; "
	}
	token := auth.NewAccessToken()
	_, err = a.store.CreatePersonalToken(ctx, user, models.AccessTokenInput{
		Name: "scale", Scopes: []string{models.ScopeAPI}, ExpiresAt: time.Now().Add(24 * time.Hour), Digest: auth.Digest(token),
	})
	if err != nil || w.Code != http.StatusSeeOther {
		b.Fatalf("sign in %s: status %d, %v", name, w.Code, err)
	}
	s.tokens[name] = token
}

// serve returns how long the handler takes for a request.
func (s *scaleSite) serve(b *testing.B, r scaleRequest) time.Duration {
	path, query, _ := strings.Cut(r.path, "?")
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if name, ok := strings.CutPrefix(segment, ":"); ok {
			segments[i] = s.param(name, path)
		}
	}
	req := httptest.NewRequest(http.MethodGet, "http://mergegate.test"+strings.Join(segments, "/")+"?"+query, nil)
	if strings.HasPrefix(path, "/api/") {
		req.Header.Set("PRIVATE-TOKEN", s.tokens[r.user])
	} else {
		req.Header.Set("Cookie", s.cookies[r.user])
	}
	w := httptest.NewRecorder()
	start := time.Now()
	s.handler.ServeHTTP(w, req)
	took := time.Since(start)
	if w.Code != http.StatusOK && w.Code != http.StatusNoContent {
		b.Errorf("%s (%s): status %d\n%.300s", r, req.URL, w.Code, w.Body)
	}
	return took
}

func (s *scaleSite) param(name, path string) string {
	switch {
	case name == "id" && strings.HasPrefix(path, "/api/"):
		name = "project_id"
	case name == "id" && strings.Contains(path, "status_checks"):
		name = "check_id"
	}
	return s.params[name]
}

// withoutData lists parts of paths whose rows the seed does not write.
var withoutData = []string{"branch_rules/:id", "project_members/:id", "tokens/:", "tags/:tag", "protected_branches/:name", "namespaces/:namespace_id"}

// requests returns every route that is a GET, and lists with filters.
func (s *scaleSite) requests() (all []scaleRequest) {
	for _, r := range s.handler.Routes() {
		isPage := r.Method == http.MethodGet && !strings.Contains(r.Path, "*") && !strings.Contains(r.Path, ".git") && !strings.HasPrefix(r.Path, "/static")
		skip := slices.ContainsFunc(withoutData, func(part string) bool { return strings.Contains(r.Path, part) })
		if !isPage || skip {
			continue
		}
		user := models.SeedNamespace
		if strings.Contains(r.Path, "/admin") || strings.HasSuffix(r.Path, "application/settings") {
			user = "root-of-seed"
		}
		all = append(all, scaleRequest{user, r.Path})
	}
	all = slices.DeleteFunc(all, func(r scaleRequest) bool { return s.redirects(r) })
	for _, path := range []string{
		"/?all=1", "/?sort=failed", "/?sort=name", "/?all=1&search=cache", "/dashboard/merge_requests?state=merged",
		"/api/v4/merge_requests?scope=all", "/api/v4/merge_requests?scope=all&state=opened", "/api/v4/merge_requests?scope=all&order_by=updated_at",
		"/api/v4/merge_requests?scope=all&search=T-77", "/api/v4/projects?membership=true", "/api/v4/projects?search=cache", "/api/v4/projects?order_by=name",
	} {
		for _, user := range []string{models.SeedNamespace, "seed-1", "root-of-seed"} {
			all = append(all, scaleRequest{user, path})
		}
	}
	const list, api = "/:namespace/:project/-/merge_requests", "/api/v4/projects/:id"
	for _, path := range []string{
		list + "?state=all", list + "?state=merged", list + "?sort=updated_desc", list + "?sort=title_asc", list + "?search=T-77", list + "?search=cache",
		list + "?search=zzzz", list + "?checks=failed", list + "?checks=pending", list + "?checks=passed&state=all", list + "?author_username=seed-3",
		list + "?target_branch=main", list + "?draft=yes", list + "?page=3",
		api + "/merge_requests?state=opened", api + "/merge_requests?search=cache", api + "/merge_requests?search=zzzz", api + "/merge_requests?order_by=updated_at",
		api + "/merge_requests?order_by=title", api + "/merge_requests?author_username=seed-3", api + "/merge_requests?source_branch=topic-3",
		api + "/merge_requests?created_after=2020-01-01", api + "/merge_requests?created_before=2020-01-01", api + "/merge_requests?updated_before=2020-01-01",
		api + "/merge_requests?pagination=keyset&order_by=created_at",
		api + "/external_status_checks/:check_id/deliveries?status=failed",
		"/:namespace/:project/-/settings/merge_requests/status_checks/:id?outcome=failed",
		"/:namespace/:project/-/settings/merge_requests/status_checks/:id?search=deadbeef",
	} {
		all = append(all, scaleRequest{models.SeedNamespace, path})
	}
	return all
}

// redirects reports whether a page only leads to another one.
func (s *scaleSite) redirects(r scaleRequest) bool {
	w := httptest.NewRecorder()
	path := r.path
	for _, segment := range strings.Split(path, "/") {
		if name, ok := strings.CutPrefix(segment, ":"); ok {
			path = strings.Replace(path, segment, s.param(name, r.path), 1)
		}
	}
	req := httptest.NewRequest(http.MethodGet, "http://mergegate.test"+path, nil)
	req.Header.Set("Cookie", s.cookies[r.user])
	req.Header.Set("PRIVATE-TOKEN", s.tokens[r.user])
	s.handler.ServeHTTP(w, req)
	return w.Code >= 300 && w.Code < 400 || w.Code == http.StatusNotFound || w.Code == http.StatusBadRequest || w.Code == http.StatusMethodNotAllowed
}
