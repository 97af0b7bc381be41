package repositories

import (
	"context"
	"net/http"

	"github.com/mergegate/mergegate/gitrepo"
)

var _ gitrepo.Readers = Git{}

// Reader implements gitrepo.Readers. Its errors are those of package gitrepo,
// wrapped in a *models.Error where the domain has a code for them.
func (g Git) Reader(projectID int64) gitrepo.Reader { return reader{g.Store.View(projectID)} }

// reader translates the errors of a repository and leaves the results alone.
type reader struct{ repo gitrepo.Repo }

func (r reader) Branches(
	ctx context.Context, search string, offset, limit int, first ...string,
) ([]gitrepo.Branch, int, error) {
	return translate2(r.repo.Branches(ctx, search, offset, limit, first...))
}

func (r reader) RecentBranches(ctx context.Context, search, first string, limit int) ([]string, int, error) {
	return translate2(r.repo.RecentBranches(ctx, search, first, limit))
}

func (r reader) BranchTip(ctx context.Context, branch string) (string, bool, error) {
	return translate2(r.repo.BranchTip(ctx, branch))
}

func (r reader) BranchStamp(branch string) string { return r.repo.BranchStamp(branch) }

func (r reader) HasBranch(ctx context.Context, branch string) (bool, error) {
	return translate(r.repo.HasBranch(ctx, branch))
}

func (r reader) Tags(
	ctx context.Context, search string, order gitrepo.TagOrder, ascending bool, offset, limit int,
) ([]gitrepo.Tag, int, error) {
	return translate2(r.repo.Tags(ctx, search, order, ascending, offset, limit))
}

func (r reader) Tag(ctx context.Context, name string) (gitrepo.Tag, error) {
	return translate(r.repo.Tag(ctx, name))
}

func (r reader) Resolve(ctx context.Context, name string) (string, error) {
	return translate(r.repo.Resolve(ctx, name))
}

func (r reader) Commit(ctx context.Context, sha string) (gitrepo.Commit, error) {
	return translate(r.repo.Commit(ctx, sha))
}

func (r reader) Log(ctx context.Context, from, to string, offset, limit int) ([]gitrepo.Commit, error) {
	return translate(r.repo.Log(ctx, from, to, offset, limit))
}

func (r reader) Count(ctx context.Context, from, to string) (int, error) {
	return translate(r.repo.Count(ctx, from, to))
}

func (r reader) MergeBase(ctx context.Context, a, b string) (string, bool, error) {
	return translate2(r.repo.MergeBase(ctx, a, b))
}

func (r reader) Divergences(ctx context.Context, main string, tips ...string) (map[string]gitrepo.Divergence, error) {
	return translate(r.repo.Divergences(ctx, main, tips...))
}

func (r reader) LastCommit(ctx context.Context, sha, path string) (string, error) {
	return translate(r.repo.LastCommit(ctx, sha, path))
}

func (r reader) HeadsWith(ctx context.Context, sha string) ([]int64, error) {
	return translate(r.repo.HeadsWith(ctx, sha))
}

func (r reader) Diff(ctx context.Context, base, head string, limits gitrepo.DiffLimits) (gitrepo.Diff, error) {
	return translate(r.repo.Diff(ctx, base, head, limits))
}

func (r reader) CountFiles(ctx context.Context, base, head string) (gitrepo.FileCount, error) {
	return translate(r.repo.CountFiles(ctx, base, head))
}

func (r reader) PatchID(ctx context.Context, base, head string) (string, error) {
	return translate(r.repo.PatchID(ctx, base, head))
}

// Conflicts returns a *models.Error with its Reasons when something other than
// a conflict prevents the merge.
func (r reader) Conflicts(ctx context.Context, target, source string) ([]string, error) {
	files, err := r.repo.Conflicts(ctx, target, source)
	return files, mergeError(err)
}

func (r reader) TreeEntries(
	ctx context.Context, sha, path string, recursive bool,
) ([]gitrepo.TreeEntry, bool, error) {
	return translate2(r.repo.TreeEntries(ctx, sha, path, recursive))
}

func (r reader) File(ctx context.Context, sha, path string) (gitrepo.TreeEntry, error) {
	return translate(r.repo.File(ctx, sha, path))
}

func (r reader) Blob(ctx context.Context, sha, path string, limit int64) ([]byte, bool, error) {
	return translate2(r.repo.Blob(ctx, sha, path, limit))
}

func (r reader) WriteBlob(ctx context.Context, w http.ResponseWriter, id string, size int64) error {
	return readError(r.repo.WriteBlob(ctx, w, id, size))
}

func (r reader) CheckArchive(ctx context.Context, archive gitrepo.Archive) error {
	return readError(r.repo.CheckArchive(ctx, archive))
}

func (r reader) WriteArchive(ctx context.Context, w http.ResponseWriter, archive gitrepo.Archive) error {
	return readError(r.repo.WriteArchive(ctx, w, archive))
}

// translate passes a value on and its error through readError.
func translate[T any](value T, err error) (T, error) { return value, readError(err) }

// translate2 is translate for two values.
func translate2[T, U any](value T, other U, err error) (T, U, error) {
	return value, other, readError(err)
}

func (r reader) Size(ctx context.Context) (int64, bool, error) { return translate2(r.repo.Size(ctx)) }
