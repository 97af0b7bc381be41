package handlers

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mergegate/mergegate/models"
)

// Texts that no form accepts: too long, with control characters, or not UTF-8.
var (
	long256  = strings.Repeat("ä", 256)
	long2001 = strings.Repeat("x", 2001)
)

const (
	lineBreak = "Lic\nence"
	nul       = "Lic\x00ence"
	notUTF8   = "Lic\xff\xfe"
)

const pathRule = "Use letters, digits, _ - and . only; begin with a letter, digit or _, and do not end with . or .git"

// formCases creates what the forms need and returns the cases of all forms.
func (s *testSite) formCases() []formCase {
	s.T.Helper()
	other := s.NewProject(s.Owner, "plum", models.VisibilityPrivate)
	s.openMergeRequest("other")
	var cases []formCase
	for _, some := range [][]formCase{s.serviceCases(other), s.ruleCases(), s.memberCases(), s.tokenCases(), s.projectCases(), s.requestCases(), s.personCases(), s.adminCases()} {
		cases = append(cases, some...)
	}
	return cases
}

// nameFaults returns the faults of a name field, with the messages of its form.
func nameFaults(field, blank, tooLong, unreadable string) []fault {
	return []fault{
		{name: field + " left out", change: url.Values{field: nil}, want: oneMessage(field, blank)},
		{name: field + " blank", change: url.Values{field: {" \t "}}, want: oneMessage(field, blank)},
		{name: field + " as a list", change: url.Values{field: nil, field + "[]": {"x"}}, want: oneMessage(field, blank)},
		{name: field + " too long", change: url.Values{field: {long256}}, want: oneMessage(field, tooLong)},
		{name: field + " with a line break", change: url.Values{field: {lineBreak}}, want: oneMessage(field, unreadable)},
		{name: field + " with NUL", change: url.Values{field: {nul}}, want: oneMessage(field, unreadable)},
		{name: field + " that is not UTF-8", change: url.Values{field: {notUTF8}}, want: oneMessage(field, unreadable)},
	}
}

// choiceFaults returns the faults of a list or a group of choices: no value and
// each of the values.
func choiceFaults(field, message string, values ...string) []fault {
	leftOut := fault{name: field + " left out", change: url.Values{field: nil}, want: oneMessage(field, message)}
	return append(valueFaults(field, message, append(values, "")...), leftOut)
}

// valueFaults are the faults of an optional field with these and other invalid values.
func valueFaults(field, message string, values ...string) (faults []fault) {
	for _, value := range append(values, "99999999999999999999", "\xff\x00") {
		faults = append(faults, fault{name: field + " " + strings.ToValidUTF8(value, "?"), change: url.Values{field: {value}}, want: oneMessage(field, message)})
	}
	return faults
}

func (s *testSite) serviceCases(other models.Project) []formCase {
	s.T.Helper()
	s.Service("Straße", "main") // https://Straße.example.test/hook
	taken := models.ExternalStatusCheckInput{Name: "Licence", ExternalURL: "https://scan.example.net/v1/check?a=1"}
	root := models.ExternalStatusCheckInput{Name: "Root", ExternalURL: "https://bücher.example"}
	for _, in := range []models.ExternalStatusCheckInput{taken, root} {
		if _, err := s.Store.CreateExternalStatusCheck(s.T.Context(), s.Owner, s.Project.ID, in, false); err != nil {
			s.T.Fatal(err)
		}
	}
	mine := s.Service("mine")
	foreign, main := s.ruleID(other, "main"), s.ruleID(s.Project, "main")
	const name, address, branch, secret = "name", "external_url", "protected_branch_ids[]", "shared_secret"
	faults := append(nameFaults(name, nameMissing, "Name cannot be longer than 255 characters", "Name cannot contain control characters"),
		fault{name: "name taken", change: url.Values{name: {"Licence"}}, want: oneMessage(name, nameTaken)},
		fault{name: "name taken in another case", change: url.Values{name: {" LICENCE "}}, want: oneMessage(name, nameTaken)},
		fault{name: "name taken by full case folding", change: url.Values{name: {"STRASSE"}}, want: oneMessage(name, nameTaken)},
		fault{name: "secret too long", change: url.Values{secret: {strings.Repeat("s", 256)}}, want: oneMessage(secret, secretLong)},
		fault{name: "secret that is not UTF-8", change: url.Values{secret: {notUTF8}}, want: oneMessage(secret, "Shared secret cannot contain control characters")},
		fault{name: "everything at once", change: url.Values{name: {"licence"}, address: {taken.ExternalURL}, branch: {"0"}, secret: {strings.Repeat("s", 256)}},
			want: map[string]string{name: nameTaken, address: urlTaken, branch: branchWrong, secret: secretLong}},
	)
	for kind, value := range map[string]string{
		"blank": "  ", "relative": "/hook", "without scheme": "ci.example.test/hook", "of another scheme": "ftp://ci.example.test/",
		"that is script": "javascript:alert(1)", "without host": "https:///hook", "with a blank": "https://ci.example.test/a b",
		"with a line break": "https://ci.example.test/a\nb", "with an invalid port": "https://ci.example.test:99999/",
		"that is not UTF-8": "https://ci.example.test/\xff",
	} {
		faults = append(faults, fault{name: "URL " + kind, change: url.Values{address: {value}}, want: oneMessage(address, urlInvalid)})
	}
	faults = append(faults, fault{name: "URL too long", want: oneMessage(address, urlTooLong),
		change: url.Values{address: {"https://ci.example.test/" + strings.Repeat("ä", 2025)}}})
	faults = append(faults, fault{name: "URL left out", change: url.Values{address: nil}, want: oneMessage(address, urlInvalid)})
	for kind, value := range map[string]string{
		"": taken.ExternalURL, "scheme and host in capitals": "HTTPS://SCAN.example.NET/v1/check?a=1", "default port": "https://scan.example.net:443/v1/check?a=1",
		"fragment": "https://scan.example.net/v1/check?a=1#top", "punycode and path": "https://xn--bcher-kva.example/",
	} {
		faults = append(faults, fault{name: "URL taken " + kind, change: url.Values{address: {value}}, want: oneMessage(address, urlTaken)})
	}
	for kind, values := range map[string][]string{
		"of another project": {foreign}, "that does not exist": {"999999"}, "beyond 64 bits": {"99999999999999999999"},
		"that is not a number": {"main"}, "valid and invalid": {main, foreign},
	} {
		faults = append(faults, fault{name: "branch " + kind, change: url.Values{branch: values}, want: oneMessage(branch, branchWrong)})
	}
	const timeout, headers, values = "timeout", "header_name", "header_value"
	for _, value := range []string{"", "2", "minutes", "2 parsecs", "9 seconds", "8 days", "-2 minutes", "1.5 hours", "99999999999999999999 days", notUTF8} {
		faults = append(faults, fault{name: "time-out " + strconv.QuoteToASCII(value), change: url.Values{timeout: {value}},
			want: oneMessage(timeout, "Enter a time-out from 10 seconds to 7 days, such as 2 minutes")})
	}
	for kind, tt := range map[string]struct {
		name, value, message string
	}{
		"reserved":             {"Host", "x", "Host cannot be set as a custom header"},
		"of the signature":     {"X-Gitlab-Signature", "x", "X-Gitlab-Signature cannot be set as a custom header"},
		"with an invalid name": {"X Key", "x", "Enter a valid header name, such as X-Api-Key"},
		"without a name":       {"", "x", "Enter a valid header name, such as X-Api-Key"},
		"without a value":      {"X-Key", "", "Enter a value for X-Key"},
		"with a line break":    {"X-Key", "a\r\nb", "The value of X-Key must be printable ASCII and at most 2048 characters long"},
	} {
		faults = append(faults, fault{name: "header " + kind, change: url.Values{headers: {tt.name}, values: {tt.value}}, want: oneMessage(headers, tt.message)})
	}
	faults = append(faults, fault{name: "callbacks without HTTPS", change: url.Values{address: {"http://fresh.example.test/"}, "callback_only": {"1"}},
		want: oneMessage("callback_only", "Callbacks need a URL with HTTPS")})
	good := url.Values{timeout: {"90 minutes"}, "informational": {"1"}, headers: {"X-Key"}, values: {"hush-hush-value"}, name: {"Fresh"}, address: {"https://fresh.example.test/hook"}, secret: {"hush-hush-secret"}, "also_apply": {"1"}, branch: {main}}
	return []formCase{
		{name: "add service", action: pearServicesPath, as: s.as(s.Owner), good: good, dialog: true, hidden: []string{secret, values}, faults: faults},
		{name: "redeliver", action: pearServicesPath + "/" + itoa(mine.ID) + "/deliveries/redeliver", as: s.as(s.Owner),
			good: url.Values{"outcome": {"failed"}, "since": {"2026-11-22T09:00"}, "mr": {"!1"}}, faults: slices.Concat(
				choiceFaults("outcome", "Not valid", "waiting", "x"),
				valueFaults("since", "Please provide a time such as 2026-11-22T09:40", "tomorrow", "2026-13-01", notUTF8),
				valueFaults("mr", "Use a number such as 142", "x", "0"),
			)},
		{name: "update service", action: pearServicesPath + "/" + itoa(mine.ID), as: s.as(s.Owner), good: good, dialog: true, hidden: []string{secret, values}, faults: faults},
	}
}

func (s *testSite) ruleCases() []formCase {
	const name, merge, push, who = "name", "merge_access_level", "push_access_level", "Select who is allowed"
	const invalid = "Please provide a valid branch name or wildcard"
	levels := append(choiceFaults(merge, who, "35", "50", "everybody"), choiceFaults(push, who, "35", "50", "everybody")...)
	faults := append(nameFaults(name, "Please provide a branch name", "Branch name cannot be longer than 255 characters", invalid),
		fault{name: "name that no branch can have", change: url.Values{name: {"a..b"}}, want: oneMessage(name, invalid)},
		fault{name: "name taken", change: url.Values{name: {"main"}}, want: oneMessage(name, "Branch is already protected")},
		fault{name: "everything at once", change: url.Values{name: {""}, merge: {"x"}, push: {"x"}},
			want: map[string]string{name: "Please provide a branch name", merge: who, push: who}},
	)
	good := url.Values{name: {"stable/*"}, merge: {"30"}, push: {"0"}, "allow_force_push": {"1"}}
	change := url.Values{merge: {"30"}, push: {"0"}, "allow_force_push": {"1"}}
	return []formCase{
		{name: "protect a branch", action: pearRulesPath, as: s.as(s.Owner), good: good, dialog: true, faults: append(faults, levels...)},
		{name: "change a rule", action: pearRulesPath + "/" + s.ruleID(s.Project, "main"), as: s.as(s.Owner), good: change, dialog: true, faults: levels},
	}
}

func (s *testSite) memberCases() []formCase {
	const user, role, nobody, roles = "username", "access_level", "There is no user with this name", "Choose one of the roles"
	s.User("jonas")
	return []formCase{{
		name: "add member", action: pearMembersPath, as: s.as(s.Owner), dialog: true, good: url.Values{user: {"jonas"}, role: {"20"}},
		faults: append(append(nameFaults(user, "Please provide a username", nobody, nobody), choiceFaults(role, roles, "35", "x", "-10")...),
			fault{name: "twice", change: url.Values{user: {"olga"}}, want: oneMessage(user, "Already a member of this project")},
			fault{name: "everything at once", change: url.Values{user: {"nobody"}, role: {"35"}}, want: map[string]string{user: nobody, role: roles}}),
	}}
}

func (s *testSite) tokenCases() []formCase {
	const name, expires, scopes, role = "name", "expires_at", "scopes", "access_level"
	const noDate = "Please provide a date such as 2027-02-22"
	day := func(n int) string { return s.Clock.Now().AddDate(0, 0, n).Format(time.DateOnly) }
	faults := append(nameFaults(name, nameMissing, "Cannot be longer than 255 characters", "Contains characters that cannot be read"),
		fault{name: "no date", change: url.Values{expires: nil}, want: oneMessage(expires, noDate)},
		fault{name: "a word as date", change: url.Values{expires: {"tomorrow"}}, want: oneMessage(expires, noDate)},
		fault{name: "a date that is not UTF-8", change: url.Values{expires: {notUTF8}}, want: oneMessage(expires, noDate)},
		fault{name: "a day that does not exist", change: url.Values{expires: {"2027-02-30"}}, want: oneMessage(expires, noDate)},
		fault{name: "today", change: url.Values{expires: {day(0)}}, want: oneMessage(expires, "Must be in the future")},
		fault{name: "too far", change: url.Values{expires: {day(400)}}, want: oneMessage(expires, "Must be within the next 365 days")},
		fault{name: "no scope", change: url.Values{scopes: nil}, want: oneMessage(scopes, "Choose at least one scope")},
		fault{name: "an unknown scope", change: url.Values{scopes: {"sudo"}}, want: oneMessage(scopes, "Not valid")},
		fault{name: "a scope that is not UTF-8", change: url.Values{scopes: {notUTF8}}, want: oneMessage(scopes, "Not valid")},
		fault{name: "a valid and an invalid scope", change: url.Values{scopes: {"api", "sudo"}}, want: oneMessage(scopes, "Not valid")},
		fault{name: "everything at once", change: url.Values{name: nil, expires: nil, scopes: nil},
			want: map[string]string{name: nameMissing, expires: noDate, scopes: "Choose at least one scope"}},
	)
	ofRole := append(choiceFaults(role, "Choose one of the roles", "35", "x"),
		fault{name: "above one's own", change: url.Values{role: {"50"}}, want: oneMessage(role, "Choose a role that is not above your own")})
	maintainer := s.as(s.Member("mara", models.RoleMaintainer))
	personal := url.Values{name: {"CI"}, expires: {day(30)}, scopes: {"read_api"}}
	project := url.Values{name: {"CI"}, expires: {day(30)}, scopes: {"read_api"}, role: {"20"}}
	return []formCase{
		{name: "personal token", action: personalTokensPath, as: s.as(s.Owner), good: personal, faults: faults},
		{name: "project token", action: pearTokensPath, as: maintainer, good: project, faults: append(faults, ofRole...)},
	}
}

func (s *testSite) projectCases() []formCase {
	s.T.Helper()
	const name, path, description, visibility, namespace, branch = "name", "path", "description", "visibility", "namespace_id", "default_branch"
	otto := s.User("otto")
	ns := map[string]string{}
	for _, user := range []models.User{s.Owner, otto} {
		found, err := s.Store.Namespace(s.T.Context(), user.Username)
		if err != nil {
			s.T.Fatal(err)
		}
		ns[user.Username] = itoa(found.ID)
	}
	tooLong := fault{name: "description too long", change: url.Values{description: {long2001}}, want: oneMessage(description, "Cannot be longer than 2000 characters")}
	unreadable := fault{name: "description that is not UTF-8", change: url.Values{description: {notUTF8}}, want: oneMessage(description, "Not valid")}
	var paths []fault
	for _, value := range []string{"-no", "a b", "a/b", "pear.git", "ä", "a\x00b", "a\xff", strings.Repeat("a", 256)} {
		want := pathRule
		if len(value) > 255 {
			want = "Cannot be longer than 255 characters"
		}
		paths = append(paths, fault{name: "path " + strings.ToValidUTF8(value, "?"), change: url.Values{path: {value}}, want: oneMessage(path, want)})
	}
	names := nameFaults(name, nameMissing, "Cannot be longer than 255 characters", "Contains characters that cannot be read")
	visibilities := choiceFaults(visibility, "Not valid", "secret", "20")
	taken := fault{name: "path taken", change: url.Values{path: {"PLUM"}}, want: oneMessage(path, "This path is already taken")}
	create := append(append(append([]fault{}, names[3:]...), paths...), append(visibilities, tooLong, unreadable, taken)...)
	create = append(append(create, choiceFaults(namespace, "Choose one of your namespaces", ns["otto"], "olga")...),
		fault{name: "neither name nor path", change: url.Values{name: nil, path: nil}, want: map[string]string{name: nameMissing}},
		fault{name: "everything at once", change: url.Values{name: {lineBreak}, namespace: {ns["otto"]}, path: {"-no"}, description: {long2001}, visibility: {"secret"}},
			want: map[string]string{name: "Contains characters that cannot be read", namespace: "Choose one of your namespaces", path: pathRule,
				description: "Cannot be longer than 2000 characters", visibility: "Not valid"}})
	rename := append(append(append([]fault{}, names...), paths...), append(visibilities, taken,
		fault{name: "path blank", change: url.Values{path: {""}}, want: oneMessage(path, pathRule)},
		fault{name: "everything at once", change: url.Values{name: nil, path: {"-no"}, visibility: {"x"}},
			want: map[string]string{name: nameMissing, path: pathRule, visibility: "Not valid"}})...)
	return []formCase{
		{name: "new project", action: "/projects", as: s.as(s.Owner), faults: create,
			good: url.Values{name: {"Cherry"}, path: {"cherry"}, description: {"Fruit"}, visibility: {"internal"}, namespace: {ns["olga"]}, "readme": {"1"}}},
		{name: "general", action: pearGeneralPath, as: s.as(s.Owner), good: url.Values{description: {"Fruit"}, branch: {"feature"}}, faults: []fault{
			tooLong, unreadable,
			{name: "unknown branch", change: url.Values{branch: {"nowhere"}}, want: oneMessage(branch, "There is no such branch")},
			{name: "impossible branch", change: url.Values{branch: {"a..b"}}, want: oneMessage(branch, "There is no such branch")},
			{name: "branch that is not UTF-8", change: url.Values{branch: {"\xff\x00"}}, want: oneMessage(branch, "There is no such branch")},
			{name: "everything at once", change: url.Values{description: {long2001}, branch: {"nowhere"}},
				want: map[string]string{description: "Cannot be longer than 2000 characters", branch: "There is no such branch"}},
		}},
		{name: "name and visibility", action: pearGeneralPath + "/advanced", as: s.as(s.Owner), faults: rename,
			good: url.Values{name: {"Cherry"}, path: {"cherry"}, visibility: {"public"}}},
		{name: "delete project", action: pearGeneralPath + "/delete", as: s.as(s.Owner), good: url.Values{"confirm": {"olga/pear"}}, faults: notThePath},
	}
}

// notThePath are faults of forms that ask for the path of the project to delete it.
var notThePath = []fault{
	{name: "blank", change: url.Values{"confirm": nil}, want: oneMessage("confirm", "This is not the path of the project")},
	{name: "another project", change: url.Values{"confirm": {"olga/plum"}}, want: oneMessage("confirm", "This is not the path of the project")},
	{name: "not UTF-8", change: url.Values{"confirm": {notUTF8}}, want: oneMessage("confirm", "This is not the path of the project")},
}

func (s *testSite) requestCases() []formCase {
	s.T.Helper()
	const title, source, target, description = "title", "source_branch", "target_branch", "description"
	const gone, pick, control = "This branch does not exist", "Select a branch", "Title cannot contain control characters"
	titles := append(nameFaults(title, "Enter a title", "Title cannot be longer than 255 characters", control),
		fault{name: "description that is not UTF-8", change: url.Values{description: {notUTF8}}, want: oneMessage(description, "Description contains characters that cannot be kept")})
	branch := func(field string) []fault {
		return []fault{
			{name: field + " left out", change: url.Values{field: nil}, want: oneMessage(field, pick)},
			{name: field + " blank", change: url.Values{field: {""}}, want: oneMessage(field, pick)},
			{name: field + " unknown", change: url.Values{field: {"nowhere"}}, want: oneMessage(field, gone)},
			{name: field + " impossible", change: url.Values{field: {"a..b"}}, want: oneMessage(field, gone)},
			{name: field + " that is not UTF-8", change: url.Values{field: {"\xff\x00"}}, want: oneMessage(field, gone)},
		}
	}
	open := append(append(append([]fault{}, titles...), append(branch(source), branch(target)...)...),
		fault{name: "same branch", change: url.Values{target: {"feature"}}, want: oneMessage(target, "Select another branch than the source branch")},
		fault{name: "no commits", change: url.Values{source: {"main"}, target: {"feature"}}, want: oneMessage(source, "The source branch has no commits that the target branch lacks")},
		fault{name: "duplicate", change: url.Values{source: {"other"}}, status: http.StatusConflict,
			want: oneMessage("", "Another open merge request already exists for these branches: !1")},
		fault{name: "no title, and branches that do not exist", change: url.Values{title: nil, source: {"nowhere"}, target: {"elsewhere"}},
			want: map[string]string{title: "Enter a title", source: gone, target: gone}},
		fault{name: "everything at once", change: url.Values{title: nil, source: nil, target: {"a..b"}, description: {notUTF8}},
			want: map[string]string{title: "Enter a title", source: pick, target: gone, description: "Description contains characters that cannot be kept"}})
	edit := append(append(append([]fault{}, titles...), branch(target)...),
		fault{name: "same branch", change: url.Values{target: {"other"}}, want: oneMessage(target, "Select another branch than the source branch")})
	good := url.Values{source: {"feature"}, target: {"main"}, title: {"Typed"}, description: {"Typed <b>too</b>"}, "squash": {"true"}, "remove_source_branch": {"true"}}
	changed := url.Values{target: {"feature"}, title: {"Typed"}, description: {"Typed <b>too</b>"}, "squash": {"true"}}
	return []formCase{
		{name: "new merge request", action: pearMergeRequestsPath, as: s.as(s.Owner), good: good, faults: open},
		{name: "edit merge request", action: pearMergeRequestsPath + "/1", as: s.as(s.Owner), good: changed, faults: edit},
	}
}

func (s *testSite) personCases() []formCase {
	s.T.Helper()
	priya := s.userWithPassword("priya")
	const now, next, again = "current_password", "password", "password_confirmation"
	const fresh = "a better password"
	rejected := oneMessage("", "Invalid username or password.")
	// Every fault is posted up to four times, well below the limit of sign-in tries.
	chosen := func(name, password, message string) fault {
		return fault{name: name, change: url.Values{next: {password}, again: {password}}, want: oneMessage(next, message)}
	}
	return []formCase{
		{name: "sign in", action: signInPath, as: s.signedOut(), good: url.Values{"login": {"priya"}, "password": {testPassword}, "remember_me": {"1"}}, hidden: []string{"password"},
			faults: []fault{
				{name: "nothing", change: url.Values{"login": nil, "password": nil}, want: rejected},
				{name: "wrong password", change: url.Values{"password": {"wrong wrong"}}, want: rejected},
				{name: "unknown user", change: url.Values{"login": {"nobody"}}, want: rejected},
				{name: "not UTF-8", change: url.Values{"login": {notUTF8}, "password": {"\xff"}}, want: rejected},
			}},
		{name: "password", action: newPasswordPath, as: s.as(priya), good: url.Values{now: {testPassword}, next: {fresh}, again: {fresh}}, hidden: []string{now, next, again},
			faults: []fault{
				{name: "the current one wrong", change: url.Values{now: {"wrong wrong"}}, want: oneMessage(now, "This is not your current password")},
				chosen("too long", strings.Repeat("x", 1025), "The password cannot be longer than 1024 bytes"),
				chosen("not UTF-8", "\xff\x00 is no text", "The password contains characters that cannot be read"),
				{name: "everything at once", change: url.Values{now: nil, next: {"short"}, again: {"other"}}, want: map[string]string{
					now: "This is not your current password", next: "The password needs at least 8 characters", again: "The two passwords are not the same"}},
				chosen("the current one again", testPassword, "Choose a password other than the current one"),
			}},
		{name: "preferences", action: userSettingsPath, as: s.as(s.Owner), good: url.Values{"theme": {"dark"}, "language": {"browser"}},
			faults: append(append(choiceFaults("theme", "Choose one of the themes", "neon"), choiceFaults("language", "Choose one of the languages", "tlh")...),
				fault{name: "everything at once", change: url.Values{"theme": nil, "language": nil},
					want: map[string]string{"theme": "Choose one of the themes", "language": "Choose one of the languages"}})},
	}
}
