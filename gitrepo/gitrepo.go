// Package gitrepo stores bare git repositories and runs the git program to read,
// change and serve them. It imports no other package of Mergegate. Start with New
// and Store; Reader lists what can be read from a repository.
//
// A repository is at <root>/<project id>.git. So renaming a project moves no
// files, and no user input becomes part of a path. Commits are passed to git as
// object ids only: BranchTip and Resolve return them for names, and all other
// methods take ids.
package gitrepo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ZeroID means "no object": it is the old value of a ref that is created and the
// new value of a ref that is deleted.
const ZeroID = "0000000000000000000000000000000000000000"

// EmptyTree is the id of the tree without entries. Every repository has it. As
// the base of a Diff it shows all files as added.
const EmptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// DefaultMaxPackBytes is the default of Options.MaxPackBytes: 1 GiB.
const DefaultMaxPackBytes = 1 << 30

// Errors of this package. Other failures of git are a CommandError.
var (
	// ErrNotFound means that a repository, commit, path or ref does not exist.
	ErrNotFound = errors.New("not found in the repository")
	// ErrMissing means that the folder of a repository does not exist. It wraps
	// ErrNotFound.
	ErrMissing = fmt.Errorf("the repository folder is missing: %w", ErrNotFound)
	// ErrExists means that the repository to create exists already.
	ErrExists = errors.New("the repository exists already")
	// ErrRefMoved means that a ref does not have the value that the caller
	// expects.
	ErrRefMoved = errors.New("the ref has moved")
	// ErrUnrelated means that two commits have no common history.
	ErrUnrelated = errors.New("the branches have no history in common")
	// ErrNothingToMerge means that the target already contains the source.
	ErrNothingToMerge = errors.New("the target already contains the source")
	// ErrTooLarge means that git reached a limit of output, time or memory.
	ErrTooLarge = errors.New("git exceeded a limit")
)

// Options configures a Store. All fields may be zero.
type Options struct {
	// GitPath is the git program. Empty means git in PATH.
	GitPath string
	// HooksDir is the folder in which New creates a folder of hooks. Empty means
	// .hooks in the root of the repositories. Programs must be allowed to run there.
	HooksDir string
	// MaxPackBytes is the maximum size of the pack of one push. 0 means
	// DefaultMaxPackBytes.
	MaxPackBytes int64
	// TransferRate is the minimum rate of clients. Zero means
	// DefaultTransferRate.
	TransferRate TransferRate
	// Log receives the failures that no caller gets as an error. Nil discards
	// them.
	Log *slog.Logger
	// Observe is called when a git process is needed, with its sub-command, such
	// as "merge-tree". It returns a function that is called with the error of the
	// process when it has ended. Nil disables it.
	Observe func(ctx context.Context, command string) (ended func(error))
}

// Store is a folder of bare repositories. It is safe for concurrent use.
type Store struct {
	root    string
	git     string
	hooks   string // folder of the hooks
	options Options
	env     []string
	log     *slog.Logger
	pools   pools
	answers answers

	sweptMu sync.Mutex
	swept   map[int64]time.Time // last use of the lease that SweepLocks has seen, by project
}

// New opens the folder root, which it creates if it is missing. It checks the
// version of git and writes the hooks.
func New(root string, o Options) (*Store, error) {
	s, err := prepare(root, o)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.root, 0o700); err != nil {
		return nil, fmt.Errorf("create the folder of repositories: %w", err)
	}
	if _, err := s.version(); err != nil {
		return nil, err
	}
	if err := s.ensureHooks(); err != nil {
		return nil, err
	}
	return s, nil
}

// Open opens an existing folder of repositories without hooks: to read it beside a
// server, or to create repositories before a server starts. It changes nothing.
func Open(root string) (*Store, error) {
	s, err := prepare(root, Options{HooksDir: os.DevNull})
	if err != nil {
		return nil, err
	}
	_, err = s.version()
	return s, err
}

// prepare applies the defaults of options and makes paths absolute. It changes nothing.
func prepare(root string, o Options) (*Store, error) {
	if o.GitPath == "" {
		o.GitPath = "git"
	}
	git, err := exec.LookPath(o.GitPath)
	if err != nil {
		return nil, fmt.Errorf("git is missing: install git %s or later (%w)", minimumVersion, err)
	}
	if git, err = filepath.Abs(git); err != nil {
		return nil, err
	}
	if o.MaxPackBytes <= 0 {
		o.MaxPackBytes = DefaultMaxPackBytes
	}
	if o.TransferRate.Window <= 0 {
		o.TransferRate = DefaultTransferRate
	}
	if o.Observe == nil {
		o.Observe = func(context.Context, string) func(error) { return func(error) {} }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if root, err = filepath.Abs(root); err != nil {
		return nil, err
	}
	if o.HooksDir == "" {
		o.HooksDir = filepath.Join(root, ".hooks")
	}
	if o.HooksDir, err = filepath.Abs(o.HooksDir); err != nil {
		return nil, err
	}
	s := &Store{root: root, git: git, hooks: hooksFolder(o.HooksDir), options: o, log: o.Log, pools: newPools(), swept: map[int64]time.Time{}}
	s.env = s.environment()
	return s, nil
}

// minimumVersion is the first version of git with merge-tree --write-tree.
const minimumVersion = "2.38"

var versionPattern = regexp.MustCompile(`^git version (\d+)\.(\d+)`)

// version returns the version of git, or an error if it is older than minimumVersion.
func (s *Store) version() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := s.run(ctx, command{dir: s.root, args: []string{"version"}})
	if err != nil {
		return "", fmt.Errorf("read the version of git: %w", err)
	}
	found := strings.TrimSpace(string(out))
	m := versionPattern.FindStringSubmatch(found)
	if m == nil {
		return "", fmt.Errorf("read the version of git: %s printed %q", s.git, found)
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	if major < 2 || major == 2 && minor < 38 {
		return "", fmt.Errorf("git is too old: install git %s or later; %s is %s", minimumVersion, s.git, strings.TrimPrefix(found, "git version "))
	}
	return strings.TrimPrefix(found, "git version "), nil
}

// path returns the folder of the repository of a project.
func (s *Store) path(id int64) string {
	return filepath.Join(s.root, strconv.FormatInt(id, 10)+".git")
}

// Exists reports whether the project has a repository.
func (s *Store) Exists(id int64) bool {
	info, err := os.Stat(filepath.Join(s.path(id), "HEAD"))
	return err == nil && info.Mode().IsRegular()
}

// Create creates an empty repository whose HEAD is defaultBranch, or returns
// ErrExists. It creates a temporary folder and renames it, so a crash leaves no
// incomplete repository.
func (s *Store) Create(ctx context.Context, id int64, defaultBranch string) error {
	if err := errors.Join(checkBranch(defaultBranch), checkNewRef(defaultBranch)); err != nil {
		return err
	}
	if s.Exists(id) {
		return fmt.Errorf("project %d: %w", id, ErrExists)
	}
	fresh := filepath.Join(s.root, leftoverPrefix+strconv.FormatInt(id, 10)+"-"+randomName())
	_, err := s.run(ctx, command{dir: s.root, args: []string{
		"init", "--quiet", "--bare", "--template=", "--object-format=sha1", "--initial-branch=" + defaultBranch, fresh,
	}})
	if err == nil {
		err = os.Rename(fresh, s.path(id))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("create the repository of project %d: %w", id, err), os.RemoveAll(fresh))
	}
	return nil
}

// SetDefaultBranch sets HEAD of the repository to a branch, which need not exist.
// Clients check it out after a clone.
func (s *Store) SetDefaultBranch(ctx context.Context, id int64, branch string) error {
	if err := checkBranch(branch); err != nil {
		return err
	}
	return s.Repo(id).change(ctx, "", "symbolic-ref", "HEAD", "refs/heads/"+branch)
}

// leftoverPrefix is the prefix of folders that are being created or deleted.
// Sweep removes old ones.
const leftoverPrefix = ".leftover-"

// Delete deletes a repository. It renames the folder first, so the repository
// disappears at once; Sweep removes files that a crash leaves. A missing
// repository is not an error.
func (s *Store) Delete(_ context.Context, id int64) error {
	gone := filepath.Join(s.root, leftoverPrefix+strconv.FormatInt(id, 10)+"-"+randomName())
	if err := os.Rename(s.path(id), gone); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("delete the repository of project %d: %w", id, err)
	}
	if err := os.RemoveAll(gone); err != nil {
		s.log.Warn("removing a deleted repository failed, will retry", "project_id", id, "error", err)
	}
	return nil
}

// Repo returns the repository of a project with the limits of the domain. It
// opens nothing, so the repository may be missing.
func (s *Store) Repo(id int64) Repo { return Repo{store: s, id: id} }

// View is Repo with lower limits, for pages and API: git gets less time and memory,
// and fewer processes of one project run at once. If a limit is reached, methods
// return ErrTooLarge or a result that is marked as incomplete. ErrBusy means that
// no other process ended in time.
func (s *Store) View(id int64) Repo { return Repo{store: s, id: id, view: true} }

// Repo is one repository of a Store.
type Repo struct {
	store *Store
	id    int64
	view  bool // use viewLimits
}

// randomName returns 64 random bits in hexadecimal.
func randomName() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

var idPattern = regexp.MustCompile(`^[0-9a-f]{40}$`)

// checkIDs returns ErrNotFound for anything but full object ids, so git never
// reads user input as a revision or an option.
func checkIDs(ids ...string) error {
	for _, id := range ids {
		if !idPattern.MatchString(id) {
			return fmt.Errorf("%q is not an object id: %w", id, ErrNotFound)
		}
	}
	return nil
}
