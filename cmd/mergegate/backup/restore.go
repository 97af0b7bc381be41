package backup

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/migrations"
	"github.com/mergegate/mergegate/models"
)

// MarkerName is a file in the data folder that exists while a restore runs, with the
// digest of the backup. The server does not start beside it. A restore that finds it
// removes what an interrupted restore has left.
const MarkerName = "restore.incomplete"

// suffix is that of files which are not in their place yet.
const suffix = ".restoring"

// Restore reads a backup into an empty database and data folder. It reads the whole file
// first and changes nothing if it is damaged. If Restore fails or is killed, the
// database stays empty, and the next Restore removes the files that it left.
func Restore(ctx context.Context, o Options, path string, withoutKey bool) (Manifest, error) {
	manifest, digest, err := verify(path)
	if err != nil {
		return manifest, err
	}
	latest, err := migrations.Latest(o.dialect())
	if err != nil {
		return manifest, err
	}
	if manifest.Schema > latest {
		return manifest, fmt.Errorf("the backup has schema version %d and this program knows only %d: it was made by a newer Mergegate (%s), use that one",
			manifest.Schema, latest, manifest.Program)
	}
	if err := o.checkKeys(manifest, withoutKey); err != nil {
		return manifest, err
	}
	r := &restore{Options: o, path: path, digest: digest, manifest: manifest}
	return manifest, r.run(ctx)
}

// checkKeys returns an error if a secret of the backup could not be opened.
func (o Options) checkKeys(m Manifest, withoutKey bool) error {
	for _, id := range m.SealedWith {
		if !withoutKey && (o.Keys == nil || !o.Keys.HasKey(id)) {
			return fmt.Errorf("the backup has secrets that need the secret key %s, which is not configured: set MERGEGATE_SECRET_KEY or put the old file "+
				"secret_key into the data folder. If the key is lost, --without-key restores everything else", id)
		}
	}
	return nil
}

type restore struct {
	Options
	path, digest string
	manifest     Manifest
}

// commitError means that it is unknown whether the transaction took place, because the
// connection broke.
type commitError struct{ error }

func (e commitError) Unwrap() error { return e.error }

func (r *restore) marker() string { return filepath.Join(r.Data, MarkerName) }

// run restores between creating the marker and removing it.
func (r *restore) run(ctx context.Context) (err error) {
	if r.isComplete(ctx) {
		return errors.Join(os.Remove(r.marker()), syncFolder(r.Data))
	}
	if err := r.checkEmpty(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(r.Data, 0o700); err != nil {
		return fmt.Errorf("create the data folder: %w", err)
	}
	if err := os.WriteFile(r.marker(), []byte(r.digest), 0o600); err != nil {
		return fmt.Errorf("write to the data folder: %w", err)
	}
	if err := syncFolder(r.Data); err != nil {
		return err
	}
	if err = r.removeFiles(); err == nil { // of an interrupted restore
		err = r.readRepositories(ctx)
	}
	if err == nil {
		err = r.readRows(ctx)
	}
	if unknown := (commitError{}); errors.As(err, &unknown) {
		return fmt.Errorf("the database did not confirm the restore; run the same command again: %w", err)
	}
	if err != nil {
		if removeErr := r.removeFiles(); removeErr != nil {
			return errors.Join(err, removeErr)
		}
	}
	return errors.Join(err, os.Remove(r.marker()), syncFolder(r.Data))
}

// isComplete reports whether an interrupted restore of the same backup had done
// everything but remove the marker: the database is filled last.
func (r *restore) isComplete(ctx context.Context) bool {
	digest, err := os.ReadFile(r.marker())
	return err == nil && string(digest) == r.digest && exists(r.repositories()) && r.checkEmptyDatabase(ctx) != nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

const emptyPlace = "A restore needs an empty place: choose another MERGEGATE_DATA, or move the old folder away"

// checkEmpty returns an error if there is anything to overwrite. Files beside a marker
// are left from a restore that was interrupted.
func (r *restore) checkEmpty(ctx context.Context) error {
	if err := r.checkEmptyDatabase(ctx); err != nil {
		return err
	}
	if exists(r.marker()) {
		return nil
	}
	entries, err := os.ReadDir(r.repositories())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".git") {
			return fmt.Errorf("%s has repositories. %s", r.repositories(), emptyPlace)
		}
	}
	return nil
}

func (r *restore) checkEmptyDatabase(ctx context.Context) error {
	if r.Driver == models.DriverSQLite {
		if exists(r.DSN) {
			return fmt.Errorf("%s exists. %s", r.DSN, emptyPlace)
		}
		return nil
	}
	db, err := models.OpenPostgresReader(r.DSN)
	if err != nil {
		return err
	}
	defer db.Close()
	has, err := migrations.Applied(ctx, db, r.dialect())
	if err != nil {
		return fmt.Errorf("the database does not answer: %w", err)
	}
	if has > r.manifest.Schema {
		return fmt.Errorf("the database has schema version %d and the backup %d; use a database without tables", has, r.manifest.Schema)
	}
	all, err := tables(ctx, db, r.dialect())
	if err != nil {
		return err
	}
	for _, t := range all {
		var n int
		if err := db.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM "`+t.Name+`" LIMIT 1) x`).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return fmt.Errorf("the database is not empty: table %s has rows. A restore needs an empty database: create another and set MERGEGATE_DATABASE_URL", t.Name)
		}
	}
	return nil
}

// removeFiles removes the files of a restore. It is only called beside a marker, which
// means that the place was empty.
func (r *restore) removeFiles() error {
	var errs []error
	if err := os.RemoveAll(r.repositories()); err != nil {
		errs = append(errs, err)
	}
	files := []string{r.repositories() + suffix}
	if r.Driver == models.DriverSQLite {
		files = append(files, r.DSN+suffix, r.DSN+suffix+"-wal", r.DSN+suffix+"-shm")
	}
	for _, path := range files {
		errs = append(errs, os.RemoveAll(path))
	}
	return errors.Join(errs...)
}

// readRepositories creates all repositories in a temporary folder.
func (r *restore) readRepositories(ctx context.Context) error {
	folder := r.repositories() + suffix
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	repos, err := gitrepo.Open(folder)
	if err != nil {
		return err
	}
	// The pack of a project comes before its refs.
	var pack *os.File
	defer func() { closePack(pack) }()
	return readArchive(r.path, func(name string, content io.Reader) error {
		file, isRepository := strings.CutPrefix(name, "repositories/")
		if !isRepository {
			return nil
		}
		if strings.HasSuffix(file, ".pack") {
			closePack(pack)
			var err error
			if pack, err = os.CreateTemp(folder, ".pack-"); err != nil {
				return err
			}
			if _, err := io.Copy(pack, content); err != nil {
				return err
			}
			_, err = pack.Seek(0, io.SeekStart)
			return err
		}
		id, err := strconv.ParseInt(strings.TrimSuffix(file, ".refs"), 10, 64)
		if err != nil {
			return err
		}
		defaultBranch, refs, err := readRefs(content)
		if err != nil {
			return err
		}
		return repos.Restore(ctx, id, defaultBranch, pack, refs)
	})
}

// closePack closes and removes a temporary file, which may be nil.
func closePack(pack *os.File) {
	if pack != nil {
		_ = pack.Close()
		_ = os.Remove(pack.Name())
	}
}

// readRefs reads the default branch and the refs of a project.
func readRefs(r io.Reader) (defaultBranch string, refs map[string]string, err error) {
	scanner := bufio.NewScanner(r)
	scanner.Scan()
	defaultBranch, refs = scanner.Text(), map[string]string{}
	for scanner.Scan() {
		sha, ref, _ := strings.Cut(scanner.Text(), " ")
		refs[ref] = sha
	}
	return defaultBranch, refs, scanner.Err()
}

// readRows fills the database and then moves the files to their place. On SQLite the
// database is a temporary file until then, on PostgreSQL a transaction.
func (r *restore) readRows(ctx context.Context) error {
	if r.Driver == models.DriverPostgres {
		db, err := models.OpenPostgres(r.DSN)
		if err != nil {
			return err
		}
		defer db.Close()
		if err := r.fill(ctx, db, r.moveRepositories); err != nil {
			return err
		}
		if err := migrations.Up(ctx, db, r.dialect()); err != nil {
			return commitError{err} // the rows are there
		}
		return nil
	}
	temporary := r.DSN + suffix
	db, err := sql.Open("sqlite", models.SQLiteDSN(temporary))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // settings belong to the connection
	if err := r.fill(ctx, db, func() error { return nil }); err != nil {
		return err
	}
	if err := migrations.Up(ctx, db, r.dialect()); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	if err := r.moveRepositories(); err != nil {
		return err
	}
	return os.Rename(temporary, r.DSN)
}

func (r *restore) moveRepositories() error {
	return errors.Join(os.Rename(r.repositories()+suffix, r.repositories()), syncFolder(r.Data))
}

// fill inserts all rows in one transaction. beforeCommit runs at its end.
func (r *restore) fill(ctx context.Context, db *sql.DB, beforeCommit func() error) error {
	if err := migrations.UpTo(ctx, db, r.dialect(), r.manifest.Schema); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	first := "PRAGMA defer_foreign_keys = 1"
	if r.Driver == models.DriverPostgres {
		first = "SET LOCAL idle_in_transaction_session_timeout = 0"
	}
	if _, err := tx.ExecContext(ctx, first); err != nil {
		return err
	}
	all, err := tables(ctx, tx, r.dialect())
	if err != nil {
		return err
	}
	if err := r.insert(ctx, tx); err != nil {
		return err
	}
	for _, id := range r.manifest.Deleted {
		if _, err := tx.ExecContext(ctx, "DELETE FROM projects WHERE id = "+strconv.FormatInt(id, 10)); err != nil {
			return err
		}
	}
	for _, t := range all {
		if err := setLastID(ctx, tx, r.dialect(), t, r.manifest.LastIDs[t.Name]); err != nil {
			return fmt.Errorf("set the next id of %s: %w", t.Name, err)
		}
	}
	if err := beforeCommit(); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return commitError{err}
	}
	return nil
}

// insert inserts the rows of all tables.
func (r *restore) insert(ctx context.Context, tx querier) error {
	return readArchive(r.path, func(name string, content io.Reader) error {
		if !strings.HasPrefix(name, "rows/") {
			return nil
		}
		t, n, err := load(ctx, tx, r.dialect(), content)
		if err != nil {
			return fmt.Errorf("restore the rows of %s: %w", name, err)
		}
		if n != r.manifest.Rows[t] {
			return fmt.Errorf("restore the rows of %s: %d rows instead of %d", t, n, r.manifest.Rows[t])
		}
		return nil
	})
}
