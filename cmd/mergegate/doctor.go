package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mergegate/mergegate/cmd/mergegate/doctor"
	"github.com/mergegate/mergegate/models"
)

const doctorAbout = `Examines settings, git, the data folder, the database, secrets, repositories,
access tokens, services and the base URL. It changes nothing and works beside a
running server.

Exit code: 0 no faults, 1 faults found, 2 wrong arguments.`

// doctorCommand examines the installation. It ends with exit code 1 if it found
// faults.
func doctorCommand(ctx context.Context, args []string, out io.Writer) error {
	asJSON := len(args) == 1 && args[0] == "--json"
	if len(args) != 0 && !asJSON {
		return errUsage
	}
	c, err := readSettings(false)
	options := doctor.Options{Version: version(), BaseURL: c.BaseURL, Data: c.Data, DatabaseConnections: c.DatabaseConnections, Allow: c.allow}
	if err != nil {
		options.Settings = strings.Split(err.Error(), "\n")
	}
	options.Driver, options.DSN = c.database()
	if c.keyring != nil {
		options.Sealer = c.keyring.Sealer(secretsAtRest)
	}
	if options.Driver == models.DriverSQLite && err == nil {
		serving, err := c.isDataLocked()
		if err != nil {
			return err
		}
		options.Serving = &serving
	}
	report := doctor.Run(ctx, options)
	show := report.Print
	if asJSON {
		show = report.PrintJSON
	}
	if err := show(out); err != nil {
		return err
	}
	if report.Faults > 0 {
		return exitError{code: 1}
	}
	return nil
}

// secretsAtRest is the purpose of the key that seals stored secrets.
const secretsAtRest = "secrets at rest"

// isDataLocked reports whether another process has locked the data folder. It creates
// nothing.
func (c config) isDataLocked() (bool, error) {
	locked, err := isLocked(filepath.Join(c.Data, "mergegate.lock"))
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EACCES) {
		return false, nil
	}
	return locked, err
}
