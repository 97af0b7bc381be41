// Package backup writes a backup of database and repositories into one file, also while
// servers run, and restores it into an empty place. The file is the same for SQLite and
// PostgreSQL, so a move to the other database is a backup and a restore. Start with
// Write and Restore.
package backup

import (
	"archive/tar"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/migrations"
	"github.com/mergegate/mergegate/models"
)

// Options describe the installation.
type Options struct {
	// Version is Mergegate's version.
	Version string
	BaseURL string
	// Data is the data folder; it has a folder named repositories.
	Data string
	// Driver and DSN are those of models.Config.
	Driver, DSN string
	// Keys are the secret keys; nil without a key.
	Keys *auth.Sealer
	// AfterSnapshot runs between rows and repositories. Only tests set it.
	AfterSnapshot func()
}

func (o Options) dialect() migrations.Dialect { return migrations.Dialect(o.Driver) }

func (o Options) repositories() string { return filepath.Join(o.Data, "repositories") }

// snapshot is what the rows of one instant say.
type snapshot struct {
	tables   []table
	projects []project
}

// Write writes a backup into a new file. The rows are those of one instant. Refs are
// read afterwards and set back where the rows know better, so the backup is the state
// of that instant, besides pushes to branches without merge requests that came later. A
// repository that cannot be read is a warning in the manifest.
func Write(ctx context.Context, o Options, path string) (Manifest, error) {
	if _, err := os.Lstat(path); err == nil {
		return Manifest{}, fmt.Errorf("%s exists already; choose another name", path)
	}
	db, err := o.openReader()
	if err != nil {
		return Manifest{}, err
	}
	defer db.Close()
	schema, err := o.checkSchema(ctx, db)
	if err != nil {
		return Manifest{}, err
	}
	repos, err := o.openRepositories()
	if err != nil {
		return Manifest{}, err
	}
	file, commit, discard, err := createFile(path)
	if err != nil {
		return Manifest{}, fmt.Errorf("the backup cannot be created: %w", err)
	}
	defer discard()
	now := time.Now().UTC().Truncate(time.Second)
	a := &archiveWriter{tar: tar.NewWriter(file), folder: filepath.Dir(path), at: now}
	a.manifest.Header = Header{formatVersion, o.Version, schema, o.Driver, o.BaseURL, now}
	a.manifest.Rows = map[string]int64{}
	if err := a.addJSON(headerName, a.manifest.Header); err != nil {
		return a.manifest, err
	}
	before, err := branches(ctx, db, repos)
	if err != nil {
		return a.manifest, err
	}
	snap, err := a.rows(ctx, db, o.dialect())
	if err != nil {
		return a.manifest, err
	}
	if o.AfterSnapshot != nil {
		o.AfterSnapshot()
	}
	for _, p := range snap.projects {
		if err := a.repository(ctx, db, repos, p, before[p.id]); err != nil {
			return a.manifest, err
		}
	}
	if err := a.close(); err != nil {
		return a.manifest, err
	}
	return a.manifest, commit()
}

func (o Options) openReader() (*sql.DB, error) {
	if o.Driver == models.DriverPostgres {
		return models.OpenPostgresReader(o.DSN)
	}
	if _, err := os.Stat(o.DSN); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is nothing to back up: %s is missing; correct MERGEGATE_DATA", o.DSN)
	}
	return models.OpenSQLiteReader(o.DSN)
}

// checkSchema returns the schema version, which this program must know.
func (o Options) checkSchema(ctx context.Context, db *sql.DB) (int64, error) {
	has, err := migrations.Applied(ctx, db, o.dialect())
	if err != nil {
		return 0, fmt.Errorf("the database does not answer: %w", err)
	}
	latest, err := migrations.Latest(o.dialect())
	switch {
	case err != nil:
		return 0, err
	case has == 0:
		return 0, errors.New("there is nothing to back up: the database is empty; correct MERGEGATE_DATABASE_URL")
	case has > latest:
		return 0, fmt.Errorf("the database schema is version %d and this program knows only %d; use the newer Mergegate", has, latest)
	}
	return has, nil
}

func (o Options) openRepositories() (*gitrepo.Store, error) {
	if _, err := os.Stat(o.repositories()); err != nil {
		return nil, fmt.Errorf("the repositories cannot be read; correct MERGEGATE_DATA: %w", err)
	}
	return gitrepo.Open(o.repositories())
}

// branches returns the branches of all projects.
func branches(ctx context.Context, db querier, repos *gitrepo.Store) (map[int64]map[string]string, error) {
	var ids []int64
	err := query(ctx, db, "SELECT id FROM projects ORDER BY id", func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	all := map[int64]map[string]string{}
	for _, id := range ids {
		refs, err := repos.Repo(id).Refs(ctx)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			continue // reported when it is read again
		}
		maps.DeleteFunc(refs, func(ref, _ string) bool { return !strings.HasPrefix(ref, "refs/heads/") })
		all[id] = refs
	}
	return all, err
}

// rows adds all tables, read in one transaction.
func (a *archiveWriter) rows(ctx context.Context, db *sql.DB, d migrations.Dialect) (s snapshot, err error) {
	options := &sql.TxOptions{}
	if d == migrations.Postgres {
		options = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	tx, err := db.BeginTx(ctx, options)
	if err != nil {
		return s, err
	}
	defer func() { _ = tx.Rollback() }()
	if d == migrations.Postgres {
		// A slow disk may hold up the transaction.
		if _, err := tx.ExecContext(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
			return s, err
		}
	}
	schema, err := migrations.Applied(ctx, tx, d)
	if err != nil {
		return s, err
	}
	if schema != a.manifest.Schema {
		return s, errors.New("the database was migrated at this moment; run the backup again")
	}
	if s.tables, err = tables(ctx, tx, d); err != nil {
		return s, err
	}
	for _, t := range s.tables {
		err := a.add("rows/"+t.Name+".jsonl.gz", func(w io.Writer) (err error) {
			a.manifest.Rows[t.Name], err = dump(ctx, tx, t, w)
			return err
		})
		if err != nil {
			return s, err
		}
	}
	if s.projects, err = projects(ctx, tx); err != nil {
		return s, err
	}
	if a.manifest.SealedWith, err = sealedWith(ctx, tx); err != nil {
		return s, err
	}
	a.manifest.LastIDs, err = lastIDs(ctx, tx, d, s.tables)
	return s, err
}

// sealedWith returns the ids of the keys that stored secrets need.
func sealedWith(ctx context.Context, db querier) ([]string, error) {
	ids := map[string]bool{}
	err := query(ctx, db, "SELECT sealed_secret, custom_headers FROM external_status_checks", func(rows *sql.Rows) error {
		var secret []byte
		var headers string
		err := rows.Scan(&secret, &headers)
		for _, id := range append(auth.KeyIDs(secret), auth.KeyIDs([]byte(headers))...) {
			ids[id] = true
		}
		return err
	})
	return slices.Sorted(maps.Keys(ids)), err
}

func (a *archiveWriter) warn(format string, args ...any) {
	a.manifest.Warnings = append(a.manifest.Warnings, fmt.Sprintf(format, args...))
}

// repository adds the refs and objects of a project.
func (a *archiveWriter) repository(ctx context.Context, db querier, repos *gitrepo.Store, p project, before map[string]string) error {
	repo := repos.Repo(p.id)
	refs, err := repo.Refs(ctx)
	if err == nil {
		refs, err = p.refs(ctx, repo, before, refs)
	}
	if err == nil {
		err = a.dropMissing(ctx, repo, p.id, refs)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, gitrepo.ErrMissing) {
		var n int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM projects WHERE id = "+fmt.Sprint(p.id)).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			a.manifest.Deleted = append(a.manifest.Deleted, p.id)
			return nil
		}
	}
	a.manifest.Projects++
	name := fmt.Sprintf("repositories/%d", p.id)
	if err != nil {
		a.warn("project %d is stored without its repository: %v", p.id, err)
		refs = nil
	}
	ids := slices.Sorted(maps.Values(refs))
	if len(refs) > 0 {
		// A failed pack is stored as it is; without refs it is not read.
		err := a.add(name+".pack", func(w io.Writer) error {
			if err := repo.WritePack(ctx, slices.Compact(ids), w); ctx.Err() != nil {
				return ctx.Err()
			} else if err != nil {
				a.warn("project %d is stored without its repository: %v", p.id, err)
				refs = nil
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return a.add(name+".refs", func(w io.Writer) error {
		if _, err := fmt.Fprintf(w, "%s\n", p.defaultBranch); err != nil {
			return err
		}
		for _, ref := range slices.Sorted(maps.Keys(refs)) {
			if _, err := fmt.Fprintf(w, "%s %s\n", refs[ref], ref); err != nil {
				return err
			}
		}
		return nil
	})
}

// dropMissing removes refs whose object does not exist.
func (a *archiveWriter) dropMissing(ctx context.Context, repo gitrepo.Repo, id int64, refs map[string]string) error {
	missing, err := repo.Missing(ctx, slices.Compact(slices.Sorted(maps.Values(refs))))
	if err != nil || len(missing) == 0 {
		return err
	}
	isMissing := map[string]bool{}
	for _, sha := range missing {
		isMissing[sha] = true
	}
	var dropped []string
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		if isMissing[refs[ref]] {
			dropped = append(dropped, ref)
			delete(refs, ref)
		}
	}
	const named = 5
	text := strings.Join(dropped[:min(len(dropped), named)], ", ")
	if more := len(dropped) - named; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	a.warn("project %d is stored without %s: their objects are missing in the repository", id, text)
	return nil
}
