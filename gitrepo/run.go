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

// defaultOutputLimit is the default limit of the output of run, in bytes.
const defaultOutputLimit = 32 << 20

// stderrLimit is how much of the standard error of git is kept, in bytes.
const stderrLimit = 8 << 10

// killDelay is the time between SIGTERM and SIGKILL.
const killDelay = 5 * time.Second

// CommandError means that a git command failed.
type CommandError struct {
	// Command is the sub-command, for example "merge-tree".
	Command string
	// ExitCode is the exit code, or -1 if a signal ended git.
	ExitCode int
	// Stderr is the beginning of the standard error of git. It may contain names
	// from the repository, so it is for logs and not for pages.
	Stderr string
}

// Error returns the sub-command, the exit code and the standard error of git.
func (e *CommandError) Error() string {
	return fmt.Sprintf("git %s: exit code %d: %s", e.Command, e.ExitCode, e.Stderr)
}

// exitCode returns the exit code of a CommandError, or -2 for any other error.
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
	repo   int64     // project whose repository is dir, for GIT_DIR and the pool; 0 if none
	args   []string  // the sub-command and its arguments
	env    []string  // additional environment
	stdin  io.Reader // nil means empty
	limit  int64     // of standard output in bytes; 0 means defaultOutputLimit
	limits limits    // of the process
	writes bool      // whether it may change refs and so needs the lease
}

// name returns the sub-command, such as "merge-tree".
func (c command) name() string {
	args := c.args
	for len(args) > 2 && args[0] == "-c" {
		args = args[2:]
	}
	return args[0]
}

// environment returns the environment of all git processes. They do not inherit the
// environment of the server, where for example GIT_DIR would redirect them. git
// treats this configuration like options of the command line, so it accepts
// safe.directory.
func (s *Store) environment() []string {
	config := [][2]string{
		{"core.hooksPath", s.hooks},
		{"core.fsync", "all"}, // the database refers to these objects
		{"core.filesRefLockTimeout", "2000"},
		{"core.packedRefsTimeout", "2000"},
		{"core.quotePath", "true"},
		{"core.logAllRefUpdates", "true"}, // BranchLog reads the reflogs of branches
		{"safe.directory", "*"},
		{"protocol.allow", "never"},
		{"transfer.fsckObjects", "true"},
		// Harmless errors that exist in old histories.
		{"receive.fsck.badTimezone", "ignore"},
		{"receive.fsck.missingSpaceBeforeDate", "ignore"},
		{"receive.fsck.zeroPaddedFilemode", "ignore"},
		{"transfer.hideRefs", "refs/mergegate"},
		{"receive.hideRefs", "refs/merge-requests"},
		{"receive.maxInputSize", strconv.FormatInt(s.options.MaxPackBytes, 10)},
		{"receive.advertisePushOptions", "true"},
		{"receive.denyDeleteCurrent", "refuse"},
		{"receive.autogc", "false"}, // it runs in the background; Prune replaces it
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
		// The identity in reflogs. Without it, git would query the DNS.
		"GIT_COMMITTER_NAME=Mergegate", "GIT_COMMITTER_EMAIL=" + OwnMove,
		"GIT_CONFIG_COUNT=" + strconv.Itoa(len(config)),
	}
	for i, c := range config {
		n := strconv.Itoa(i)
		env = append(env, "GIT_CONFIG_KEY_"+n+"="+c[0], "GIT_CONFIG_VALUE_"+n+"="+c[1])
	}
	return env
}

// process returns a git command in its own process group. When ctx ends, the whole
// group is terminated.
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

// enter takes a place in the pool of the command, or returns ErrBusy. The caller
// calls leave after the process has ended.
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

// start starts a process with the limits of its command and, if c.writes, with the
// lease of the repository.
func (s *Store) start(ctx context.Context, cmd *exec.Cmd, c command) error {
	if c.writes {
		lease, err := s.takeLease(ctx, cmd, c.repo)
		if err != nil {
			return err
		}
		defer lease.Close()
	}
	if err := startProcess(cmd); err != nil {
		return startError(c, err)
	}
	if err := c.limits.apply(cmd.Process.Pid); err != nil {
		_ = cmd.Cancel()
		_ = cmd.Wait()
		return fmt.Errorf("limit git %s: %w", c.args[0], err)
	}
	return nil
}

// stream runs git and calls read with its standard output. If read returns an error
// or false, git is stopped and its exit code ignored. If git reaches a limit, stream
// returns ErrTooLarge, after read has read the output up to there. ErrBusy means
// that git did not start.
//
// read must not run git: with all places of the pool taken, that would be a
// deadlock.
func (s *Store) stream(ctx context.Context, c command, read func(io.Reader) (complete bool, err error)) (err error) {
	ended := s.options.Observe(ctx, c.name())
	defer func() { ended(err) }()
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
		_ = cmd.Wait() // fails because of cancel
		return readErr
	}
	return waitError(ctx, c, cmd, cmd.Wait(), stderr)
}

// maxPruneRaces is how often run tries a command that fails because of a concurrent
// git prune.
const maxPruneRaces = 3

// run runs git and returns its standard output. It returns the output with a
// CommandError, too, because some commands use both.
//
// git prune removes empty object folders, even one that another process has just
// created for a new object. That process fails, and run starts it again.
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

// startError returns the error of a process that did not start: ErrMissing if its
// folder does not exist.
func startError(c command, err error) error {
	if _, statErr := os.Stat(c.dir); errors.Is(statErr, os.ErrNotExist) {
		return ErrMissing
	}
	return fmt.Errorf("start git %s: %w", c.args[0], err)
}

// waitError returns the error of a process that has ended: the cause of ctx if that
// has ended, ErrTooLarge if a limit was reached, otherwise a CommandError.
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

// command returns a git command that runs in the repository.
func (r Repo) command(args ...string) command {
	c := command{dir: r.store.path(r.id), repo: r.id, args: args, limits: r.store.domainLimits()}
	if r.view {
		c.limits = r.store.viewLimits()
	}
	return c
}

// git runs git in the repository and returns its standard output.
func (r Repo) git(ctx context.Context, args ...string) ([]byte, error) {
	return r.store.run(ctx, r.command(args...))
}

// gitInput is git with input as the standard input.
func (r Repo) gitInput(ctx context.Context, input string, args ...string) ([]byte, error) {
	c := r.command(args...)
	c.stdin = strings.NewReader(input)
	return r.store.run(ctx, c)
}

// change runs a git command that changes refs. If it fails and stale lock files
// were found and removed, it runs the command again.
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

// cappedBuffer keeps the first limit bytes and discards the rest.
type cappedBuffer struct {
	bytes.Buffer
	limit int
}

// Write implements io.Writer. It never fails, so the process can go on writing.
func (b *cappedBuffer) Write(p []byte) (int, error) {
	if left := b.limit - b.Len(); left > 0 {
		b.Buffer.Write(p[:min(left, len(p))])
	}
	return len(p), nil
}

// String returns the kept bytes, trimmed and in valid UTF-8.
func (b *cappedBuffer) String() string {
	return strings.TrimSpace(validText(b.Buffer.String()))
}

// validText replaces invalid UTF-8 and NUL, which databases reject, by U+FFFD.
func validText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
