package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxSecretBytes is the maximum size of a file that holds a secret.
const maxSecretBytes = 64 << 10

// secretSetting is a setting that can also be read from a file.
type secretSetting struct {
	name       string  // of the variable; with _FILE it names a file
	credential string  // file in $CREDENTIALS_DIRECTORY
	value      *string // of the variable
	file       *string // of the variable with _FILE
}

// secrets returns the settings that can also be read from files.
func (c *config) secrets() []secretSetting {
	return []secretSetting{
		{"MERGEGATE_DATABASE_URL", "mergegate.database_url", &c.DatabaseURL, &c.DatabaseURLFile},
		{"MERGEGATE_SECRET_KEY", "mergegate.secret_key", &c.SecretKey, &c.SecretKeyFile},
		{"MERGEGATE_OLD_SECRET_KEYS", "mergegate.old_secret_keys", &c.OldSecretKeys, &c.OldSecretKeysFile},
	}
}

// readSecretFiles sets the settings whose value is in a file. The file is the one
// that the variable with _FILE names, or else the credential of systemd, which
// only counts if neither variable is set. The returned source of a value is the name of
// the variable or credential, for messages.
func (c *config) readSecretFiles() (source map[string]string, err error) {
	var faults []error
	source = map[string]string{}
	for _, s := range c.secrets() {
		source[s.name] = s.name
		path, from := *s.file, s.name+"_FILE"
		switch {
		case *s.value != "" && *s.file != "":
			faults = append(faults, fmt.Errorf("%s and %s_FILE are both set; set only one of them", s.name, s.name))
			continue
		case *s.value != "":
			continue
		case *s.file == "":
			folder := os.Getenv("CREDENTIALS_DIRECTORY")
			if folder == "" {
				continue
			}
			path, from = filepath.Join(folder, s.credential), "credential "+s.credential
			if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
				continue // a credential is optional
			}
		}
		source[s.name] = from
		text, err := readSecretFile(path)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s cannot be read: %w", from, err))
			continue
		}
		if *s.value = text; text == "" {
			faults = append(faults, fmt.Errorf("%s is empty: %s must hold the value of %s", from, path, s.name))
		}
	}
	return source, errors.Join(faults...)
}

// readSecretFile returns the content of a file without white space around it.
func readSecretFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSecretBytes+1))
	if err == nil && len(content) > maxSecretBytes {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxSecretBytes)
	}
	return strings.TrimSpace(string(content)), err
}
