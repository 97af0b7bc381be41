package modelstest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// postgresPrograms returns the directory of initdb and postgres. Debian installs them
// outside PATH, in a directory per version; the newest is used.
func postgresPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	newest, dir := -1, ""
	for _, path := range found {
		bin := filepath.Dir(path)
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
		if err != nil || version <= newest {
			continue
		}
		if _, err := os.Stat(filepath.Join(bin, "postgres")); err == nil {
			newest, dir = version, bin
		}
	}
	if dir != "" {
		return dir, nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errors.New("these tests need a PostgreSQL server: install the Debian package postgresql, or set " +
		DSNVariable + " to a server they may use")
}

// programsWithout copies the programs into a directory and returns their directory there.
// PostgreSQL finds its files relative to its program, if they are where Debian has them:
// links to them leave out those of the extension.
func programsWithout(bin, parent, extension string) (string, error) {
	version := filepath.Dir(bin) // /usr/lib/postgresql/15
	lib := filepath.Join(parent, "usr/lib/postgresql", filepath.Base(version))
	share := filepath.Join("/usr/share/postgresql", filepath.Base(version))
	copied := filepath.Join(lib, "bin")
	if err := os.MkdirAll(copied, 0o755); err != nil {
		return "", err
	}
	for _, program := range []string{"initdb", "postgres"} {
		content, err := os.ReadFile(filepath.Join(bin, program))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(copied, program), content, 0o755); err != nil {
			return "", err
		}
	}
	if err := os.Symlink(filepath.Join(version, "lib"), filepath.Join(lib, "lib")); err != nil {
		return "", err
	}
	for _, folder := range []string{share, filepath.Join(share, "extension")} {
		files, err := os.ReadDir(folder)
		if err != nil {
			return "", fmt.Errorf("files of PostgreSQL are not where Debian has them: %w", err)
		}
		if err := os.MkdirAll(filepath.Join(parent, folder), 0o755); err != nil {
			return "", err
		}
		for _, file := range files {
			if file.Name() == "extension" || strings.HasPrefix(file.Name(), extension+"--") || file.Name() == extension+".control" {
				continue
			}
			path := filepath.Join(folder, file.Name())
			if err := os.Symlink(path, filepath.Join(parent, path)); err != nil {
				return "", err
			}
		}
	}
	return copied, nil
}
