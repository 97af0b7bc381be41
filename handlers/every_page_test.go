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

// visitEveryPage calls each with every page of the routing table, with and
// without htmx, on a site with some data. Pages are requested by the project's
// owner, those below /admin/ by an administrator. Some error pages and pages of
// other visitors follow.
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
		if isAdminPage(path) {
			v = admin
		}
		if r.path == setupPath { // see TestSetup
			visit(path, s.signedOut().withLanguage(language).get(path), http.StatusNotFound)
			continue
		}
		if r.path == invitationPath {
			visit(path, s.signedOut().withLanguage(language).get(path+"?token="+s.invite("ines")), http.StatusOK)
			visit(path+" without a token", s.signedOut().withLanguage(language).get(path), http.StatusNotFound)
			continue
		}
		if r.path == signInPath { // redirects signed-in users
			visit(path, s.signedOut().withLanguage(language).get(path), http.StatusOK)
			continue
		}
		// The address of a form's action redirects to the form's page, and without
		// htmx the address of a fragment to its page.
		if a := v.get(path); a.status != http.StatusSeeOther {
			visit(path, a, http.StatusOK)
		}
		if a := v.withHTMX().get(path); a.status != http.StatusSeeOther {
			visit(path+" with htmx", a, http.StatusOK)
		}
	}
	visit("service without responses", owner.get(servicePath(other)), http.StatusOK)
	visit("404", owner.get("/olga/nothing"), http.StatusNotFound)
	visit("403", s.as(jonas).withLanguage(language).get(pearSettingsPath), http.StatusForbidden)
	visit("as a developer", s.as(jonas).withLanguage(language).get(s.mrPath(mr, "")), http.StatusOK)
	s.setVisibility(models.VisibilityPublic)
	visit("signed out", s.signedOut().withLanguage(language).get(s.mrPath(mr, "")), http.StatusOK)
	visit("projects signed out", s.signedOut().withLanguage(language).get("/"), http.StatusOK)
}

// populate creates what fills the pages: a service with a delivery and a
// response, a member, tokens and a merge request. ids returns the parameters for
// a route's path.
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
		t.Fatal("the service has no delivery")
	}
	personal, project := s.createTokens()
	free, err := s.Store.CreateNamespace(t.Context(), s.Owner, "orchard")
	if err != nil {
		t.Fatal(err)
	}
	ids = func(path string) routeIDs {
		ids := routeIDs{iid: itoa(mr.IID), delivery: itoa(deliveries[0].ID), sha: mr.HeadSHA}
		switch {
		case strings.Contains(path, "status_checks"):
			ids.id = itoa(service.ID)
		case strings.Contains(path, "branch_rules"):
			ids.id = s.ruleID(s.Project, "main")
		case strings.Contains(path, "project_members"):
			ids.id = itoa(jonas.ID)
		case strings.HasPrefix(path, adminProjectsPath):
			ids.id = itoa(s.Project.ID)
		case strings.HasPrefix(path, adminNamespacesPath):
			ids.id = itoa(free.ID)
		case strings.Contains(path, "personal_access_tokens"):
			ids.id = itoa(personal.ID)
		case strings.Contains(path, "access_tokens"):
			ids.id = itoa(project.ID)
		}
		return ids
	}
	return ids, mr, other, jonas
}

// createTokens creates one personal token of the owner and one project token.
func (s *testSite) createTokens() (personal, project models.AccessToken) {
	s.T.Helper()
	in := models.AccessTokenInput{
		Name: "CI", Scopes: []string{models.ScopeAPI}, ExpiresAt: s.Clock.Now().AddDate(0, 1, 0), Digest: auth.Digest("one"), Role: models.RoleDeveloper,
	}
	personal, err := s.Store.CreatePersonalToken(s.T.Context(), s.Owner, in)
	if err != nil {
		s.T.Fatal(err)
	}
	in.Digest = auth.Digest("other")
	if project, err = s.Store.CreateProjectToken(s.T.Context(), s.Owner, models.RoleOwner, s.Project.ID, in); err != nil {
		s.T.Fatal(err)
	}
	return personal, project
}

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

// assertContentSecurityPolicy checks that the policy allows only the server's
// own resources, and that the page has no inline style or script.
func assertContentSecurityPolicy(t *testing.T, a response) {
	t.Helper()
	policy := a.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %q", want, policy)
		}
	}
	for _, forbidden := range []string{"unsafe", "*", "http:"} {
		if strings.Contains(policy, forbidden) {
			t.Errorf("the policy allows %q: %q", forbidden, policy)
		}
	}
	a.Find("style, [style], script:not([src]), iframe, object, embed, [srcdoc]").Each(func(_ int, e *goquery.Selection) {
		html, _ := goquery.OuterHtml(e)
		t.Errorf("inline style, script or frame: %.120s", html)
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

// textareaStartPattern matches a textarea's start tag followed by a line break.
var textareaStartPattern = regexp.MustCompile(`<textarea[^>]*>\n`)

// assertFieldsKeepText checks that no field cuts its input by maxlength and that
// each textarea begins with a line break. HTML drops the first one, so without
// it a text that begins with an empty line would lose it.
func assertFieldsKeepText(t *testing.T, a response) {
	t.Helper()
	a.Find("[maxlength]").Each(func(_ int, e *goquery.Selection) {
		t.Errorf("%s has a maxlength", e.AttrOr("id", e.AttrOr("name", "?")))
	})
	if areas, complete := strings.Count(a.body, "<textarea"), len(textareaStartPattern.FindAllString(a.body, -1)); areas != complete {
		t.Errorf("%d of %d textareas begin with a line break", complete, areas)
	}
}

// assertOutline checks the language, the title and the single first heading of a
// page, that ids are unique, and that references to ids have a target.
func assertOutline(t *testing.T, a response, language string) {
	t.Helper()
	ids := map[string]int{}
	a.Find("[id]").Each(func(_ int, e *goquery.Selection) { ids[e.AttrOr("id", "")]++ })
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%d elements have the id %q", n, id)
		}
	}
	if !strings.HasPrefix(a.body, "<!doctype") && !strings.HasPrefix(a.body, "<!DOCTYPE") {
		return // a fragment: its page has the rest of the outline
	}
	if got := a.attr("html", "lang"); got != language {
		t.Errorf("lang %q, want %q", got, language)
	}
	if title := a.text("title"); title == "" || title == "· Mergegate" {
		t.Errorf("title %q", title)
	}
	// A README or a description may contain first headings.
	if n := a.Find("h1").Not(".prose h1").Length(); n != 1 {
		t.Errorf("%d first headings, want 1", n)
	}
	for _, attribute := range []string{"aria-labelledby", "aria-describedby", "aria-controls", "for", "list", "form", "popovertarget"} {
		a.Find("[" + attribute + "]").Each(func(_ int, e *goquery.Selection) {
			for _, id := range strings.Fields(e.AttrOr(attribute, "")) {
				if ids[id] == 0 {
					t.Errorf("%s=%q refers to a missing id", attribute, id)
				}
			}
		})
	}
}

var (
	// textKeyPattern matches the key of a missing text.
	textKeyPattern = regexp.MustCompile(`\b(frame|mr|checks|git|settings)\.[a-z]+_[a-z_]+\b`)
	// placeholderPattern matches a placeholder without a value.
	placeholderPattern = regexp.MustCompile(`\{\{|<no value>|%!|\bundefined\b|\bNaN\b`)
	latinWordPattern   = regexp.MustCompile(`[A-Za-z][A-Za-z'’-]+`)
	addressPattern     = regexp.MustCompile(`https?://[^\s"]+|\b[0-9a-f]{8}\b`)
	tagPattern         = regexp.MustCompile(`</?[a-z][^<>]*>`)
	japanesePattern    = regexp.MustCompile(`[\p{Hiragana}\p{Katakana}\p{Han}]`)
)

// untranslatedWords are Latin words on Japanese pages: names of products, languages and
// formats, and units.
var untranslatedWords = strings.Fields("Mergegate GitLab Git HTTP HTTPS HMAC URL API SHA README Markdown ID UTC UTF HEAD English Draft Webhook Webhooks JSON CSV CI ms IP KiB MiB curl DNS TLS p SECRET Go Python Node js Shell")

// fixtureWords are the Latin words of the test data.
var fixtureWords = strings.Fields("olga orchard pear jonas ines licence security example test main feature topic other release Commit on Trim the mergegate Ines Park bot project root stable read api read_api git merge MR QA Security")

// assertLanguage checks that every visible or announced text is in the language
// and has no missing key or placeholder.
func assertLanguage(t *testing.T, a response, language string) {
	t.Helper()
	var texts []string
	doc := a.Find("html, dialog, body").First().Clone()
	doc.Find("pre, code, script, .mono, .ref, .prose, [lang], option[lang], #app-texts").Remove()
	doc.Find("*").Contents().Each(func(_ int, node *goquery.Selection) {
		if goquery.NodeName(node) == "#text" {
			// The content of noscript is one text node that contains tags.
			texts = append(texts, tagPattern.ReplaceAllString(node.Text(), " "))
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
			t.Errorf("missing text or value: %q", text)
		}
		text = addressPattern.ReplaceAllString(text, "")
		if language == "en" && text != "日本語" && japanesePattern.MatchString(text) {
			t.Errorf("Japanese on an English page: %q", text)
		}
		if language != "ja" {
			continue
		}
		for _, word := range latinWordPattern.FindAllString(text, -1) {
			if !slices.Contains(untranslatedWords, word) && !slices.Contains(fixtureWords, word) {
				t.Errorf("%q is not translated: %q", word, text)
			}
		}
	}
}
