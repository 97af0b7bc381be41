package gitrepo

import (
	"bufio"
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

// The names of the hooks, which are also the kinds of a HookRequest.
const (
	PreReceive  = "pre-receive"
	PostReceive = "post-receive"
)

// The environment by which the server tells its hooks who is pushing. It is
// not inherited by anything else: every git process gets its whole
// environment from us.
const (
	envSocket    = "MERGEGATE_HOOK_SOCKET"
	envProject   = "MERGEGATE_HOOK_PROJECT"
	envUser      = "MERGEGATE_HOOK_USER"
	envRequestID = "MERGEGATE_HOOK_REQUEST"
)

// hookTime is how long a hook waits for the server's answer.
const hookTime = 2 * time.Minute

// HookRequest is what a hook tells the server: before the refs of a push move
// (pre-receive) and after (post-receive).
type HookRequest struct {
	Kind        string      `json:"kind"` // PreReceive or PostReceive
	ProjectID   int64       `json:"project_id"`
	UserID      int64       `json:"user_id"`
	RequestID   string      `json:"request_id"`
	Updates     []RefUpdate `json:"updates"`
	PushOptions []string    `json:"push_options"`
}

// RefUpdate is one ref of a push: refs/heads/… or refs/tags/….
type RefUpdate struct {
	Ref string `json:"ref"`
	Old string `json:"old"` // ZeroID when the ref is created
	New string `json:"new"` // ZeroID when the ref is deleted
	// Forced means that the new commit does not contain the old one.
	Forced bool `json:"forced"`
}

// HookResponse is the server's answer. Only a pre-receive can be refused, and
// then the whole push is; the message is shown to the pusher either way.
type HookResponse struct {
	Refuse  bool   `json:"refuse"`
	Message string `json:"message"`
}

// RunHook is the hook process: the program under the name pre-receive or
// post-receive, started by git inside the repository, with the lines
// "<old> <new> <ref>" on its standard input. It returns the exit code. What a
// hook prints is shown to the pusher.
//
// The new commits of a push can be seen by this process only, until it has
// been let through; so what must be asked of them is asked here.
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
		fmt.Fprintln(stderr, "Your push has arrived. Mergegate could not be told at once and will notice it by itself.")
		return 1
	}
}

// IsHook reports whether a program started under argv0 is to be RunHook, and
// under which name.
func IsHook(argv0 string) (name string, ok bool) {
	name = filepath.Base(argv0)
	return name, name == PreReceive || name == PostReceive
}

// hook is one run of a hook.
type hook struct {
	name string
	env  []string
}

// refusal is an error that is a sentence for the pusher.
type refusal string

func (r refusal) Error() string { return string(r) }

// errUnreachable is what a pusher reads when the server cannot decide.
const errUnreachable = refusal("The push was refused because Mergegate cannot check it at the moment. Please try again in a minute.")

// run checks the updates, asks the server and returns what it says.
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
	}
	for i := range updates {
		if err := h.markForced(ctx, &updates[i]); err != nil {
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
			answer.Message = "The push was refused."
		}
		return "", refusal(answer.Message)
	}
	return answer.Message, nil
}

// readUpdates reads git's lines.
func (h hook) readUpdates(stdin io.Reader) ([]RefUpdate, error) {
	var updates []RefUpdate
	lines := bufio.NewScanner(stdin)
	lines.Buffer(nil, 64<<10)
	for lines.Scan() {
		words := strings.SplitN(lines.Text(), " ", 3)
		if len(words) != 3 || checkIDs(words[0], words[1]) != nil {
			return nil, refusal("The push was refused because git's list of refs cannot be read.")
		}
		updates = append(updates, RefUpdate{Old: words[0], New: words[1], Ref: words[2]})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read git's list of refs: %w", err)
	}
	return updates, nil
}

// git prepares a git process with the hook's own environment, the only one in
// which a push's new objects can be seen.
func (h hook) git(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = h.env
	return cmd
}

// get is a variable of the hook's environment.
func (h hook) get(name string) string {
	for _, e := range h.env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// maxPushOptions is how many push options are passed on.
const maxPushOptions = 100

// pushOptions are the texts given by git push -o, in order.
func (h hook) pushOptions() []string {
	n, _ := strconv.Atoi(h.get("GIT_PUSH_OPTION_COUNT"))
	options := make([]string, 0, min(max(n, 0), maxPushOptions))
	for i := range cap(options) {
		options = append(options, validText(h.get("GIT_PUSH_OPTION_"+strconv.Itoa(i))))
	}
	return options
}

// hookEnv tells the hooks of one push whom to ask, and for whom.
func (s *Store) hookEnv(projectID, userID int64, requestID string) []string {
	return []string{
		envSocket + "=" + s.options.SocketPath,
		envProject + "=" + strconv.FormatInt(projectID, 10),
		envUser + "=" + strconv.FormatInt(userID, 10),
		envRequestID + "=" + strings.ReplaceAll(requestID, "\x00", ""),
	}
}

// writeHooks makes HooksDir hold a link for each hook to the program that is
// RunHook under these names. Each is put in place by a rename, so a push that
// runs meanwhile finds the old or the new one.
func (s *Store) writeHooks() error {
	if err := os.MkdirAll(s.options.HooksDir, 0o700); err != nil {
		return fmt.Errorf("make the folder of hooks: %w", err)
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

// ensureHooks makes sure that git will find the hooks, before every push: git
// takes a hook that it cannot run for one that is not there, and would let
// everything through.
func (s *Store) ensureHooks() error {
	if s.checkHooks() == nil {
		return nil
	}
	if err := s.writeHooks(); err != nil {
		return err
	}
	return s.checkHooks()
}

// checkHooks reports a hook that git could not run.
func (s *Store) checkHooks() error {
	for _, name := range []string{PreReceive, PostReceive} {
		info, err := os.Stat(filepath.Join(s.options.HooksDir, name))
		if err != nil {
			return fmt.Errorf("the hook %s leads nowhere: %w", name, err)
		}
		if !info.Mode().IsRegular() || info.Mode()&0o100 == 0 {
			return fmt.Errorf("the hook %s is no program that can be run", name)
		}
	}
	return nil
}
