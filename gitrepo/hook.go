package gitrepo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The names of the hooks, which are the kinds of a HookRequest.
const (
	PreReceive  = "pre-receive"
	PostReceive = "post-receive"
)

// Environment variables that tell the hooks where the server is and who pushes.
// Only receive-pack and its hooks get them.
const (
	envSocket    = "MERGEGATE_HOOK_SOCKET"
	envProject   = "MERGEGATE_HOOK_PROJECT"
	envUser      = "MERGEGATE_HOOK_USER"
	envRequestID = "MERGEGATE_HOOK_REQUEST"
)

// hookTime is how long a hook waits for the response of the server.
const hookTime = 2 * time.Minute

// HookRequest is the request of a hook to the server. pre-receive sends it before
// the refs of a push move, post-receive afterwards.
type HookRequest struct {
	Kind        string      `json:"kind"` // PreReceive or PostReceive
	ProjectID   int64       `json:"project_id"`
	UserID      int64       `json:"user_id"`
	RequestID   string      `json:"request_id"`
	Updates     []RefUpdate `json:"updates"`
	PushOptions []string    `json:"push_options"`
}

// RefUpdate is the update of one ref by a push, in refs/heads/ or refs/tags/.
type RefUpdate struct {
	Ref string `json:"ref"`
	Old string `json:"old"` // ZeroID if the ref is created
	New string `json:"new"` // ZeroID if the ref is deleted
	// Forced means that the new commit does not contain the old one. Only pre-receive
	// sets it.
	Forced bool `json:"forced"`
}

// HookResponse is the response of the server. Refuse rejects the whole push; it
// has no effect for post-receive. git shows Message to the user.
type HookResponse struct {
	Refuse  bool   `json:"refuse"`
	Message string `json:"message"`
}

// RunHook runs the hook pre-receive or post-receive and returns its exit code. git
// starts it inside the repository, with lines "<old> <new> <ref>" on stdin, and
// shows its output to the user.
//
// Only this process can read the new commits of a push before it is accepted, so
// checks of these commits are made here and not in the server.
func RunHook(name string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	h := hook{name: name, env: env}
	message, err := h.run(stdin)
	switch {
	case err == nil:
		if message != "" {
			fmt.Fprintln(stdout, message)
		}
		return 0
	case name == PreReceive:
		fmt.Fprintln(stderr, err)
		return 1
	default:
		// The refs have moved; git ignores the exit code.
		fmt.Fprintln(stderr, "Your push was received. Mergegate could not be reached and will process it later.")
		return 1
	}
}

// IsHook reports whether a program that was started as argv0 must call RunHook,
// and returns the name of the hook.
func IsHook(argv0 string) (name string, ok bool) {
	name = filepath.Base(argv0)
	return name, name == PreReceive || name == PostReceive
}

// hook is one execution of a hook.
type hook struct {
	name string
	env  []string
}

// refusal is an error whose text is shown to the user who pushes.
type refusal string

func (r refusal) Error() string { return string(r) }

// errUnreachable is shown when the server cannot check the push.
const errUnreachable = refusal("The push was rejected because Mergegate cannot check it at the moment. Please try again in a minute.")

// run checks the updates, asks the server and returns its message for the user. A
// rejected push is a refusal.
func (h hook) run(stdin io.Reader) (message string, err error) {
	updates, err := h.readUpdates(stdin)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), hookTime)
	defer cancel()
	if h.name == PreReceive {
		if err := h.checkRefs(ctx, updates); err != nil {
			return "", err
		}
		if err := h.markForced(ctx, updates); err != nil {
			return "", err
		}
	}
	if h.name == PostReceive && h.get(envSync) != "" {
		if err := syncFolder("."); err != nil {
			return "", err
		}
	}
	project, _ := strconv.ParseInt(h.get(envProject), 10, 64)
	user, _ := strconv.ParseInt(h.get(envUser), 10, 64)
	answer, err := askServer(ctx, h.get(envSocket), HookRequest{
		Kind: h.name, ProjectID: project, UserID: user, RequestID: h.get(envRequestID),
		Updates: updates, PushOptions: h.pushOptions(),
	})
	if err != nil {
		return "", errUnreachable
	}
	if answer.Refuse && h.name == PreReceive {
		if answer.Message == "" {
			answer.Message = "The push was rejected."
		}
		return "", refusal(answer.Message)
	}
	return answer.Message, nil
}

// readUpdates reads the ref updates that git writes to the standard input of a
// hook.
func (h hook) readUpdates(stdin io.Reader) ([]RefUpdate, error) {
	var updates []RefUpdate
	lines := bufio.NewScanner(stdin)
	lines.Buffer(nil, 64<<10)
	for lines.Scan() {
		words := strings.SplitN(lines.Text(), " ", 3)
		if len(words) != 3 || checkIDs(words[0], words[1]) != nil {
			return nil, refusal("The push was rejected because the list of refs from git is invalid.")
		}
		updates = append(updates, RefUpdate{Old: words[0], New: words[1], Ref: words[2]})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the list of refs from git: %w", err)
	}
	return updates, nil
}

// git runs git with the environment of the hook, in which the new objects of the push
// are visible, and returns its standard output.
func (h hook) git(ctx context.Context, input string, args ...string) ([]byte, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env, cmd.Stdin, cmd.Stdout = h.env, strings.NewReader(input), &out
	if err := startProcess(cmd); err != nil {
		return nil, err
	}
	err := cmd.Wait()
	return out.Bytes(), err
}

// get returns a variable of the environment of the hook, or "".
func (h hook) get(name string) string {
	for _, e := range h.env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// maxPushOptions is the maximum number of push options that are passed on.
const maxPushOptions = 100

// pushOptions returns the values of git push -o, in order.
func (h hook) pushOptions() []string {
	n, _ := strconv.Atoi(h.get("GIT_PUSH_OPTION_COUNT"))
	options := make([]string, 0, min(max(n, 0), maxPushOptions))
	for i := range cap(options) {
		options = append(options, validText(h.get("GIT_PUSH_OPTION_"+strconv.Itoa(i))))
	}
	return options
}

// hookEnv returns the environment variables for the hooks of one push.
func (s *Store) hookEnv(projectID, userID int64, requestID string) []string {
	return []string{
		envSocket + "=" + s.options.SocketPath,
		envProject + "=" + strconv.FormatInt(projectID, 10),
		envUser + "=" + strconv.FormatInt(userID, 10),
		envRequestID + "=" + strings.ReplaceAll(requestID, "\x00", ""),
	}
}

// writeHooks creates a link to HookProgram in HooksDir for each hook. It replaces
// links by a rename, so a concurrent push finds the old or the new one.
func (s *Store) writeHooks() error {
	if err := os.MkdirAll(s.options.HooksDir, 0o700); err != nil {
		return fmt.Errorf("create the folder of hooks: %w", err)
	}
	for _, name := range []string{PreReceive, PostReceive} {
		fresh := filepath.Join(s.options.HooksDir, "."+name+"-"+randomName())
		if err := os.Symlink(s.options.HookProgram, fresh); err != nil {
			return fmt.Errorf("write the hook %s: %w", name, err)
		}
		if err := os.Rename(fresh, filepath.Join(s.options.HooksDir, name)); err != nil {
			return errors.Join(fmt.Errorf("write the hook %s: %w", name, err), os.Remove(fresh))
		}
	}
	return nil
}

// ensureHooks checks the hooks before a push and repairs them if necessary. git
// ignores a hook that it cannot run and would accept every push.
func (s *Store) ensureHooks() error {
	if s.checkHooks() == nil {
		return nil
	}
	if err := s.writeHooks(); err != nil {
		return err
	}
	return s.checkHooks()
}

// checkHooks returns an error if git cannot run one of the hooks.
func (s *Store) checkHooks() error {
	for _, name := range []string{PreReceive, PostReceive} {
		info, err := os.Stat(filepath.Join(s.options.HooksDir, name))
		if err != nil {
			return fmt.Errorf("find the program of the hook %s: %w", name, err)
		}
		if !info.Mode().IsRegular() || info.Mode()&0o100 == 0 {
			return fmt.Errorf("the hook %s is not executable", name)
		}
	}
	return nil
}
