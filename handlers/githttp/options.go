package githttp

import (
	"context"
	"strings"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views/text"
)

// maxRemarks is how many remarks about push options a pusher is shown.
const maxRemarks = 10

// parseOptions reads GitLab's push options. What it cannot use it remarks on,
// in the language of ctx, and leaves out: an option never costs a push.
func parseOptions(ctx context.Context, options []string) (parsed models.PushOptions, remarks []string) {
	remark := func(key text.Key, args ...any) {
		if len(remarks) < maxRemarks {
			remarks = append(remarks, text.T(ctx, key, args...))
		}
	}
	var alone []string
	for _, option := range options {
		name, value, hasValue := strings.Cut(option, "=")
		known, ours := strings.CutPrefix(name, "merge_request.")
		if !ours {
			known, ours = strings.CutPrefix(name, "mr.") // GitLab's short form
		}
		if !ours {
			known = ""
		}
		switch known {
		case "create", "draft":
			on, ok := parseSwitch(value, hasValue)
			if !ok {
				remark(text.KeyGitBadValue, "Option", short(name), "Value", short(value))
				continue
			}
			if known == "create" {
				parsed.Create = on
				continue
			}
			parsed.Draft = on
		case "target", "title", "description":
			if strings.TrimSpace(value) == "" {
				remark(text.KeyGitNoValue, "Option", short(name))
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
			remark(text.KeyGitUnknownOption, "Option", short(name))
			continue
		}
		alone = append(alone, name)
	}
	if !parsed.Create {
		for _, name := range alone {
			remark(text.KeyGitOptionAlone, "Option", short(name))
		}
		parsed = models.PushOptions{}
	}
	return parsed, remarks
}

// parseSwitch reads an option that is on by standing there.
func parseSwitch(value string, hasValue bool) (on, ok bool) {
	switch {
	case !hasValue, value == "1", strings.EqualFold(value, "true"):
		return true, true
	case value == "0", strings.EqualFold(value, "false"):
		return false, true
	}
	return false, false
}

// short is a stranger's text as it may stand in a line on a terminal: no
// control characters, and not too long.
func short(text string) string {
	const most = 80
	runes := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?")))
	if len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(runes)
}
