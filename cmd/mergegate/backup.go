package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/mergegate/mergegate/cmd/mergegate/backup"
)

const restoreAbout = `Restores a backup into an empty database and data folder, on SQLite or
PostgreSQL whichever it was made on. A damaged file is refused before anything is
changed. The secret key is not in the backup: set MERGEGATE_SECRET_KEY, or put the
old file secret_key into the data folder first.`

// backupOptions returns the installation for package backup.
func (c config) backupOptions() backup.Options {
	o := backup.Options{Version: version(), BaseURL: c.BaseURL, Data: c.Data}
	o.Driver, o.DSN = c.database()
	if c.keyring != nil {
		o.Keys = c.keyring.Sealer(secretsAtRest)
	}
	return o
}

// backupCommand writes a backup.
func backupCommand(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return errUsage
	}
	c, err := readSettings(false)
	if err != nil {
		return err
	}
	if err := c.checkRestored(); err != nil {
		return err
	}
	begin := time.Now()
	manifest, err := backup.Write(ctx, c.backupOptions(), args[0])
	if err != nil {
		return err
	}
	info, err := os.Stat(args[0])
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "%s written in %v: %s, %.1f MiB.\nKeep the secret key apart from it: it is not in the file, and without it the secrets of services are lost.\n",
		args[0], time.Since(begin).Round(time.Millisecond), contents(manifest), float64(info.Size())/(1<<20)); err != nil {
		return err
	}
	if len(manifest.Warnings) == 0 {
		return nil
	}
	for _, warning := range manifest.Warnings {
		if _, err := fmt.Fprintln(out, "Warning:", warning); err != nil {
			return err
		}
	}
	return errors.New("the backup is written, but not every repository is complete; mergegate doctor says more")
}

// contents says in words what a backup has.
func contents(m backup.Manifest) string {
	var rows int64
	for _, n := range m.Rows {
		rows += n
	}
	return fmt.Sprintf("%d projects and %d rows of schema version %d", m.Projects, rows, m.Schema)
}

// restoreCommand restores a backup.
func restoreCommand(ctx context.Context, args []string, out io.Writer) error {
	withoutKey := len(args) == 2 && args[0] == "--without-key"
	if withoutKey {
		args = args[1:]
	}
	if len(args) != 1 {
		return errUsage
	}
	c, err := readSettings(false)
	if err != nil {
		return err
	}
	lock, err := c.lockData()
	if err != nil {
		return err
	}
	defer lock.Close()
	begin := time.Now()
	manifest, err := backup.Restore(ctx, c.backupOptions(), args[0], withoutKey)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "Restored in %v: %s, as of %s, made at %s on %s.\nRun mergegate doctor, then mergegate serve.\n", time.Since(begin).Round(time.Millisecond),
		contents(manifest), manifest.CreatedAt.Format(time.RFC3339), manifest.BaseURL, manifest.Database)
	return err
}

// checkRestored returns an error if a restore into the data folder has not ended.
func (c config) checkRestored() error {
	if _, err := os.Stat(filepath.Join(c.Data, backup.MarkerName)); err == nil {
		return fmt.Errorf("a restore into %s is running or was interrupted; run the same mergegate restore again", c.Data)
	}
	return nil
}
