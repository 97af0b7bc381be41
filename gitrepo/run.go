package gitrepo

import (
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
	"syscall"
	"time"
)

// defaultOutputLimit bounds what one reading git process may answer, in bytes.
const defaultOutputLimit = 32 << 20

// stderrLimit bounds what is kept of a git process's complaints, in bytes.
const stderrLimit = 8 << 10

// killDelay is how long a git process may take to end after SIGTERM.
const killDelay = 5 * time.Second

// CommandError is git ending unsuccessfully.
type CommandError struct {
	// Command is git's sub-command, for example "merge-tree".
	Command string
	// ExitCode is git's exit code, or -1 when a signal ended it.
	ExitCode int
	// Stderr is the beginning of what git wrote about it. It may hold names
	// from the repository and is for logs, not for pages.
	Stderr string
}

// Error names the sub-command, the exit code and git's own words.
func (e *CommandError) Error() string {
	return fmt.Sprintf("git %s: exit code %d: %s", e.Command, e.ExitCode, e.Stderr)
}

// exitCode is the exit code of a CommandError, and -2 for every other error.
func exitCode(err error) int {
	var e *CommandError
	if errors.As(err, &e) {
		return e.ExitCode
	}
	return -2
}

// command is one git process to run.
type command struct {
	dir    string    // working directory
	repo   int64     // dir is this project's repository: GIT_DIR is set, nothing is searched for
	args   []string  // beginning with the sub-command
	env    []string  // further environment
	stdin  io.Reader // nil means nothing to read
	limit  int64     // of standard output in bytes; 0 means defaultOutputLimit
	limits limits    // of the process
	writes bool      // it may change refs, and so needs the repository's lease
}

// environment is the whole environment of every git process. Nothing is
// inherited: a GIT_DIR in the server's environment would redirect everything.
// The configuration given here counts as the command line's, which is what
// git trusts safe.directory from.
func (s *Store) environment() []string {
	config := [][2]string{
		{"core.hooksPath", s.options.HooksDir},
		{"core.fsync", "all"}, // the database will claim that these objects exist
		{"core.filesRefLockTimeout", "2000"},
		{"core.packedRefsTimeout", "2000"},
		{"core.quotePath", "true"},
		{"core.logAllRefUpdates", "true"}, // of branches; BranchLog reads it
		{"safe.directory", "*"},
		{"protocol.allow", "never"},
		{"transfer.fsckObjects", "true"},
		// Old faults that exist in honest histories and harm nobody.
		{"receive.fsck.badTimezone", "ignore"},
		{"receive.fsck.missingSpaceBeforeDate", "ignore"},
		{"receive.fsck.zeroPaddedFilemode", "ignore"},
		{"transfer.hideRefs", "refs/mergegate"},
		{"receive.hideRefs", "refs/merge-requests"},
		{"receive.maxInputSize", strconv.FormatInt(s.options.MaxPackBytes, 10)},
		{"receive.advertisePushOptions", "true"},
		{"receive.denyDeleteCurrent", "refuse"},
		{"receive.autogc", "false"}, // it detaches from us; Prune does it
		{"gc.auto", "0"},
		{"uploadpack.allowFilter", "true"},
		// A partial clone asks for objects by id. Protocol 2 always allows it.
		{"uploadpack.allowAnySHA1InWant", "true"},
	}
	env := []string{
		"PATH=" + filepath.Dir(s.git) + ":/usr/local/bin:/usr/bin:/bin",
		"HOME=/nonexistent",
		"LANG=C.UTF-8",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_OPTIONAL_LOCKS=0",
		// The identity in reflogs, for which git would ask the DNS otherwise.
		"GIT_COMMITTER_NAME=Mergegate", "GIT_COMMITTER_EMAIL=mergegate",
		"GIT_CONFIG_COUNT=" + strconv.Itoa(len(config)),
	}
	for i, c := range config {
		n := strconv.Itoa(i)
		env = append(env, "GIT_CONFIG_KEY_"+n+"="+c[0], "GIT_CONFIG_VALUE_"+n+"="+c[1])
	}
	return env
}

// process prepares a git process in a group of its own, which the end of ctx
// ends as a whole.
func (s *Store) process(ctx context.Context, c command) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.git, c.args...)
	cmd.Dir = c.dir
	cmd.Stdin = c.stdin
	cmd.Env = append(s.env[:len(s.env):len(s.env)], c.env...)
	if c.repo != 0 {
		cmd.Env = append(cmd.Env, "GIT_DIR="+c.dir)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killDelay
	return cmd
}

// enter takes the place in the pool that a command needs; leave gives it back
// and must be called after the process has ended. ErrBusy when there is none.
func (c command) enter(ctx context.Context) (leave func(), err error) {
	if c.limits.pool == nil {
		return func() {}, nil
	}
	leave, err = c.limits.pool.enter(ctx, c.repo)
	if err != nil {
		return nil, fmt.Errorf("git %s: %w", c.args[0], err)
	}
	return leave, nil
}

// start starts a process within the limits of its command, with the lease of
// the repository where it needs it.
func (s *Store) start(ctx context.Context, cmd *exec.Cmd, c command) error {
	if c.writes {
		lease, err := s.takeLease(ctx, cmd, c.repo)
		if err != nil {
			return err
		}
		defer lease.Close()
	}
	if err := cmd.Start(); err != nil {
		return startError(c, err)
	}
	if err := c.limits.apply(cmd.Process.Pid); err != nil {
		_ = cmd.Cancel()
		_ = cmd.Wait()
		return fmt.Errorf("limit git %s: %w", c.args[0], err)
	}
	return nil
}

// stream runs git and gives its standard output to read. When read returns
// before the end, with or without an error, git is stopped and its exit code
// means nothing any more. A process that runs into its limits gives
// ErrTooLarge, after read has seen the end of what it wrote; ErrBusy means
// that it did not start.
//
// read must not run git: all places could be held by processes that wait so.
func (s *Store) stream(ctx context.Context, c command, read func(io.Reader) (complete bool, err error)) error {
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if c.limits.time > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, c.limits.time, errTime)
		defer cancel()
	}
	cmd := s.process(ctx, c)
	stderr := &cappedBuffer{limit: stderrLimit}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.start(ctx, cmd, c); err != nil {
		return err
	}
	complete, readErr := read(stdout)
	if readErr != nil || !complete {
		cancel()
		_ = cmd.Wait() // stopped by us
		return readErr
	}
	return waitError(ctx, c, cmd, cmd.Wait(), stderr)
}

// maxPruneRaces is how often run starts a command again that lost its folder
// of objects to git prune.
const maxPruneRaces = 3

// run runs git and returns its standard output. The output is returned beside
// a CommandError as well: some commands answer by both.
//
// git prune removes empty folders of objects, also one that another process
// has just made for a new object. That process fails and is run again.
func (s *Store) run(ctx context.Context, c command) (out []byte, err error) {
	for range maxPruneRaces {
		out, err = s.runOnce(ctx, c)
		var failed *CommandError
		if !errors.As(err, &failed) || !strings.Contains(failed.Stderr, "unable to create temporary file: No such file") {
			return out, err
		}
		if input, ok := c.stdin.(io.Seeker); ok {
			if _, err := input.Seek(0, io.SeekStart); err != nil {
				return out, err
			}
		} else if c.stdin != nil {
			return out, err
		}
	}
	return out, err
}

func (s *Store) runOnce(ctx context.Context, c command) ([]byte, error) {
	limit := c.limit
	if limit == 0 {
		limit = defaultOutputLimit
	}
	var out bytes.Buffer
	err := s.stream(ctx, c, func(r io.Reader) (bool, error) {
		n, err := out.ReadFrom(io.LimitReader(r, limit+1))
		if err == nil && n > limit {
			err = fmt.Errorf("git %s: more than %d bytes: %w", c.args[0], limit, ErrTooLarge)
		}
		return true, err
	})
	return out.Bytes(), err
}

// startError turns a process that could not start into what the caller can
// tell apart: a repository that is not there, or anything else.
func startError(c command, err error) error {
	if _, statErr := os.Stat(c.dir); errors.Is(statErr, os.ErrNotExist) {
		return ErrMissing
	}
	return fmt.Errorf("start git %s: %w", c.args[0], err)
}

// waitError turns the end of a process into an error: the context's when that
// ended it, ErrTooLarge when a limit did, a CommandError when git did.
func waitError(ctx context.Context, c command, cmd *exec.Cmd, err error, stderr *cappedBuffer) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("git %s: %w", c.args[0], context.Cause(ctx))
	}
	if limited := limitError(c, cmd.ProcessState, stderr.String()); limited != nil {
		return limited
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &CommandError{Command: c.args[0], ExitCode: exit.ExitCode(), Stderr: stderr.String()}
	}
	return fmt.Errorf("git %s: %w", c.args[0], err)
}

// command is a git process inside the repository.
func (r Repo) command(args ...string) command {
	c := command{dir: r.store.path(r.id), repo: r.id, args: args, limits: r.store.domainLimits()}
	if r.view {
		c.limits = r.store.viewLimits()
	}
	return c
}

// git runs git inside the repository and returns its standard output.
func (r Repo) git(ctx context.Context, args ...string) ([]byte, error) {
	return r.store.run(ctx, r.command(args...))
}

// gitInput is git with something to read on its standard input.
func (r Repo) gitInput(ctx context.Context, input string, args ...string) ([]byte, error) {
	c := r.command(args...)
	c.stdin = strings.NewReader(input)
	return r.store.run(ctx, c)
}

// change runs git to change a ref, and once more where a lock was in its way
// that a crash had left behind.
func (r Repo) change(ctx context.Context, input string, args ...string) error {
	try := func() error {
		c := r.command(args...)
		c.stdin, c.writes = strings.NewReader(input), true
		_, err := r.store.run(ctx, c)
		return err
	}
	err := try()
	if exitCode(err) < 0 {
		return err
	}
	if removed, _, sweepErr := r.store.sweepLocks(r.id); sweepErr == nil && removed > 0 {
		err = try()
	}
	return err
}

// cappedBuffer keeps the first limit bytes written to it and drops the rest.
type cappedBuffer struct {
	bytes.Buffer
	limit int
}

// Write keeps what still fits and claims to have kept everything, so that the
// writing process is not disturbed.
func (b *cappedBuffer) Write(p []byte) (int, error) {
	if room := b.limit - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// String is what was kept, trimmed and in valid UTF-8.
func (b *cappedBuffer) String() string {
	return strings.TrimSpace(validText(b.Buffer.String()))
}

// validText replaces what is not UTF-8, and NUL, which databases refuse.
func validText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
