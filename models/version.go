package models

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// version returns a digest of the fields that a form can change. A form contains the
// version of the row it shows, and an edit from an outdated version is refused with
// CodeChangedMeanwhile. Versions ignore timestamps, so a push or an approval does not
// invalidate an open form.
func version(fields ...any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", fields))
	return hex.EncodeToString(sum[:8])
}

// checkVersion returns a conflict if an edit was made from an outdated version, unless
// the edit changes nothing. An empty sent version is accepted.
func checkVersion(sent, current, edited string) error {
	if sent == "" || sent == current || edited == current {
		return nil
	}
	return conflict(CodeChangedMeanwhile)
}

// Version returns the version of the service's form. It does not include the secret,
// which an edit cannot overwrite.
func (c ExternalStatusCheck) Version() string {
	return version(c.Name, c.ExternalURL, slices.Sorted(slices.Values(c.Scope())), c.TimeoutSeconds, c.Informational,
		c.CustomHeaders, c.CallbackOnly)
}

// Version returns the version of the merge request's form.
func (m MergeRequest) Version() string {
	return version(m.Title, m.Description, m.TargetBranch, m.Squash, m.RemoveSourceBranch)
}

// Version returns the version of the protected branch's levels.
func (b ProtectedBranch) Version() string {
	return version(b.PushAccessLevel, b.MergeAccessLevel, b.AllowForcePush)
}

// Version returns the version of the member's role.
func (m Member) Version() string { return version(m.Role) }

// BasicsVersion returns the version of the project's description and default branch.
func (p Project) BasicsVersion() string { return version(p.Description, p.DefaultBranch) }

// IdentityVersion returns the version of the project's name, path and visibility.
func (p Project) IdentityVersion() string { return version(p.Name, p.Path, p.Visibility) }
