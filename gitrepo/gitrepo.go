// Package gitrepo keeps bare git repositories and reads, writes and serves
// them through the git program. It imports nothing of Mergegate.
//
// A repository is known by the number of its project alone and lives at
// <root>/<id>.git, so that renaming a project moves nothing and no name that
// a stranger typed ever becomes part of a path. Object ids are the only
// revisions that reach git's command line: names are resolved once, by
// BranchTip or Resolve, and everything else takes ids.
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

// ZeroID is git's "no object": the old value of a ref that is created and the
// new value of one that is deleted.
const ZeroID = "0000000000000000000000000000000000000000"

// EmptyTree is the id of the tree without entries, which git knows without
// storing it. As the base of a Diff it shows everything as added.
const EmptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// DefaultMaxPackBytes is the largest pack a push may send when Options does
// not say otherwise: 1 GiB.
const DefaultMaxPackBytes = 1 << 30

// What can go wrong, apart from git itself failing (see CommandError).
var (
	// ErrNotFound means that the repository, commit, path or ref is not there.
	ErrNotFound = errors.New("not found in the repository")
	// ErrMissing is the ErrNotFound of a repository whose folder is not there.
	ErrMissing = fmt.Errorf("the repository folder is missing: %w", ErrNotFound)
	// ErrExists means that Create was asked for a repository that is there.
	ErrExists = errors.New("repository exists")
	// ErrRefMoved means that a ref was not where the caller expected it.
	ErrRefMoved = errors.New("the ref has moved")
	// ErrUnrelated means that two commits share no history and cannot be merged.
	ErrUnrelated = errors.New("the branches have no history in common")
	// ErrNothingToMerge means that the target already contains the source.
	ErrNothingToMerge = errors.New("the target already contains the source")
	// ErrTooLarge means that git's answer was longer than its reader allows.
	ErrTooLarge = errors.New("git's answer is too large")
)

// Options configures a Store. The zero value of each field is usable, except
// that without HooksDir and SocketPath every push is refused.
type Options struct {
	// GitPath is the git program; empty means the one found in PATH.
	GitPath string
	// HooksDir is a folder of ours that New fills with the two hooks.
	HooksDir string
	// HookProgram is what the hooks run; empty means the running binary.
	HookProgram string
	// SocketPath is where the hooks find the server (see ListenHooks).
	SocketPath string
	// MaxPackBytes is the largest pack a push may send; 0 means
	// DefaultMaxPackBytes.
	MaxPackBytes int64
	// TransferRate is the least that clients must send and take; zero means
	// DefaultTransferRate.
	TransferRate TransferRate
	// Log takes what has no caller to be told to; nil discards it.
	Log *slog.Logger
}

// Store is a folder of bare repositories. It may be used by any number of
// goroutines at once.
type Store struct {
	root    string
	git     string
	options Options
	env     []string
	log     *slog.Logger
	pools   pools
	answers answers

	sweptMu sync.Mutex
	swept   map[int64]time.Time // when the lease was used that SweepLocks saw last
}

// New opens the folder root, made when missing, checks that git is new enough
// and (re)writes the hooks.
func New(root string, o Options) (*Store, error) {
	if o.GitPath == "" {
		o.GitPath = "git"
	}
	git, err := exec.LookPath(o.GitPath)
	if err != nil {
		return nil, fmt.Errorf("git is missing: Mergegate needs git %s or later (%w)", minimumVersion, err)
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
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if root, err = filepath.Abs(root); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of repositories: %w", err)
	}
	if o.HooksDir == "" {
		o.HooksDir = filepath.Join(root, ".hooks")
	}
	if o.HooksDir, err = filepath.Abs(o.HooksDir); err != nil {
		return nil, err
	}
	if o.SocketPath != "" { // hooks run in another folder
		if o.SocketPath, err = filepath.Abs(o.SocketPath); err != nil {
			return nil, err
		}
	}
	if o.HookProgram == "" {
		if o.HookProgram, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find the program that the hooks are to run: %w", err)
		}
	}
	if o.HookProgram, err = filepath.Abs(o.HookProgram); err != nil {
		return nil, err
	}
	s := &Store{root: root, git: git, options: o, log: o.Log, pools: newPools(), swept: map[int64]time.Time{}}
	s.env = s.environment()
	if err := s.checkVersion(); err != nil {
		return nil, err
	}
	if err := s.writeHooks(); err != nil {
		return nil, err
	}
	return s, nil
}

// minimumVersion is the first git with merge-tree --write-tree.
const minimumVersion = "2.38"

var versionPattern = regexp.MustCompile(`^git version (\d+)\.(\d+)`)

// checkVersion refuses a git older than minimumVersion.
func (s *Store) checkVersion() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := s.run(ctx, command{dir: s.root, args: []string{"version"}})
	if err != nil {
		return fmt.Errorf("ask git for its version: %w", err)
	}
	found := strings.TrimSpace(string(out))
	m := versionPattern.FindStringSubmatch(found)
	if m == nil {
		return fmt.Errorf("%s says %q instead of its version", s.git, found)
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	if major < 2 || major == 2 && minor < 38 {
		return fmt.Errorf("git is too old: Mergegate needs git %s or later, %s is %s", minimumVersion, s.git, strings.TrimPrefix(found, "git version "))
	}
	return nil
}

// path is the folder of a project's repository.
func (s *Store) path(id int64) string {
	return filepath.Join(s.root, strconv.FormatInt(id, 10)+".git")
}

// Exists reports whether the project has a repository.
func (s *Store) Exists(id int64) bool {
	info, err := os.Stat(filepath.Join(s.path(id), "HEAD"))
	return err == nil && info.Mode().IsRegular()
}

// Create makes an empty repository whose HEAD names defaultBranch. It is made
// beside its place and moved there, so a crash leaves none half made.
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

// SetDefaultBranch makes the repository's HEAD name the branch, which clients
// check out after a clone.
func (s *Store) SetDefaultBranch(ctx context.Context, id int64, branch string) error {
	if err := checkBranch(branch); err != nil {
		return err
	}
	return s.Repo(id).change(ctx, "", "symbolic-ref", "HEAD", "refs/heads/"+branch)
}

// leftoverPrefix marks folders on their way in or out; Sweep removes old ones.
const leftoverPrefix = ".leftover-"

// Delete removes a repository. It is out of reach at once, by a rename; its
// files go after that, and Sweep finishes what a crash interrupts. Deleting a
// repository that is not there is no error.
func (s *Store) Delete(_ context.Context, id int64) error {
	gone := filepath.Join(s.root, leftoverPrefix+strconv.FormatInt(id, 10)+"-"+randomName())
	if err := os.Rename(s.path(id), gone); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("delete the repository of project %d: %w", id, err)
	}
	if err := os.RemoveAll(gone); err != nil {
		s.log.Warn("a deleted repository could not be removed whole; the sweep will try again", "project", id, "error", err)
	}
	return nil
}

// Repo names a project's repository. It is a value; nothing is opened.
func (s *Store) Repo(id int64) Repo { return Repo{store: s, id: id} }

// View is Repo for what pages and the API show: git gets little time and
// memory, and few processes of one project run at once. What does not fit is
// ErrTooLarge, or a result that says that it was cut; ErrBusy means that no
// process ended in time.
func (s *Store) View(id int64) Repo { return Repo{store: s, id: id, view: true} }

// Repo is one repository of a Store.
type Repo struct {
	store *Store
	id    int64
	view  bool // its processes have the limits of views
}

// randomName is a name that nothing else has: 64 random bits in hex.
func randomName() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

var idPattern = regexp.MustCompile(`^[0-9a-f]{40}$`)

// checkIDs refuses anything but full object ids, so that no text of a
// stranger is ever read by git as a revision or an option.
func checkIDs(ids ...string) error {
	for _, id := range ids {
		if !idPattern.MatchString(id) {
			return fmt.Errorf("%q is no object id: %w", id, ErrNotFound)
		}
	}
	return nil
}
