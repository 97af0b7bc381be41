package models

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// A version is a digest of what a form can change of a row. A form carries the
// version that it was made from, so that an edit of something that was changed
// meanwhile is refused with CodeChangedMeanwhile. It does not depend on times:
// a push or an approval outdates no form.

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
	return version(c.Name, c.ExternalURL, slices.Sorted(slices.Values(c.Scope())))
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
