package main

import (
	"runtime/debug"
	"strings"
)

// version returns the version of the module without a leading v, or "dev" for a
// local build. In a clone with a tag such as v1.2.0, the go command sets it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return strings.TrimPrefix(v, "v")
	}
	return "dev"
}

// revision returns the first 8 digits of the commit from which the binary was
// built, or "unknown".
func revision() string {
	if commit := buildSetting("vcs.revision"); len(commit) >= 8 {
		return commit[:8]
	}
	return "unknown"
}

// commitDate returns the date of that commit as YYYY-MM-DD, or "".
func commitDate() string {
	date, _, _ := strings.Cut(buildSetting("vcs.time"), "T")
	return date
}

// buildSetting returns what the go command recorded under key, or "".
func buildSetting(key string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == key {
				return s.Value
			}
		}
	}
	return ""
}
