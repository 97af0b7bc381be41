package handlers

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// visitEveryPage gives every page that the routes lead to to a function, with what
// makes them full: a service that was asked, a member, tokens, a rule. They are
// asked for by an owner, or an administrator, with htmx and without; then come
// the pages for those who may not.
func visitEveryPage(t *testing.T, s *testSite, language string, each func(t *testing.T, a response)) {
	t.Helper()
	ids, mr, other, jonas := s.populate(t)
	owner, admin := s.as(s.Owner).withLanguage(language), s.as(s.Admin("root")).withLanguage(language)
	visit := func(name string, a response, status int) {
		t.Run(name, func(t *testing.T) {
			a.t = t
			each(t, a.wantStatus(status))
		})
	}
	for _, r := range s.routeTable() {
		if r.method != http.MethodGet {
			continue
		}
		path, v := r.address(ids(r.path)), owner
		if strings.HasPrefix(path, "/admin/") {
			v = admin
		}
		if r.path == signInPath { // who is signed in is led on
			visit(path, s.signedOut().withLanguage(language).get(path), http.StatusOK)
			continue
		}
		// The address that a form posts to leads to the form's page, and a part
		// of a page to that page whoever has no script.
		if a := v.get(path); a.status != http.StatusSeeOther {
			visit(path, a, http.StatusOK)
		}
		if a := v.withHTMX().get(path); a.status != http.StatusSeeOther {
			visit(path+" by htmx", a, http.StatusOK)
		}
	}
	visit("service without answers", owner.get(servicePath(other)), http.StatusOK)
	visit("404", owner.get("/olga/nothing"), http.StatusNotFound)
	visit("403", s.as(jonas).withLanguage(language).get(pearSettingsPath), http.StatusForbidden)
	visit("as a developer", s.as(jonas).withLanguage(language).get(s.mrPath(mr, "")), http.StatusOK)
	s.setVisibility(models.VisibilityPublic)
	visit("signed out", s.signedOut().withLanguage(language).get(s.mrPath(mr, "")), http.StatusOK)
	visit("projects signed out", s.signedOut().withLanguage(language).get("/"), http.StatusOK)
}

// fill gives the site what makes its pages full, and names it for the routes.
func (s *testSite) populate(t *testing.T) (ids func(path string) routeIDs, mr models.MergeRequest, other models.ExternalStatusCheck, jonas models.User) {
	t.Helper()
	service := s.Service("licence", "main")
	jonas = s.Member("jonas", models.RoleDeveloper)
	mr = s.openMergeRequest("topic")
	s.finishOnlyDelivery(http.StatusServiceUnavailable, "")
	other = s.Service("security")
	if err := s.Respond(mr, service, mr.HeadSHA, models.StatusFailed); err != nil {
		t.Fatal(err)
	}
	deliveries := s.Deliveries(service)
	if len(deliveries) == 0 {
		t.Fatal("there is no delivery to look at")
	}
	personal, ofProject := s.createTokens()
	ids = func(path string) routeIDs {
		ids := routeIDs{iid: itoa(mr.IID), delivery: itoa(deliveries[0].ID), sha: mr.HeadSHA}
		switch {
		case strings.Contains(path, "status_checks"):
			ids.id = itoa(service.ID)
		case strings.Contains(path, "branch_rules"):
			ids.id = s.ruleID(s.Project, "main")
		case strings.Contains(path, "project_members"):
			ids.id = itoa(jonas.ID)
		case strings.Contains(path, "personal_access_tokens"):
			ids.id = itoa(personal.ID)
		case strings.Contains(path, "access_tokens"):
			ids.id = itoa(ofProject.ID)
		}
		return ids
	}
	return ids, mr, other, jonas
}

// tokens are one of the owner's own and one of the project's.
func (s *testSite) createTokens() (personal, ofProject models.AccessToken) {
	s.T.Helper()
	in := models.AccessTokenInput{
		Name: "CI", Scopes: []string{models.ScopeAPI}, ExpiresAt: s.Clock.Now().AddDate(0, 1, 0), Digest: auth.Digest("one"), Role: models.RoleDeveloper,
	}
	personal, err := s.Store.CreatePersonalToken(s.T.Context(), s.Owner, in)
	if err != nil {
		s.T.Fatal(err)
	}
	in.Digest = auth.Digest("other")
	if ofProject, err = s.Store.CreateProjectToken(s.T.Context(), s.Owner, models.RoleOwner, s.Project.ID, in); err != nil {
		s.T.Fatal(err)
	}
	return personal, ofProject
}

// TestEveryPage_KeepsContentPolicyAndLanguage reads every page in both
// languages.
func TestEveryPage_KeepsContentPolicyAndLanguage(t *testing.T) {
	for _, language := range []string{"en", "ja"} {
		t.Run(language, func(t *testing.T) {
			visitEveryPage(t, newTestSite(t, modelstest.SQLite(t)), language, func(t *testing.T, a response) {
				assertContentSecurityPolicy(t, a)
				assertOutline(t, a, language)
				assertLanguage(t, a, language)
				assertFieldsKeepText(t, a)
			})
		})
	}
}

// assertContentSecurityPolicy holds that the page may run and draw nothing but what we serve,
// and has nothing that would need more.
func assertContentSecurityPolicy(t *testing.T, a response) {
	t.Helper()
	policy := a.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %q", want, policy)
		}
	}
	for _, bad := range []string{"unsafe", "*", "http:"} {
		if strings.Contains(policy, bad) {
			t.Errorf("the policy allows %q: %q", bad, policy)
		}
	}
	a.Find("style, [style], script:not([src]), iframe, object, embed, [srcdoc]").Each(func(_ int, e *goquery.Selection) {
		html, _ := goquery.OuterHtml(e)
		t.Errorf("inline: %.120s", html)
	})
	a.Find("*").Each(func(_ int, e *goquery.Selection) {
		for _, attribute := range e.Nodes[0].Attr {
			value := strings.ToLower(strings.TrimSpace(attribute.Val))
			if strings.HasPrefix(attribute.Key, "on") || strings.HasPrefix(attribute.Key, "hx-on") || strings.HasPrefix(value, "javascript:") || strings.HasPrefix(value, "js:") {
				t.Errorf("script in an attribute: %s=%q", attribute.Key, attribute.Val)
			}
		}
	})
}

// textareaStartPattern is a textarea's start tag with the line break after it.
var textareaStartPattern = regexp.MustCompile(`<textarea[^>]*>\n`)

// assertFieldsKeepText holds that no field cuts what is typed or pasted, and that
// no textarea swallows the first line break of its text.
func assertFieldsKeepText(t *testing.T, a response) {
	t.Helper()
	a.Find("[maxlength]").Each(func(_ int, e *goquery.Selection) {
		t.Errorf("%s cuts what is pasted", e.AttrOr("id", e.AttrOr("name", "?")))
	})
	if areas, whole := strings.Count(a.body, "<textarea"), len(textareaStartPattern.FindAllString(a.body, -1)); areas != whole {
		t.Errorf("%d textareas, %d begin with the line break that HTML drops", areas, whole)
	}
}

// assertOutline holds what makes a page readable: its language, one first
// heading, ids that are there once, and references that lead to them.
func assertOutline(t *testing.T, a response, language string) {
	t.Helper()
	ids := map[string]int{}
	a.Find("[id]").Each(func(_ int, e *goquery.Selection) { ids[e.AttrOr("id", "")]++ })
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%d elements are called %q", n, id)
		}
	}
	if !strings.HasPrefix(a.body, "<!doctype") && !strings.HasPrefix(a.body, "<!DOCTYPE") {
		return // a fragment: its page has the rest
	}
	if got := a.attr("html", "lang"); got != language {
		t.Errorf("lang %q, want %q", got, language)
	}
	if title := a.text("title"); title == "" || title == "· Mergegate" {
		t.Errorf("title %q", title)
	}
	// A README or a description may have first headings of its own.
	if n := a.Find("h1").Not(".prose h1").Length(); n != 1 {
		t.Errorf("%d first headings", n)
	}
	for _, attribute := range []string{"aria-labelledby", "aria-describedby", "aria-controls", "for", "list", "form", "popovertarget"} {
		a.Find("[" + attribute + "]").Each(func(_ int, e *goquery.Selection) {
			for _, id := range strings.Fields(e.AttrOr(attribute, "")) {
				if ids[id] == 0 {
					t.Errorf("%s=%q leads nowhere", attribute, id)
				}
			}
		})
	}
}

var (
	// textKeyPattern is the name of a text that has no sentence.
	textKeyPattern = regexp.MustCompile(`\b(frame|mr|checks|git|settings)\.[a-z]+_[a-z_]+\b`)
	// placeholderPattern is what nobody filled in.
	placeholderPattern = regexp.MustCompile(`\{\{|<no value>|%!|\bundefined\b|\bNaN\b`)
	latinWordPattern   = regexp.MustCompile(`[A-Za-z][A-Za-z'’-]+`)
	address            = regexp.MustCompile(`https?://[^\s"]+|\b[0-9a-f]{8}\b`)
	tag                = regexp.MustCompile(`</?[a-z][^<>]*>`)
	japanese           = regexp.MustCompile(`[\p{Hiragana}\p{Katakana}\p{Han}]`)
)

// untranslatedWords are the Latin words of Japanese pages: names of products
// and formats, and units.
var untranslatedWords = strings.Fields("Mergegate GitLab Git HTTP HTTPS HMAC URL API SHA README Markdown ID UTC UTF HEAD English Draft Webhook Webhooks JSON CSV CI ms IP KiB")

// data are the words that the fixtures brought.
var data = strings.Fields("olga pear jonas licence security example test main feature topic other release Commit on Trim the mergegate Ines Park bot project root stable read api read_api git merge MR QA Security")

// assertLanguage holds that every text that people read or hear is in their
// language and complete.
func assertLanguage(t *testing.T, a response, language string) {
	t.Helper()
	var texts []string
	doc := a.Find("html, dialog, body").First().Clone()
	doc.Find("pre, code, script, .mono, .ref, .prose, [lang], option[lang], #app-texts").Remove()
	doc.Find("*").Contents().Each(func(_ int, node *goquery.Selection) {
		if goquery.NodeName(node) == "#text" {
			// What is for browsers without script is one text with its tags.
			texts = append(texts, tag.ReplaceAllString(node.Text(), " "))
		}
	})
	for _, attribute := range []string{"aria-label", "title", "placeholder", "alt", "data-label"} {
		doc.Find("[" + attribute + "]").Each(func(_ int, e *goquery.Selection) { texts = append(texts, e.AttrOr(attribute, "")) })
	}
	a.Find("#app-texts").Each(func(_ int, e *goquery.Selection) {
		for _, attribute := range e.Nodes[0].Attr {
			if strings.HasPrefix(attribute.Key, "data-") && !strings.Contains(attribute.Val, "/") && attribute.Key != "data-now" {
				texts = append(texts, strings.ReplaceAll(attribute.Val, "{n}", ""))
			}
		}
	})
	for _, text := range texts {
		text = collapseSpace(text)
		if textKeyPattern.MatchString(text) || placeholderPattern.MatchString(text) {
			t.Errorf("unfinished: %q", text)
		}
		text = address.ReplaceAllString(text, "")
		if language == "en" && text != "日本語" && japanese.MatchString(text) {
			t.Errorf("Japanese on an English page: %q", text)
		}
		if language != "ja" {
			continue
		}
		for _, word := range latinWordPattern.FindAllString(text, -1) {
			if !slices.Contains(untranslatedWords, word) && !slices.Contains(data, word) {
				t.Errorf("%q is left in English: %q", word, text)
			}
		}
	}
}
