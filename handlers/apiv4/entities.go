package apiv4

import (
	"strings"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
)

// timestamp is a time in GitLab's format: RFC 3339 with milliseconds, in UTC.
type timestamp time.Time

// MarshalJSON returns the time as a JSON string.
func (s timestamp) MarshalJSON() ([]byte, error) {
	return []byte(time.Time(s).UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

func timestampOrNull(t *time.Time) *timestamp {
	if t == nil {
		return nil
	}
	s := timestamp(*t)
	return &s
}

// formatDate returns the date in UTC, such as 2026-01-31.
func formatDate(t time.Time) string { return t.UTC().Format(time.DateOnly) }

type userEntity struct {
	ID        int64   `json:"id"`
	Username  string  `json:"username"`
	Name      string  `json:"name"`
	State     string  `json:"state"`
	Locked    bool    `json:"locked"`
	AvatarURL *string `json:"avatar_url"`
	WebURL    string  `json:"web_url"`
}

func (a *api) user(u models.User) userEntity {
	state := "active"
	if u.Blocked {
		state = "blocked"
	}
	return userEntity{ID: u.ID, Username: u.Username, Name: u.Name, State: state, WebURL: a.url("/" + u.Username)}
}

// userOrNull returns nil for a deleted user.
func (a *api) userOrNull(u *models.User) *userEntity {
	if u == nil {
		return nil
	}
	entity := a.user(*u)
	return &entity
}

// profile is a single user. Attributes that Mergegate does not have are empty, as
// in GitLab for a user who has not set them.
type profile struct {
	userEntity
	CreatedAt       timestamp `json:"created_at"`
	Bot             bool      `json:"bot"`
	Bio             string    `json:"bio"`
	Location        string    `json:"location"`
	PublicEmail     string    `json:"public_email"`
	LinkedIn        string    `json:"linkedin"`
	Twitter         string    `json:"twitter"`
	Discord         string    `json:"discord"`
	GitHub          string    `json:"github"`
	WebsiteURL      string    `json:"website_url"`
	Organization    string    `json:"organization"`
	JobTitle        string    `json:"job_title"`
	Pronouns        *string   `json:"pronouns"`
	WorkInformation *string   `json:"work_information"`
	LocalTime       *string   `json:"local_time"`
	Followers       int       `json:"followers"`
	Following       int       `json:"following"`
	IsFollowed      bool      `json:"is_followed"`
}

func (a *api) profile(u models.User) profile {
	return profile{userEntity: a.user(u), CreatedAt: timestamp(u.CreatedAt), Bot: u.Bot}
}

// currentUser is the owner of the token, with attributes that only they may see.
type currentUser struct {
	profile
	Email             string     `json:"email"`
	CommitEmail       string     `json:"commit_email"`
	External          bool       `json:"external"`
	PrivateProfile    bool       `json:"private_profile"`
	TwoFactorEnabled  bool       `json:"two_factor_enabled"`
	CanCreateGroup    bool       `json:"can_create_group"`
	CanCreateProject  bool       `json:"can_create_project"`
	ProjectsLimit     int        `json:"projects_limit"`
	NamespaceID       *int64     `json:"namespace_id"`
	ThemeID           int        `json:"theme_id"`
	ColorSchemeID     int        `json:"color_scheme_id"`
	PreferredLanguage *string    `json:"preferred_language"`
	ConfirmedAt       timestamp  `json:"confirmed_at"`
	LastSignInAt      *timestamp `json:"last_sign_in_at"`
	CurrentSignInAt   *timestamp `json:"current_sign_in_at"`
	LastActivityOn    *string    `json:"last_activity_on"`
	Identities        []any      `json:"identities"`
	IsAdmin           *bool      `json:"is_admin,omitempty"`
}

// currentUser returns the entity of the token's owner. own is their namespace, nil
// for bots.
func (a *api) currentUser(u models.User, own *models.Namespace) currentUser {
	entity := currentUser{
		profile: a.profile(u), Email: u.Email, CommitEmail: u.Email,
		CanCreateProject: !u.Bot, ProjectsLimit: 100000, ThemeID: 1, ColorSchemeID: 1, PreferredLanguage: textOrNull(u.Language),
		ConfirmedAt: timestamp(u.CreatedAt), Identities: []any{},
	}
	if own != nil {
		entity.NamespaceID = &own.ID
	}
	if u.Admin {
		entity.IsAdmin = &u.Admin
	}
	return entity
}

type memberEntity struct {
	userEntity
	AccessLevel models.Role `json:"access_level"`
	CreatedAt   timestamp   `json:"created_at"`
	CreatedBy   *userEntity `json:"created_by"`
	ExpiresAt   *string     `json:"expires_at"`
}

func (a *api) member(m models.Member) memberEntity {
	return memberEntity{
		userEntity: a.user(m.User), AccessLevel: m.Role,
		CreatedAt: timestamp(m.CreatedAt), CreatedBy: a.userOrNull(m.CreatedBy),
	}
}

// serviceBranch is a protected branch in a service's scope. It has the attributes
// that GitLab documents and those that it really returns.
type serviceBranch struct {
	ID                        int64               `json:"id"`
	ProjectID                 int64               `json:"project_id"`
	Name                      string              `json:"name"`
	CreatedAt                 *timestamp          `json:"created_at"`
	UpdatedAt                 *timestamp          `json:"updated_at"`
	CodeOwnerApprovalRequired bool                `json:"code_owner_approval_required"`
	AllowForcePush            bool                `json:"allow_force_push"`
	PushAccessLevels          []accessLevelEntity `json:"push_access_levels"`
	MergeAccessLevels         []accessLevelEntity `json:"merge_access_levels"`
	UnprotectAccessLevels     []accessLevelEntity `json:"unprotect_access_levels"`
}

type serviceEntity struct {
	ID                int64           `json:"id"`
	Name              string          `json:"name"`
	ProjectID         int64           `json:"project_id"`
	ExternalURL       string          `json:"external_url"`
	HMAC              bool            `json:"hmac"`
	ProtectedBranches []serviceBranch `json:"protected_branches"`
	TimeoutSeconds    int             `json:"timeout_seconds"`
	Informational     bool            `json:"informational"`
	CustomHeaders     []headerEntity  `json:"custom_headers"`
	CallbackOnly      bool            `json:"callback_only"`
	// Incomplete names the parameters that are not fully applied yet.
	Incomplete []string `json:"incomplete,omitempty"`
}

// headerEntity is a custom header of a service. Its value is never shown.
type headerEntity struct {
	Key string `json:"key"`
}

// newServiceEntity returns the entity of a service. protected are the project's
// protected branches. A branch of the scope that is no longer protected is shown
// with its last id and empty attributes.
func newServiceEntity(s models.ExternalStatusCheck, protected []models.ProtectedBranch) serviceEntity {
	entity := serviceEntity{
		ID: s.ID, Name: s.Name, ProjectID: s.ProjectID, ExternalURL: s.ExternalURL, HMAC: s.HasSecret(),
		ProtectedBranches: []serviceBranch{}, TimeoutSeconds: s.TimeoutSeconds, Informational: s.Informational,
		CustomHeaders: mapSlice(s.CustomHeaderNames(), func(name string) headerEntity { return headerEntity{name} }),
		CallbackOnly:  s.CallbackOnly,
	}
	for _, b := range s.Branches {
		scope := serviceBranch{
			ID: b.ProtectedBranchID, ProjectID: s.ProjectID, Name: b.Name,
			PushAccessLevels: []accessLevelEntity{}, MergeAccessLevels: []accessLevelEntity{}, UnprotectAccessLevels: []accessLevelEntity{},
		}
		for _, p := range protected {
			if p.Name == b.Name {
				scope.ID = p.ID
				scope.CreatedAt, scope.UpdatedAt = timestampOrNull(&p.CreatedAt), timestampOrNull(&p.UpdatedAt)
				scope.AllowForcePush = p.AllowForcePush
				scope.PushAccessLevels = newAccessLevels(p.ID, p.PushAccessLevel)
				scope.MergeAccessLevels = newAccessLevels(p.ID, p.MergeAccessLevel)
			}
		}
		entity.ProtectedBranches = append(entity.ProtectedBranches, scope)
	}
	return entity
}

// checkEntity is a status check of a merge request.
type checkEntity struct {
	ID          int64         `json:"id"`
	Name        string        `json:"name"`
	ExternalURL string        `json:"external_url"`
	Status      models.Status `json:"status"`
	SHA         string        `json:"sha"`
	Description *string       `json:"description"`
	TargetURL   *string       `json:"target_url"`
	// TimeoutSeconds and Informational are those of the merge request's copy.
	TimeoutSeconds int  `json:"timeout_seconds"`
	Informational  bool `json:"informational"`
}

// check returns the entity of a status check. It hides the service's URL, or the
// private parts of it, according to the user's rights.
func (c *call) check(check models.MergeRequestCheck, now time.Time) checkEntity {
	return checkEntity{
		ID: check.ExternalStatusCheckID, Name: check.Name, ExternalURL: c.serviceURL(check.ExternalURL),
		Status: check.StatusAt(now), SHA: check.SHA,
		Description: textOrNull(check.Description), TargetURL: textOrNull(check.TargetURL),
		TimeoutSeconds: check.TimeoutSeconds, Informational: check.Informational,
	}
}

func (c *call) serviceURL(address string) string {
	if !c.can(auth.ReadServiceURL) {
		return ""
	}
	return models.DisplayURL(address)
}

func textOrNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

type accessLevelEntity struct {
	ID                     int64       `json:"id"`
	AccessLevel            models.Role `json:"access_level"`
	AccessLevelDescription string      `json:"access_level_description"`
	UserID                 *int64      `json:"user_id"`
	GroupID                *int64      `json:"group_id"`
	DeployKeyID            *int64      `json:"deploy_key_id"`
}

// newAccessLevels returns the list with the one access level that a protected branch
// has for an action.
func newAccessLevels(id int64, role models.Role) []accessLevelEntity {
	descriptions := map[models.Role]string{
		models.RoleNone: "No one", models.RoleDeveloper: "Developers + Maintainers", models.RoleMaintainer: "Maintainers",
	}
	return []accessLevelEntity{{ID: id, AccessLevel: role, AccessLevelDescription: descriptions[role]}}
}

type protectedBranchEntity struct {
	ID                        int64               `json:"id"`
	Name                      string              `json:"name"`
	PushAccessLevels          []accessLevelEntity `json:"push_access_levels"`
	MergeAccessLevels         []accessLevelEntity `json:"merge_access_levels"`
	UnprotectAccessLevels     []accessLevelEntity `json:"unprotect_access_levels"`
	AllowForcePush            bool                `json:"allow_force_push"`
	CodeOwnerApprovalRequired bool                `json:"code_owner_approval_required"`
	Inherited                 bool                `json:"inherited"`
}

func newProtectedBranchEntity(b models.ProtectedBranch) protectedBranchEntity {
	return protectedBranchEntity{
		ID: b.ID, Name: b.Name, AllowForcePush: b.AllowForcePush,
		PushAccessLevels: newAccessLevels(b.ID, b.PushAccessLevel), MergeAccessLevels: newAccessLevels(b.ID, b.MergeAccessLevel),
		UnprotectAccessLevels: newAccessLevels(b.ID, models.RoleMaintainer),
	}
}

type tokenEntity struct {
	ID          int64        `json:"id"`
	Name        string       `json:"name"`
	Description *string      `json:"description"`
	Revoked     bool         `json:"revoked"`
	CreatedAt   timestamp    `json:"created_at"`
	Scopes      []string     `json:"scopes"`
	UserID      int64        `json:"user_id"`
	LastUsedAt  *timestamp   `json:"last_used_at"`
	Active      bool         `json:"active"`
	ExpiresAt   string       `json:"expires_at"`
	AccessLevel *models.Role `json:"access_level,omitempty"`
	// Token is the secret, only set in the answer that created the token.
	Token string `json:"token,omitempty"`
}

func newTokenEntity(t models.AccessToken, now time.Time) tokenEntity {
	return tokenEntity{
		ID: t.ID, Name: t.Name, Revoked: t.RevokedAt != nil, CreatedAt: timestamp(t.CreatedAt), Scopes: t.Scopes,
		UserID: t.UserID, LastUsedAt: timestampOrNull(t.LastUsedAt), Active: t.ActiveAt(now), ExpiresAt: formatDate(t.ExpiresAt),
	}
}

type commitEntity struct {
	ID             string            `json:"id"`
	ShortID        string            `json:"short_id"`
	CreatedAt      timestamp         `json:"created_at"`
	ParentIDs      []string          `json:"parent_ids"`
	Title          string            `json:"title"`
	Message        string            `json:"message"`
	AuthorName     string            `json:"author_name"`
	AuthorEmail    string            `json:"author_email"`
	AuthoredDate   timestamp         `json:"authored_date"`
	CommitterName  string            `json:"committer_name"`
	CommitterEmail string            `json:"committer_email"`
	CommittedDate  timestamp         `json:"committed_date"`
	Trailers       map[string]string `json:"trailers"`
	WebURL         string            `json:"web_url"`
}

func (c *call) commit(commit gitrepo.Commit) commitEntity {
	parents := commit.ParentSHAs
	if parents == nil {
		parents = []string{}
	}
	return commitEntity{
		ID: commit.SHA, ShortID: short(commit.SHA), CreatedAt: timestamp(commit.CommittedAt), ParentIDs: parents,
		Title: commit.Title, Message: commit.Message, AuthorName: commit.AuthorName, AuthorEmail: commit.AuthorEmail,
		AuthoredDate: timestamp(commit.AuthoredAt), CommitterName: commit.CommitterName, CommitterEmail: commit.CommitterEmail,
		CommittedDate: timestamp(commit.CommittedAt), Trailers: map[string]string{},
		WebURL: c.projectURL("/-/commit/" + commit.SHA),
	}
}

func short(sha string) string { return sha[:min(8, len(sha))] }

type diffEntity struct {
	Diff          string `json:"diff"`
	NewPath       string `json:"new_path"`
	OldPath       string `json:"old_path"`
	AMode         string `json:"a_mode"`
	BMode         string `json:"b_mode"`
	NewFile       bool   `json:"new_file"`
	RenamedFile   bool   `json:"renamed_file"`
	DeletedFile   bool   `json:"deleted_file"`
	GeneratedFile bool   `json:"generated_file"`
	Collapsed     bool   `json:"collapsed"`
	TooLarge      bool   `json:"too_large"`
}

func newDiffEntities(d gitrepo.Diff) []diffEntity {
	entities := make([]diffEntity, 0, len(d.Files))
	for _, f := range d.Files {
		hunks := f.Patch
		if hunks != "" && !strings.HasSuffix(hunks, "\n") {
			hunks += "\n"
		}
		entities = append(entities, diffEntity{
			Diff: hunks, NewPath: f.NewPath, OldPath: f.OldPath, AMode: f.OldMode, BMode: f.NewMode,
			NewFile: f.Status == gitrepo.FileAdded, RenamedFile: f.Status == gitrepo.FileRenamed,
			DeletedFile: f.Status == gitrepo.FileDeleted, TooLarge: f.TooLarge || f.Truncated,
		})
	}
	return entities
}
