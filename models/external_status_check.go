package models

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of a service's fields.
const (
	// MaxURLLength is the longest URL of a service, in characters.
	MaxURLLength = 2048
	// MaxSecretLength is the longest HMAC shared secret, in characters.
	MaxSecretLength = 255
	// DefaultTimeout is how long a check may stay pending, as in GitLab.
	DefaultTimeout = 2 * time.Minute
	// MinTimeout and MaxTimeout limit the time-out of a service.
	MinTimeout = 10 * time.Second
	MaxTimeout = 7 * 24 * time.Hour
)

// ExternalStatusCheck is a status check service: an external service that receives the
// events of a project's merge requests and answers with a status.
type ExternalStatusCheck struct {
	ID             int64
	ProjectID      int64
	Name           string
	NameKey        string
	ExternalURL    string `gorm:"column:external_url"`
	URLKey         string `gorm:"column:url_key"`
	SealedSecret   []byte
	TimeoutSeconds int
	// Informational services never block a merge.
	Informational bool
	CustomHeaders []CustomHeader `gorm:"serializer:json"`
	// CallbackOnly services accept only responses with the callback token of a delivery.
	CallbackOnly bool
	// ApplyAfterID is set while "Also apply" runs: the id of the last merge request it
	// has processed.
	ApplyAfterID *int64
	ApplyByID    *int64
	// Applied is how many open merge requests "Also apply" changed. Only
	// CreateExternalStatusCheck and UpdateExternalStatusCheck set it; it is not stored.
	Applied int `gorm:"-"`
	// Incomplete is why "Also apply" has not reached all merge requests; recovery
	// continues it. It is not stored.
	Incomplete error                       `gorm:"-"`
	Branches   []ExternalStatusCheckBranch `gorm:"foreignKey:ExternalStatusCheckID"`
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// ExternalStatusCheckBranch is one branch name or pattern of a service's scope, with
// the id of the protected branch that it was last chosen from.
type ExternalStatusCheckBranch struct {
	ID                    int64
	ExternalStatusCheckID int64
	ProtectedBranchID     int64
	Name                  string
	// Protected reports whether the branch is still protected. Queries set it.
	Protected bool `gorm:"-"`
}

// Timeout returns how long checks of the service may stay pending.
func (c ExternalStatusCheck) Timeout() time.Duration {
	return time.Duration(c.TimeoutSeconds) * time.Second
}

// HasSecret reports whether deliveries to the service are signed.
func (c ExternalStatusCheck) HasSecret() bool { return len(c.SealedSecret) > 0 }

// Scope returns the branch names and patterns that the service applies to. Empty means
// all branches.
func (c ExternalStatusCheck) Scope() []string {
	scope := make([]string, 0, len(c.Branches))
	for _, b := range c.Branches {
		scope = append(scope, b.Name)
	}
	return scope
}

// AppliesTo reports whether the service applies to merge requests into a target branch.
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

// ExternalStatusCheckInput creates a service.
type ExternalStatusCheckInput struct {
	Name        string
	ExternalURL string
	// ProtectedBranchIDs selects the scope; empty means all branches.
	ProtectedBranchIDs []int64
	SharedSecret       string
	// TimeoutSeconds is MinTimeout to MaxTimeout; nil means DefaultTimeout.
	TimeoutSeconds *int64
	Informational  bool
	CustomHeaders  []CustomHeaderInput
	CallbackOnly   bool
}

// ExternalStatusCheckUpdate changes a service. Nil leaves a field unchanged.
type ExternalStatusCheckUpdate struct {
	Name               *string
	ExternalURL        *string
	ProtectedBranchIDs *[]int64
	// SharedSecret can be set once. Afterwards nil, "" and the same secret change
	// nothing, and another secret is refused with CodeImmutable.
	SharedSecret   *string
	TimeoutSeconds *int64
	Informational  *bool
	// CustomHeaders replaces all custom headers. A header without a value keeps the
	// stored one, unless the URL changes (CodeGivenAgain).
	CustomHeaders *[]CustomHeaderInput
	CallbackOnly  *bool
	// Version is the Version of the service that the form showed; "" disables the check
	// for concurrent edits.
	Version string
}

// Validate normalises the input and returns its field errors: name, external_url,
// shared_secret, timeout_seconds, custom_headers.
func (in *ExternalStatusCheckInput) Validate() error {
	var f fieldErrors
	in.Name = cleanName(in.Name)
	checkName(&f, "name", in.Name)
	in.ExternalURL = checkURL(&f, "external_url", in.ExternalURL)
	checkSecret(&f, in.SharedSecret)
	checkTimeout(&f, in.TimeoutSeconds)
	checkCustomHeaders(&f, in.CustomHeaders)
	return f.err()
}

// Validate normalises the update and returns its field errors, as for
// ExternalStatusCheckInput.
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
	checkTimeout(&f, in.TimeoutSeconds)
	if in.CustomHeaders != nil {
		checkCustomHeaders(&f, *in.CustomHeaders)
	}
	return f.err()
}

// checkURL adds the errors of a URL and returns it in the form of URLAsSent, or only
// trimmed if it is invalid.
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

// checkTimeout adds an error if seconds is outside MinTimeout to MaxTimeout.
func checkTimeout(f *fieldErrors, seconds *int64) {
	shortest, longest := int64(MinTimeout.Seconds()), int64(MaxTimeout.Seconds())
	if seconds != nil && (*seconds < shortest || *seconds > longest) {
		f.add("timeout_seconds", CodeOutOfRange, "min", strconv.FormatInt(shortest, 10), "max", strconv.FormatInt(longest, 10))
	}
}

// checkCallbackOnly adds an error if a service that accepts only callbacks has a URL to
// which no callback token is sent.
func checkCallbackOnly(f *fieldErrors, service ExternalStatusCheck) {
	if service.CallbackOnly && !f.has("external_url") && !MayCarryToken(service.ExternalURL) {
		f.add("callback_only", CodeNotEncrypted)
	}
}

// serviceChanges lists the differences between two states of a service for the audit
// events. The secret appears as on or off, custom headers as their names, and the URL
// without its query string, which may contain a token.
func serviceChanges(from, to ExternalStatusCheck) []AuditChange {
	var changes []AuditChange
	addChange := func(field, a, b string, differs bool) {
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
	ifExists := func(c ExternalStatusCheck, text string) string {
		if c.ID == 0 {
			return ""
		}
		return text
	}
	hmac := func(c ExternalStatusCheck) string { return ifExists(c, formatSwitch(c.HasSecret())) }
	timeout := func(c ExternalStatusCheck) string { return ifExists(c, strconv.Itoa(c.TimeoutSeconds)) }
	informational := func(c ExternalStatusCheck) string { return ifExists(c, formatSwitch(c.Informational)) }
	addChange("name", from.Name, to.Name, from.Name != to.Name)
	addChange("external_url", DisplayURL(from.ExternalURL), DisplayURL(to.ExternalURL), !sameURL(from.ExternalURL, to.ExternalURL))
	addChange("target_branches", scope(from), scope(to), scope(from) != scope(to))
	addChange("hmac", hmac(from), hmac(to), hmac(from) != hmac(to))
	addChange("timeout_seconds", timeout(from), timeout(to), timeout(from) != timeout(to))
	headers := func(c ExternalStatusCheck) string { return cutBytes(strings.Join(c.CustomHeaderNames(), ", "), 1024) }
	addChange("custom_headers", headers(from), headers(to), !slices.Equal(from.CustomHeaders, to.CustomHeaders))
	callbackOnly := func(c ExternalStatusCheck) string { return ifExists(c, formatSwitch(c.CallbackOnly)) }
	addChange("callback_only", callbackOnly(from), callbackOnly(to), callbackOnly(from) != callbackOnly(to))
	addChange("informational", informational(from), informational(to), informational(from) != informational(to))
	return changes
}
