package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs testdata/script: the shipped program as processes, real
// git, and a service on this machine.
func TestScripts(t *testing.T) {
	program, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			s := &scriptState{data: filepath.Join(env.WorkDir, "data")}
			env.Values[stateKey{}] = s
			env.Defer(func() { s.stop(syscall.SIGTERM) })
			env.Setenv("PATH", filepath.Dir(program)+":"+os.Getenv("PATH"))
			env.Vars = append(env.Vars, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "HOME="+env.WorkDir,
				"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"demo": scriptDemo, "crash": scriptCrash, "as": scriptAs, "api": scriptAPI, "mr": scriptMergeRequest,
			"receiver": scriptReceiver, "deaf": scriptDeaf, "listening": scriptListening, "heard": scriptHeard, "answer": scriptAnswer,
		},
	})
}

type stateKey struct{}

// scriptState is what the commands of one script share.
type scriptState struct {
	data     string
	address  string // of the demo, the same after a crash
	demo     demoState
	process  *exec.Cmd
	token    string // of who the script is at the moment
	receiver *receiver
}

func stateOf(ts *testscript.TestScript) *scriptState { return ts.Value(stateKey{}).(*scriptState) }

// patience is how long a test waits for a condition. A busy machine may need it.
const patience = 90 * time.Second

// until polls until the condition holds.
func until(ts *testscript.TestScript, what string, so func() bool) {
	for end := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("timed out waiting for %s", what)
		}
	}
}

// scriptDemo starts the demo, for the first time or again: demo. It sets URL.
func scriptDemo(ts *testscript.TestScript, _ bool, _ []string) {
	s := stateOf(ts)
	if s.address == "" {
		address, err := freeAddress()
		ts.Check(err)
		s.address = address
	}
	log, err := os.OpenFile(s.data+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	defer log.Close()
	out, err := os.Create(s.data + ".out")
	ts.Check(err)
	defer out.Close()
	program, err := shipped()
	ts.Check(err)
	cmd := exec.Command(program, "demo")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "MERGEGATE_LISTEN=" + s.address, "MERGEGATE_BASE_URL=http://" + s.address, "MERGEGATE_DATA=" + s.data}
	cmd.Stdout, cmd.Stderr = out, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with its services
	ts.Check(cmd.Start())
	s.process = cmd
	ts.Setenv("URL", "http://"+s.address)
	// It prints how to get in when everything is made and served.
	until(ts, "the demo to serve", func() bool {
		printed, err := os.Stat(out.Name())
		return err == nil && printed.Size() > 0
	})
	content, err := os.ReadFile(filepath.Join(s.data, "demo.json"))
	ts.Check(err)
	ts.Check(json.Unmarshal(content, &s.demo))
}

// stop ends the demo and its services.
func (s *scriptState) stop(signal syscall.Signal) {
	if s.process != nil {
		_ = syscall.Kill(-s.process.Process.Pid, signal)
		_ = s.process.Wait() // the exit code is the signal's
		s.process = nil
	}
	if s.receiver != nil && signal == syscall.SIGTERM {
		s.receiver.server.Close()
	}
}

// scriptCrash kills the demo without warning: crash.
func scriptCrash(ts *testscript.TestScript, _ bool, _ []string) { stateOf(ts).stop(syscall.SIGKILL) }

// scriptAs chooses who acts: as ROLE. It sets REMOTE, the project's address
// with their token.
func scriptAs(ts *testscript.TestScript, _ bool, args []string) {
	s := stateOf(ts)
	for _, u := range s.demo.Users {
		if u.Role == args[0] {
			s.token = u.Token
			ts.Setenv("REMOTE", "http://anybody:"+u.Token+"@"+s.address+"/"+s.demo.Project.PathWithNamespace+".git")
			return
		}
	}
	ts.Fatalf("the demo has no %s", args[0])
}

// call asks the API about the demo's project.
func (s *scriptState) call(method, path string, form url.Values) (status int, body string, err error) {
	address := fmt.Sprintf("http://%s/api/v4/projects/%d%s", s.address, s.demo.Project.ID, path)
	req, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("PRIVATE-TOKEN", s.token)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content), err
}

// scriptAPI asks the API about the project: api METHOD PATH [NAME=VALUE…]. It
// prints the status and the body.
func scriptAPI(ts *testscript.TestScript, _ bool, args []string) {
	form := url.Values{}
	for _, pair := range args[2:] {
		name, value, _ := strings.Cut(pair, "=")
		form.Add(name, value)
	}
	status, body, err := stateOf(ts).call(args[0], args[1], form)
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), status, body)
}

// scriptMergeRequest finds the merge request of a branch: mr BRANCH. It sets
// IID.
func scriptMergeRequest(ts *testscript.TestScript, _ bool, args []string) {
	_, body, err := stateOf(ts).call(http.MethodGet, "/merge_requests?source_branch="+url.QueryEscape(args[0]), nil)
	ts.Check(err)
	var found []struct {
		IID int64 `json:"iid"`
	}
	if err := json.Unmarshal([]byte(body), &found); err != nil || len(found) != 1 {
		ts.Fatalf("merge requests of %s: %s (%v)", args[0], body, err)
	}
	ts.Setenv("IID", fmt.Sprint(found[0].IID))
}

// scriptAnswer answers the payload heard last: answer STATUS.
func scriptAnswer(ts *testscript.TestScript, _ bool, args []string) {
	s := stateOf(ts)
	var p struct {
		ObjectAttributes struct {
			IID        int64 `json:"iid"`
			LastCommit struct {
				ID string `json:"id"`
			} `json:"last_commit"`
		} `json:"object_attributes"`
		Rule struct {
			ID int64 `json:"id"`
		} `json:"external_approval_rule"`
	}
	ts.Check(json.Unmarshal([]byte(s.receiver.last()), &p))
	status, body, err := s.call(http.MethodPost, fmt.Sprintf("/merge_requests/%d/status_check_responses", p.ObjectAttributes.IID), url.Values{
		"sha": {p.ObjectAttributes.LastCommit.ID}, "external_status_check_id": {fmt.Sprint(p.Rule.ID)}, "status": {args[0]},
	})
	ts.Check(err)
	if status != http.StatusCreated {
		ts.Fatalf("the answer was not taken: %d %s", status, body)
	}
}

// scriptHeard waits for a payload that has not been looked at and that matches
// them all: heard REGEXP…. Those before it are done with.
func scriptHeard(ts *testscript.TestScript, _ bool, args []string) {
	var patterns []*regexp.Regexp
	for _, a := range args {
		patterns = append(patterns, regexp.MustCompile(a))
	}
	r := stateOf(ts).receiver
	until(ts, "a payload with "+strings.Join(args, " and "), func() bool { return r.skipTo(ts, patterns) })
}
