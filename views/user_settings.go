package views

import (
	"context"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
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
		return text.T(ctx, text.KeySessionUnknown)
	case system == "":
		return browser
	}
	return text.T(ctx, text.KeySessionOn, "Browser", browser, "System", system)
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
		{Value: "system", Text: text.T(ctx, text.KeyThemeSystem)},
		{Value: "light", Text: text.T(ctx, text.KeyThemeLight)},
		{Value: "dark", Text: text.T(ctx, text.KeyThemeDark)},
	}
}

// languageOptions are the choices of a language, each in its own words.
func languageOptions(ctx context.Context) []Option {
	return []Option{
		{Value: "browser", Text: text.T(ctx, text.KeyLanguageBrowser)},
		{Value: "en", Text: text.T(ctx, text.KeyLanguageEnglish)},
		{Value: "ja", Text: text.T(ctx, text.KeyLanguageJapanese)},
	}
}

// agentTitle shows a User-Agent whole where it is pointed at.
func agentTitle(agent string) templ.Attributes {
	if agent == "" {
		return nil
	}
	return templ.Attributes{"title": agent}
}
