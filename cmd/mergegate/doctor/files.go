package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mergegate/mergegate/cmd/mergegate/backup"
	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
)

// Limits of the free space in the data folder.
const (
	spaceWarning, spaceFault = 1 << 30, 100 << 20
	inodesWarning            = 10_000
)

// repositoriesFolder is the folder of all repositories.
func (e *examination) repositoriesFolder() string { return filepath.Join(e.Data, "repositories") }

// git looks for the git program and opens the repositories, if there are any.
func (e *examination) git() {
	const help = "Install git 2.38 or later and make sure that it is in PATH."
	version, err := gitrepo.Version()
	if err != nil {
		e.add("git", Fault, help, "%s.", sentence(err))
		return
	}
	e.ok("git", "git is version %s.", version)
	if _, err := os.Stat(e.repositoriesFolder()); err != nil {
		return
	}
	if e.repos, err = gitrepo.Open(e.repositoriesFolder()); err != nil {
		e.add("git", Fault, help, "The repositories cannot be opened: %v.", err)
	}
}

// sentence returns the text of an error with an upper-case first letter.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// folders examines rights and space of the data folder.
func (e *examination) folders() {
	info, err := os.Stat(e.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.add("data folder", Warning, "Start the server, which creates it, or correct MERGEGATE_DATA.", "The data folder %s does not exist.", e.Data)
		return
	case err != nil || !info.IsDir():
		e.add("data folder", Fault, "Correct MERGEGATE_DATA.", "%s is not a folder that can be read.", e.Data)
		return
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		e.add("data folder", Warning, "Run this command as the user of the server.",
			"The data folder belongs to user %d and this command runs as user %d: rights cannot be judged.", owner.Uid, os.Geteuid())
	} else {
		e.rights(info)
	}
	if _, err := os.Stat(filepath.Join(e.Data, backup.MarkerName)); err == nil {
		e.add("data folder", Fault, "Run the same `mergegate restore FILE` again; it begins anew.", "A restore into this data folder is running or was interrupted.")
	}
	e.space()
}

func (e *examination) rights(info fs.FileInfo) {
	const writable, executable = 0o2, 0o1 // access(2)
	failed := false
	for _, dir := range []string{e.Data, e.repositoriesFolder()} {
		if err := syscall.Access(dir, writable); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = true
			e.add("data folder", Fault, "Give the folder to the user of the server: chown -R USER "+e.Data+".", "%s cannot be written: %v.", dir, err)
		}
	}
	hooks, _ := filepath.Glob(filepath.Join(e.Data, "hooks", "*", "*-receive"))
	for _, hook := range hooks {
		if err := syscall.Access(hook, executable); err != nil {
			failed = true
			e.add("data folder", Fault, "Mount the file system of the data folder without noexec. The next start of the server repairs the mode.", "git cannot run %s: %v.", hook, err)
			break
		}
	}
	if info.Mode().Perm()&0o077 != 0 {
		failed = true
		e.add("data folder", Warning, "chmod 700 "+e.Data, "The data folder is open to other users of this machine (mode %o).", info.Mode().Perm())
	}
	for _, name := range []string{"secret_key", "mergegate.db"} {
		file, err := os.Stat(filepath.Join(e.Data, name))
		if err == nil && file.Mode().Perm()&0o077 != 0 {
			failed = true
			e.add("data folder", Fault, "chmod 600 "+filepath.Join(e.Data, name), "%s is open to other users of this machine (mode %o).", name, file.Mode().Perm())
		}
	}
	if !failed {
		e.ok("data folder", "%s is private and can be used.", e.Data)
	}
}

func (e *examination) space() {
	const help = "Free space on this disk, or move the data folder to a larger one."
	var disk syscall.Statfs_t
	if err := syscall.Statfs(e.Data, &disk); err != nil {
		e.add("disk", Warning, help, "The free space cannot be read: %v.", err)
		return
	}
	free := uint64(disk.Bavail) * uint64(disk.Bsize)
	text := fmt.Sprintf("%.1f GiB are free in %s", float64(free)/(1<<30), e.Data)
	switch {
	case free < spaceFault:
		e.add("disk", Fault, help, "Only %s. Pushes will fail soon.", text)
	case free < spaceWarning:
		e.add("disk", Warning, help, "Only %s.", text)
	case disk.Files > 0 && disk.Ffree < inodesWarning:
		e.add("disk", Warning, "Remove small files on this disk; repositories need many.", "Only %d files can still be created in %s.", disk.Ffree, e.Data)
	default:
		e.ok("disk", "%s.", text)
	}
}

// settle is how long rows and refs of a running server may disagree: a push moves the
// refs first.
const settle = 2 * time.Second

// repositories compares rows and refs of each project and looks for stale locks.
func (e *examination) repositories(ctx context.Context) {
	ids, err := e.store.ProjectIDs(ctx)
	if err != nil {
		e.add("repositories", Fault, "Look at the database.", "The projects cannot be read: %v.", err)
		return
	}
	if len(ids) > 0 && e.repos == nil {
		e.add("repositories", Fault, "Correct MERGEGATE_DATA, or restore a backup.", "There are %s in the database, but no repositories in %s.", count(len(ids), "project"), e.Data)
		return
	}
	suspects := map[int64][]string{}
	for _, id := range ids {
		if ctx.Err() != nil {
			return
		}
		if wrong := e.project(ctx, id); len(wrong) > 0 {
			suspects[id] = wrong
		}
		e.locks(ctx, id)
	}
	e.settle(ctx, suspects)
	faults := len(suspects)
	for i, id := range slices.Sorted(maps.Keys(suspects)) {
		if wrong := suspects[id]; i < maxListed {
			e.add("repositories", Fault, "A push or merge that was cut off is completed within a minute by a running server. If it stays, restore a backup of this project's repository.",
				"Project %d: %s.", id, list(wrong[:min(len(wrong), 3)], len(wrong)))
		}
	}
	if faults > maxListed {
		e.add("repositories", Fault, "See the faults above.", "%d more projects have such faults.", faults-maxListed)
	}
	if faults == 0 {
		e.ok("repositories", "Refs and rows of %s agree.", count(len(ids), "project"))
	}
	e.orphans(ctx)
}

func (e *examination) locks(ctx context.Context, id int64) {
	stale, err := e.repos.StaleLocks(ctx, id)
	if err == nil && len(stale) > 0 {
		e.add("locks", Warning, "A running server removes them. If one runs, restart it; it names what it cannot remove in its log.",
			"Project %d has lock files that are older than ten minutes: %s.", id, list(stale[:min(len(stale), maxListed)], len(stale)))
	}
}

// settle examines projects again, for as long as rows and refs of a running server may
// disagree, and removes those that agree.
func (e *examination) settle(ctx context.Context, suspects map[int64][]string) {
	for end := time.Now().Add(settle); len(suspects) > 0 && time.Now().Before(end) && ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-time.After(settle / 10):
		}
		for id := range suspects {
			if suspects[id] = e.project(ctx, id); len(suspects[id]) == 0 {
				delete(suspects, id)
			}
		}
	}
}

// project returns the differences between the rows and refs of a project.
func (e *examination) project(ctx context.Context, id int64) (wrong []string) {
	heads, err := e.store.HeadsOfProject(ctx, id)
	if err != nil {
		return []string{"the merge requests cannot be read: " + err.Error()}
	}
	refs, err := e.repos.Repo(id).Refs(ctx)
	if errors.Is(err, gitrepo.ErrMissing) {
		if _, err := e.store.Project(ctx, id); models.KindOf(err) == models.KindNotFound {
			return nil // deleted meanwhile
		}
		return []string{"the repository is missing"}
	}
	if err != nil {
		return []string{"the repository cannot be read: " + err.Error()}
	}
	for _, mr := range heads {
		head, branch := refs[gitrepo.HeadRef(mr.IID)], refs["refs/heads/"+mr.SourceBranch]
		switch {
		case head != mr.HeadSHA:
			wrong = append(wrong, fmt.Sprintf("HEAD of merge request %d is %.8s, its ref %s", mr.IID, mr.HeadSHA, orNothing(head)))
		case mr.State == models.StateOpened && !mr.SourceBranchDeleted && branch != mr.HeadSHA:
			wrong = append(wrong, fmt.Sprintf("HEAD of merge request %d is %.8s, its branch %s", mr.IID, mr.HeadSHA, orNothing(branch)))
		}
	}
	return wrong
}

func orNothing(sha string) string {
	if sha == "" {
		return "does not exist"
	}
	return "is at " + sha[:8]
}

// orphans looks for repositories without a project.
func (e *examination) orphans(ctx context.Context) {
	if e.repos == nil {
		return
	}
	found, err := e.repos.IDs()
	if err != nil {
		return
	}
	known, err := e.store.ProjectIDs(ctx) // after the folders: a new project has its row first
	removed, removedErr := e.store.RemovedRepositories(ctx)
	if err != nil || removedErr != nil {
		return
	}
	var orphans []string
	for _, id := range found {
		if !slices.Contains(known, id) && !slices.Contains(removed, id) {
			orphans = append(orphans, fmt.Sprintf("%d.git", id))
		}
	}
	if len(orphans) > 0 {
		e.add("repositories", Warning, "Move these folders away once you are sure that MERGEGATE_DATA and MERGEGATE_DATABASE_URL belong together.",
			"There are repositories without a project: %s.", list(orphans[:min(len(orphans), maxListed)], len(orphans)))
	}
}
