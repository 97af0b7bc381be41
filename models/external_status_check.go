package models

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Limits of a service's fields.
const (
	// MaxURLLength is the longest "API to check", in characters.
	MaxURLLength = 2048
	// MaxSecretLength is the longest HMAC shared secret, in characters.
	MaxSecretLength = 255
	// DefaultTimeout is how long a check may stay pending (GitLab's two
	// minutes).
	DefaultTimeout = 2 * time.Minute
)

// ExternalStatusCheck is a status check service: an external service that a
// project asks about its merge requests.
type ExternalStatusCheck struct {
	ID             int64
	ProjectID      int64
	Name           string
	NameKey        string
	ExternalURL    string `gorm:"column:external_url"`
	URLKey         string `gorm:"column:url_key"`
	SealedSecret   []byte
	TimeoutSeconds int
	// ApplyAfterID is set while "Also apply" is under way: the id of the last
	// merge request it has done.
	ApplyAfterID *int64
	ApplyByID    *int64
	// Applied is how many open merge requests the "Also apply" of this very
	// change touched; only what CreateStatusCheck and UpdateStatusCheck give
	// back has it.
	Applied int `gorm:"-"`
	// Incomplete says why "Also apply" has not reached all of them yet; recovery
	// goes on with it. It is not stored.
	Incomplete error                       `gorm:"-"`
	Branches   []ExternalStatusCheckBranch `gorm:"foreignKey:ExternalStatusCheckID"`
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// ExternalStatusCheckBranch is one name or pattern of a service's scope, with
// the last id of the protected branch that it was chosen from.
type ExternalStatusCheckBranch struct {
	ID                    int64
	ExternalStatusCheckID int64
	ProtectedBranchID     int64
	Name                  string
	// Protected tells whether the branch is still protected. Queries fill it.
	Protected bool `gorm:"-"`
}

// HasSecret reports whether the service signs what it is sent.
func (c ExternalStatusCheck) HasSecret() bool { return len(c.SealedSecret) > 0 }

// Scope is the list of names and patterns that the service applies to; empty
// for all branches.
func (c ExternalStatusCheck) Scope() []string {
	scope := make([]string, 0, len(c.Branches))
	for _, b := range c.Branches {
		scope = append(scope, b.Name)
	}
	return scope
}

// AppliesTo reports whether the service is asked about merge requests into a
// target branch.
func (c ExternalStatusCheck) AppliesTo(targetBranch string) bool {
	return scopeCovers(c.Scope(), targetBranch)
}

func scopeCovers(scope []string, targetBranch string) bool {
	if len(scope) == 0 {
		return true
	}
	for _, pattern := range scope {
		if MatchBranch(pattern, targetBranch) {
			return true
		}
	}
	return false
}

// StatusCheckInput makes a service.
type StatusCheckInput struct {
	Name        string
	ExternalURL string
	// ProtectedBranchIDs choose the scope; none means all branches.
	ProtectedBranchIDs []int64
	SharedSecret       string
}

// StatusCheckUpdate changes a service; nil leaves a field as it is.
type StatusCheckUpdate struct {
	Name               *string
	ExternalURL        *string
	ProtectedBranchIDs *[]int64
	// SharedSecret may be given to a service that has none; afterwards nil, ""
	// and the same secret leave it as it is, and another is refused.
	SharedSecret *string
	// Version is the service's Version that the change was made from; "" is
	// not checked.
	Version string
}

// Validate cleans the input and tells its faults.
func (in *StatusCheckInput) Validate() error {
	var f fieldErrors
	in.Name = cleanName(in.Name)
	in.ExternalURL = strings.TrimSpace(in.ExternalURL)
	checkName(&f, "name", in.Name)
	checkURL(&f, "external_url", in.ExternalURL)
	checkSecret(&f, in.SharedSecret)
	return f.err()
}

// Validate cleans the update and tells its faults.
func (in *StatusCheckUpdate) Validate() error {
	var f fieldErrors
	if in.Name != nil {
		name := cleanName(*in.Name)
		in.Name = &name
		checkName(&f, "name", name)
	}
	if in.ExternalURL != nil {
		u := strings.TrimSpace(*in.ExternalURL)
		in.ExternalURL = &u
		checkURL(&f, "external_url", u)
	}
	if in.SharedSecret != nil {
		checkSecret(&f, *in.SharedSecret)
	}
	return f.err()
}

func checkURL(f *fieldErrors, field, raw string) {
	switch _, ok := URLKey(raw); {
	case raw == "":
		f.add(field, CodeBlank)
	case utf8.RuneCountInString(raw) > MaxURLLength:
		f.add(field, CodeTooLong, "max", strconv.Itoa(MaxURLLength))
	case !ok:
		f.add(field, CodeInvalid)
	}
}

func checkSecret(f *fieldErrors, secret string) {
	switch {
	case utf8.RuneCountInString(secret) > MaxSecretLength:
		f.add("shared_secret", CodeTooLong, "max", strconv.Itoa(MaxSecretLength))
	case !validText(secret):
		f.add("shared_secret", CodeInvalid)
	}
}

// URLKey is the form in which two addresses of services are compared: scheme
// and host in lower case, an international host as punycode, without the
// default port and the fragment, an empty path as "/", the rest byte for byte.
// ok is false for what is not an absolute http or https URL with a host.
func URLKey(raw string) (key string, ok bool) {
	if utf8.RuneCountInString(raw) > MaxURLLength || hasControl(raw) || strings.ContainsAny(raw, " \\") {
		return "", false
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.Hostname() == "" {
		return "", false
	}
	scheme := strings.ToLower(u.Scheme)
	if scheme != "http" && scheme != "https" {
		return "", false
	}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	} else if ascii, err := idna.Lookup.ToASCII(host); err == nil && ascii != "" {
		host = ascii
	} else if !isASCIIHost(host) {
		return "", false
	}
	if port := u.Port(); port != "" {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return "", false
		}
		if !(scheme == "http" && n == 80 || scheme == "https" && n == 443) {
			host += ":" + strconv.Itoa(n)
		}
	} else if strings.HasSuffix(u.Host, ":") && u.Port() == "" {
		// "host:" is the default port, spelled oddly.
		host = strings.TrimSuffix(host, ":")
	}
	// The rest is cut from the text as typed: net/url would re-encode it.
	rest := raw[strings.Index(raw, "://")+3:]
	user := ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		user, rest = rest[:i], rest[i:]
	} else {
		user, rest = rest, ""
	}
	if i := strings.LastIndex(user, "@"); i >= 0 {
		user = user[:i+1]
	} else {
		user = ""
	}
	rest, _, _ = strings.Cut(rest, "#")
	if !strings.HasPrefix(rest, "/") {
		rest = "/" + rest
	}
	return scheme + "://" + user + host + rest, true
}

// isASCIIHost accepts the host names that IDNA refuses but that resolve in
// practice, such as names with underscores.
func isASCIIHost(host string) bool {
	for _, r := range host {
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_') {
			return false
		}
	}
	return true
}

// DisplayURL is a service's address as those below Maintainer see it: query
// string, fragment and user information cut off. The rest is as typed.
func DisplayURL(raw string) string {
	if i := strings.IndexAny(raw, "?#"); i >= 0 {
		raw = raw[:i]
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return ""
	}
	authority, path, slash := strings.Cut(rest, "/")
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		authority = authority[i+1:]
	}
	if slash {
		path = "/" + path
	}
	return scheme + "://" + authority + path
}

// serviceChanges lists what differs between two states of a service, for the
// audit events. The secret is told only as on or off, the URL without its
// query string, which may hold one.
func serviceChanges(from, to ExternalStatusCheck) []AuditChange {
	var changes []AuditChange
	note := func(field, a, b string, differs bool) {
		if differs {
			changes = append(changes, AuditChange{Field: field, From: a, To: b})
		}
	}
	scope := func(c ExternalStatusCheck) string {
		if c.ID == 0 {
			return ""
		}
		if len(c.Branches) == 0 {
			return "*"
		}
		return cutBytes(strings.Join(c.Scope(), ", "), 1024)
	}
	hmac := func(c ExternalStatusCheck) string {
		if c.ID == 0 {
			return ""
		}
		return onOff(c.HasSecret())
	}
	note("name", from.Name, to.Name, from.Name != to.Name)
	note("external_url", DisplayURL(from.ExternalURL), DisplayURL(to.ExternalURL), from.ExternalURL != to.ExternalURL)
	note("target_branches", scope(from), scope(to), scope(from) != scope(to))
	note("hmac", hmac(from), hmac(to), hmac(from) != hmac(to))
	return changes
}
