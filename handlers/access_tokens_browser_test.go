package handlers

import (
	"strings"
	"testing"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestBrowserAccessTokens_BackAndReload_HideToken(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	base := s.as(s.Owner).serve()
	p := browsertest.Open(t, base+pearTokensPath)
	p.Fill("#name", "ci")
	p.Click("#create-token")
	p.Wait("#new-token")
	token := browsertest.Eval[string](p, `document.querySelector("#new-token").value`)
	if !auth.IsAccessToken(token) {
		t.Fatalf("the page shows %q, want an access token", token)
	}
	if url := p.URL(); url != base+pearTokensPath {
		t.Errorf("the token is shown at %s", url)
	}
	assertHidden := func(how string) {
		p.WaitText("#tokens-h", "1")
		if p.Count("#new-token") != 0 || strings.Contains(browsertest.Eval[string](p, `document.documentElement.outerHTML`), token) {
			t.Errorf("%s: the token is shown again", how)
		}
	}
	p.Go(base + pearMembersPath)
	p.Back()
	p.WaitURL("access_tokens")
	assertHidden("Back")
	p.Reload()
	assertHidden("reloaded")

	p.Click(`[aria-label="Revoke ci"]`)
	p.WaitText("dialog", "You are about to revoke the ci access token.")
	p.Click("dialog .btn--danger")
	p.WaitText("#toasts", "Token revoked.")
	p.WaitText("#ended-tokens", "Revoked")
	tokens, err := s.Store.ProjectTokens(t.Context(), s.Project.ID)
	if err != nil || len(tokens) != 1 || tokens[0].ActiveAt(s.Clock.Now()) {
		t.Errorf("tokens %+v, %v", tokens, err)
	}
}

// This needs no script: browsers focus the first control with autofocus.
func TestBrowserForms_Rejected_FocusFirstInvalidField(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.Member("dora", models.RoleDeveloper)
	p := browsertest.Open(t, s.as(s.Owner).serve()+pearTokensPath)
	p.Allow("422")
	p.Fill("#name", "ci")
	p.Click("#scopes-api")
	p.Click("#create-token")
	p.WaitText("#scopes-error", "Choose at least one scope")
	p.WaitFor("the focus on the first scope", focusIs("#scopes-api"))
	p.Fill("#name", "")
	p.Click("#create-token")
	p.WaitText("#name-error", "Please provide a name")
	p.WaitFor("the focus on the name", focusIs("#name"))
}
