package githttp

import (
	"context"
	"strings"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views/text"
)

// maxWarnings limits the warnings about push options in the message after a push.
const maxWarnings = 10

// parseOptions reads GitLab's push options. Invalid and unknown options are
// ignored, with a warning in the language of ctx: they never fail the push.
// Without merge_request.create the other options have no effect.
func parseOptions(ctx context.Context, options []string) (parsed models.PushOptions, warnings []string) {
	warn := func(key text.Key, args ...any) {
		if len(warnings) < maxWarnings {
			warnings = append(warnings, text.T(ctx, key, args...))
		}
	}
	var needCreate []string // options that only work with merge_request.create
	for _, option := range options {
		name, value, hasValue := strings.Cut(option, "=")
		known, hasPrefix := strings.CutPrefix(name, "merge_request.")
		if !hasPrefix {
			known, hasPrefix = strings.CutPrefix(name, "mr.") // GitLab's short form
		}
		if !hasPrefix {
			known = ""
		}
		switch known {
		case "create", "draft":
			on, ok := parseSwitch(value, hasValue)
			if !ok {
				warn(text.KeyGitBadValue, "Option", printable(name), "Value", printable(value))
				continue
			}
			if known == "create" {
				parsed.Create = on
				continue
			}
			parsed.Draft = on
		case "target", "title", "description":
			if strings.TrimSpace(value) == "" {
				warn(text.KeyGitNoValue, "Option", printable(name))
				continue
			}
			switch known {
			case "target":
				parsed.Target = value
			case "title":
				parsed.Title = value
			case "description":
				// A push option is one line; GitLab takes \n for a line break.
				parsed.Description = strings.ReplaceAll(value, `\n`, "\n")
			}
		default:
			warn(text.KeyGitUnknownOption, "Option", printable(name))
			continue
		}
		needCreate = append(needCreate, name)
	}
	if !parsed.Create {
		for _, name := range needCreate {
			warn(text.KeyGitOptionAlone, "Option", printable(name))
		}
		parsed = models.PushOptions{}
	}
	return parsed, warnings
}

// parseSwitch reads a boolean option, which is on without a value. ok is false
// for an invalid value.
func parseSwitch(value string, hasValue bool) (on, ok bool) {
	switch {
	case !hasValue, value == "1", strings.EqualFold(value, "true"):
		return true, true
	case value == "0", strings.EqualFold(value, "false"):
		return false, true
	}
	return false, false
}

// printable makes untrusted text safe for one line on a terminal: it replaces
// control characters by "?" and cuts the text after 80 characters.
func printable(s string) string {
	const maxLength = 80
	runes := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?")))
	if len(runes) > maxLength {
		return string(runes[:maxLength]) + "…"
	}
	return string(runes)
}
