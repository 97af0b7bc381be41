package views

import (
	"context"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// UserSettings is the page of a user's preferences and sessions.
type UserSettings struct {
	Form     Form
	Sessions []SessionRow
	Now      time.Time
}

// SessionRow is one session of the user.
type SessionRow struct {
	ID int64
	// Agent is the User-Agent header, empty if there was none.
	Agent, IP            string
	SignedInAt, LastSeen time.Time
	// This marks the session of the request.
	This bool
}

// name returns a name such as "Firefox on Linux".
func (r SessionRow) name(ctx context.Context) string {
	browser, system := readAgent(r.Agent)
	switch {
	case browser == "":
		return text.T(ctx, text.KeySessionUnknown)
	case system == "":
		return browser
	}
	return text.T(ctx, text.KeySessionOn, "Browser", browser, "System", system)
}

// hasOthers reports whether the user has other sessions.
func (v UserSettings) hasOthers() bool {
	for _, row := range v.Sessions {
		if !row.This {
			return true
		}
	}
	return false
}

// themeOptions returns the options for the theme.
func themeOptions(ctx context.Context) []Option {
	return []Option{
		{Value: "system", Text: text.T(ctx, text.KeyThemeSystem)},
		{Value: "light", Text: text.T(ctx, text.KeyThemeLight)},
		{Value: "dark", Text: text.T(ctx, text.KeyThemeDark)},
	}
}

// languageOptions returns the options for the language, each named in itself.
func languageOptions(ctx context.Context) []Option {
	return []Option{
		{Value: "browser", Text: text.T(ctx, text.KeyLanguageBrowser)},
		{Value: "en", Text: text.T(ctx, text.KeyLanguageEnglish)},
		{Value: "ja", Text: text.T(ctx, text.KeyLanguageJapanese)},
	}
}

// agentTitle returns a tooltip with the full User-Agent, or nil if it is empty.
func agentTitle(agent string) templ.Attributes {
	if agent == "" {
		return nil
	}
	return templ.Attributes{"title": agent}
}
