package gitrepo

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
)

// maxSizeFiles is how many files Size looks at.
const maxSizeFiles = 20_000

// errSizeLimit ends Size at its limit.
var errSizeLimit = errors.New("too many files")

// Size returns the number of bytes that the files of the repository have. A
// repository with more than 20,000 files, which git packs with the next tidying,
// is not counted to its end: complete is false. A missing repository has 0 bytes.
func (r Repo) Size(ctx context.Context) (bytes int64, complete bool, err error) {
	files := 0
	err = filepath.WalkDir(r.store.path(r.id), func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // git removed it meanwhile
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if files++; files > maxSizeFiles {
			return errSizeLimit
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		bytes += info.Size()
		return ctx.Err()
	})
	if errors.Is(err, errSizeLimit) {
		return bytes, false, nil
	}
	return bytes, err == nil, err
}
