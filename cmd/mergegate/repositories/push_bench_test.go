package repositories

import (
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models/modelstest"
)

// BenchmarkPushManyRefs pushes 3,000 new branches and then a commit to each of them, to
// Mergegate and to git http-backend. The metrics "created" and "moved" are how many
// times longer a push to Mergegate takes, "server-created" and "server-moved" how many
// times longer its server works: git's client needs seconds for so many refs.
func BenchmarkPushManyRefs(b *testing.B) {
	const refs = 3000
	for name, open := range map[string]func(testing.TB) modelstest.Database{"sqlite": modelstest.SQLite, "postgres": modelstest.Postgres} {
		b.Run(name, func(b *testing.B) {
			ours, plain, w, address := pushTargets(b, open(b))
			push := func(server *timedServer, to string) (whole, working float64) {
				server.working.Store(0)
				start := time.Now()
				w.git("push", "--quiet", to, "refs/heads/many/*:refs/heads/many/*")
				return time.Since(start).Seconds(), time.Duration(server.working.Load()).Seconds()
			}
			metrics := map[string]float64{}
			for b.Loop() {
				for _, metric := range []string{"created", "moved"} {
					tip := w.commit("file", fmt.Sprintln(metric))
					var update strings.Builder
					for i := range refs {
						fmt.Fprintf(&update, "update refs/heads/many/%d %s\n", i, tip)
					}
					file := filepath.Join(b.TempDir(), "refs")
					if err := os.WriteFile(file, []byte(update.String()), 0o600); err != nil {
						b.Fatal(err)
					}
					w.git("-c", "alias.all=!git update-ref --stdin <'"+file+"'", "all")
					base, baseWorking := push(plain, plain.URL+"/plain.git")
					took, working := push(ours, address)
					b.Logf("%s: git %.2f s (server %.2f s), Mergegate %.2f s (server %.2f s)", metric, base, baseWorking, took, working)
					metrics[metric], metrics["server-"+metric] = took/base, working/baseWorking
				}
			}
			for metric, ratio := range metrics {
				b.ReportMetric(ratio, metric)
			}
		})
	}
}

// BenchmarkPushOneCommit pushes commits one by one, to Mergegate and to git
// http-backend in turn. The metric "whole" is how many times longer a push to Mergegate
// takes, "server" how many times longer its server works.
func BenchmarkPushOneCommit(b *testing.B) {
	const pushes = 40
	for name, open := range map[string]func(testing.TB) modelstest.Database{"sqlite": modelstest.SQLite, "postgres": modelstest.Postgres} {
		b.Run(name, func(b *testing.B) {
			ours, plain, w, address := pushTargets(b, open(b))
			for b.Loop() {
				var took, base time.Duration
				for i := range pushes {
					if i == 1 { // the first one warms up
						took, base = 0, 0
						ours.working.Store(0)
						plain.working.Store(0)
					}
					w.commit("file", fmt.Sprintln(i))
					for to, sum := range map[string]*time.Duration{plain.URL + "/plain.git": &base, address: &took} {
						start := time.Now()
						w.git("push", "--quiet", to, "HEAD:refs/heads/topic")
						*sum += time.Since(start)
					}
				}
				working, baseWorking := time.Duration(ours.working.Load()), time.Duration(plain.working.Load())
				b.Logf("git %v (server %v), Mergegate %v (server %v)", base/(pushes-1), baseWorking/(pushes-1), took/(pushes-1), working/(pushes-1))
				b.ReportMetric(float64(took)/float64(base), "whole")
				b.ReportMetric(float64(working)/float64(baseWorking), "server")
			}
		})
	}
}

// pushTargets starts Mergegate and git http-backend. It returns a clone and the address of
// its repository on Mergegate.
func pushTargets(b *testing.B, db modelstest.Database) (ours, plain *timedServer, w worktree, address string) {
	b.Helper()
	h := newHost(b, db)
	ours, plain = timedProxy(b, h.url), plainGit(b)
	w = h.clone(h.as("olga", "olga/pear.git"))
	u, err := url.Parse(h.as("olga", "olga/pear.git"))
	if err != nil {
		b.Fatal(err)
	}
	u.Host = strings.TrimPrefix(ours.URL, "http://")
	return ours, plain, w, u.String()
}

// timedServer adds up how long it works for pushes.
type timedServer struct {
	*httptest.Server
	working atomic.Int64
}

func newTimedServer(b *testing.B, handler http.Handler) *timedServer {
	s := &timedServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		handler.ServeHTTP(w, r)
		if r.Method == http.MethodPost {
			s.working.Add(int64(time.Since(start)))
		}
	}))
	b.Cleanup(s.Close)
	return s
}

// timedProxy forwards to another server.
func timedProxy(b *testing.B, to string) *timedServer {
	target, err := url.Parse(to)
	if err != nil {
		b.Fatal(err)
	}
	return newTimedServer(b, httputil.NewSingleHostReverseProxy(target))
}

// plainGit serves the empty repository plain.git with git http-backend.
func plainGit(b *testing.B) *timedServer {
	root := b.TempDir()
	for _, args := range [][]string{
		{"init", "--bare", "--quiet", filepath.Join(root, "plain.git")},
		{"-C", filepath.Join(root, "plain.git"), "config", "http.receivepack", "true"},
	} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			b.Fatal(err, string(out))
		}
	}
	git, err := exec.LookPath("git")
	if err != nil {
		b.Fatal(err)
	}
	return newTimedServer(b, &cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"}})
}
