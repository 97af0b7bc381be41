package views

import (
	"context"
	"time"

	"github.com/a-h/templ"
)

// UserSettings is the page of what a user chooses for themselves.
type UserSettings struct {
	Form     Form
	Sessions []SessionRow
	Now      time.Time
}

// SessionRow is one browser that is signed in as the user.
type SessionRow struct {
	ID int64
	// Agent is what it calls itself, its User-Agent; "" when it says nothing.
	Agent, IP            string
	SignedInAt, LastSeen time.Time
	// This marks the browser that the page is for.
	This bool
}

// name is what a session is called: "Firefox on Linux".
func (r SessionRow) name(ctx context.Context) string {
	browser, system := readAgent(r.Agent)
	switch {
	case browser == "":
		return T(ctx, KeySessionUnknown)
	case system == "":
		return browser
	}
	return T(ctx, KeySessionOn, "Browser", browser, "System", system)
}

// hasOthers reports whether another browser is signed in, too.
func (v UserSettings) hasOthers() bool {
	for _, row := range v.Sessions {
		if !row.This {
			return true
		}
	}
	return false
}

// themeOptions are the choices of a theme.
func themeOptions(ctx context.Context) []Option {
	return []Option{
		{Value: "system", Text: T(ctx, KeyThemeSystem)},
		{Value: "light", Text: T(ctx, KeyThemeLight)},
		{Value: "dark", Text: T(ctx, KeyThemeDark)},
	}
}

// languageOptions are the choices of a language, each in its own words.
func languageOptions(ctx context.Context) []Option {
	return []Option{
		{Value: "browser", Text: T(ctx, KeyLanguageBrowser)},
		{Value: "en", Text: T(ctx, KeyLanguageEnglish)},
		{Value: "ja", Text: T(ctx, KeyLanguageJapanese)},
	}
}

// agentTitle shows a User-Agent whole where it is pointed at.
func agentTitle(agent string) templ.Attributes {
	if agent == "" {
		return nil
	}
	return templ.Attributes{"title": agent}
}
