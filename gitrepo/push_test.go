package gitrepo

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// startHook starts pre-receive as git would, with pipes that nobody serves yet.
func startHook(t *testing.T, stdin string, env ...string) (p *hookPipes, cmd *exec.Cmd, out *bytes.Buffer) {
	t.Helper()
	s := newStore(t, Options{})
	p, err := s.openHookPipes(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	out = &bytes.Buffer{}
	cmd = exec.CommandContext(t.Context(), filepath.Join(s.hooks, preReceive))
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = strings.NewReader(stdin), out, out, p.childEnds
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.closeChildEnds()
	return p, cmd, out
}

func TestHook_PassesEverythingAndPrintsTheAnswer(t *testing.T) {
	id := strings.Repeat("1", 40)
	options := []string{"", "a=$(exit 3) `x` \"'\\", "two\nlines", "Ünï", "invalid \xff"}
	push := []string{"GIT_PUSH_OPTION_COUNT=" + strconv.Itoa(len(options))}
	objects := []string{"GIT_OBJECT_DIRECTORY=/some where/q", "GIT_ALTERNATE_OBJECT_DIRECTORIES=\"/b:c\""}
	for i, option := range options {
		push = append(push, "GIT_PUSH_OPTION_"+strconv.Itoa(i)+"="+option)
	}
	p, cmd, out := startHook(t, ZeroID+" "+id+" refs/heads/a b\\c\n"+id+" "+ZeroID+" refs/heads/\xff\n", append(push, objects...)...)
	got, err := readHook(p.requests)
	if err != nil {
		t.Fatal(err)
	}
	options[4] = "invalid \uFFFD"
	updates := []RefUpdate{{Ref: `refs/heads/a b\c`, Old: ZeroID, New: id}, {Ref: "refs/heads/\xff", Old: id, New: ZeroID}}
	if got.name != preReceive || !slices.Equal(got.objects, objects) || !slices.Equal(got.push.Options, options) || !slices.Equal(got.push.Updates, updates) {
		t.Errorf("hook: %+v", got)
	}
	answer := hookAnswer{message: "\naccept\n  -n \\t %s ü\n"}
	if err := p.respond(answer); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if out.String() != answer.message+"\n" {
		t.Errorf("printed %q, want %q", out, answer.message)
	}
}

// If the server has ended, git must reject the push.
func TestHook_ServerHasEnded_Fails(t *testing.T) {
	p, cmd, _ := startHook(t, strings.Repeat(ZeroID+" "+ZeroID+" refs/heads/x\n", 5000))
	p.requests.Close()
	p.responses.Close()
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("hook: %v, want exit code 1", err)
	}
}

func TestReadHook_InvalidOrTooLarge_IsRefused(t *testing.T) {
	head := preReceive + "\x00\x00\x00\x00"
	for list, want := range map[string]string{
		"nonsense\n":                      "The push was rejected because the list of refs from git is invalid.",
		"1 2 refs/heads/x\n":              "The push was rejected because the list of refs from git is invalid.",
		strings.Repeat("x", maxHookBytes): "The push was rejected because it updates too many refs at once.",
	} {
		_, err := readHook(strings.NewReader(head + list + "\x00"))
		if _, ok := err.(refusal); !ok || err.Error() != want {
			t.Errorf("%.20q: %v", list, err)
		}
	}
}

// A hook that sends too much is stopped and prints the reason.
func TestPush_TooManyRefs_IsRefusedWithReason(t *testing.T) {
	line := ZeroID + " " + ZeroID + " refs/heads/x\n"
	p, cmd, out := startHook(t, strings.Repeat(line, 2*maxHookBytes/len(line)))
	p.serve(t.Context())
	if err := cmd.Wait(); err == nil {
		t.Error("the hook succeeded")
	}
	contains(t, out.String(), "it updates too many refs at once")
}
