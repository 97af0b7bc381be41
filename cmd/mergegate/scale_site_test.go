package main

import (
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
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
	"github.com/mergegate/mergegate/webhook"
)

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
		"name": "main", "file_path": "README.md", "range": "main...main", "version_id": "1", "event_id": "1", "mr_id": fmt.Sprint(mrs[0].ID),
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
