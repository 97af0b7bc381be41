package models

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
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
	// change touched; only what CreateExternalStatusCheck and UpdateExternalStatusCheck give
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

// ExternalStatusCheckInput makes a service.
type ExternalStatusCheckInput struct {
	Name        string
	ExternalURL string
	// ProtectedBranchIDs choose the scope; none means all branches.
	ProtectedBranchIDs []int64
	SharedSecret       string
}

// ExternalStatusCheckUpdate changes a service; nil leaves a field as it is.
type ExternalStatusCheckUpdate struct {
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
func (in *ExternalStatusCheckInput) Validate() error {
	var f fieldErrors
	in.Name = cleanName(in.Name)
	checkName(&f, "name", in.Name)
	in.ExternalURL = checkURL(&f, "external_url", in.ExternalURL)
	checkSecret(&f, in.SharedSecret)
	return f.err()
}

// Validate cleans the update and tells its faults.
func (in *ExternalStatusCheckUpdate) Validate() error {
	var f fieldErrors
	if in.Name != nil {
		name := cleanName(*in.Name)
		in.Name = &name
		checkName(&f, "name", name)
	}
	if in.ExternalURL != nil {
		u := checkURL(&f, "external_url", *in.ExternalURL)
		in.ExternalURL = &u
	}
	if in.SharedSecret != nil {
		checkSecret(&f, *in.SharedSecret)
	}
	return f.err()
}

// checkURL tells the faults of a URL and returns it as it is sent, or trimmed
// where it has faults.
func checkURL(f *fieldErrors, field, raw string) string {
	raw = strings.TrimSpace(raw)
	sent, ok := URLAsSent(raw)
	switch {
	case raw == "":
		f.add(field, CodeBlank)
	case utf8.RuneCountInString(raw) > MaxURLLength:
		f.add(field, CodeTooLong, "max", strconv.Itoa(MaxURLLength))
	case !ok:
		f.add(field, CodeInvalid)
	default:
		return sent
	}
	return raw
}

func checkSecret(f *fieldErrors, secret string) {
	switch {
	case utf8.RuneCountInString(secret) > MaxSecretLength:
		f.add("shared_secret", CodeTooLong, "max", strconv.Itoa(MaxSecretLength))
	case !validText(secret):
		f.add("shared_secret", CodeInvalid)
	}
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
		return formatSwitch(c.HasSecret())
	}
	note("name", from.Name, to.Name, from.Name != to.Name)
	note("external_url", DisplayURL(from.ExternalURL), DisplayURL(to.ExternalURL), !sameURL(from.ExternalURL, to.ExternalURL))
	note("target_branches", scope(from), scope(to), scope(from) != scope(to))
	note("hmac", hmac(from), hmac(to), hmac(from) != hmac(to))
	return changes
}
