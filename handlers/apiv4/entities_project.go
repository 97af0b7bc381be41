package apiv4

import (
	"strings"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

type namespaceEntity struct {
	ID       int64   `json:"id"`
	Name     string  `json:"name"`
	Path     string  `json:"path"`
	Kind     string  `json:"kind"`
	FullPath string  `json:"full_path"`
	ParentID *int64  `json:"parent_id"`
	Avatar   *string `json:"avatar_url"`
	WebURL   string  `json:"web_url"`
}

type grant struct {
	AccessLevel       models.Role `json:"access_level"`
	NotificationLevel int         `json:"notification_level"`
}

type permissions struct {
	ProjectAccess *grant `json:"project_access"`
	GroupAccess   *grant `json:"group_access"`
}

// projectEntity has the attributes of GitLab that clients read. Features that
// Mergegate does not have are shown as disabled.
type projectEntity struct {
	ID                int64     `json:"id"`
	Description       string    `json:"description"`
	Name              string    `json:"name"`
	NameWithNamespace string    `json:"name_with_namespace"`
	Path              string    `json:"path"`
	PathWithNamespace string    `json:"path_with_namespace"`
	CreatedAt         timestamp `json:"created_at"`
	UpdatedAt         timestamp `json:"updated_at"`
	DefaultBranch     *string   `json:"default_branch"`

	TagList        []string        `json:"tag_list"`
	Topics         []string        `json:"topics"`
	SSHURLToRepo   string          `json:"ssh_url_to_repo"`
	HTTPURLToRepo  string          `json:"http_url_to_repo"`
	WebURL         string          `json:"web_url"`
	ReadmeURL      *string         `json:"readme_url"`
	ForksCount     int             `json:"forks_count"`
	StarCount      int             `json:"star_count"`
	AvatarURL      *string         `json:"avatar_url"`
	LastActivityAt timestamp       `json:"last_activity_at"`
	Namespace      namespaceEntity `json:"namespace"`
	Owner          *userEntity     `json:"owner,omitempty"`

	Links                 map[string]string `json:"_links"`
	EmptyRepo             bool              `json:"empty_repo"`
	Archived              bool              `json:"archived"`
	Visibility            string            `json:"visibility"`
	CreatorID             int64             `json:"creator_id"`
	ImportStatus          string            `json:"import_status"`
	OpenIssuesCount       int               `json:"open_issues_count"`
	IssuesEnabled         bool              `json:"issues_enabled"`
	MergeRequestsEnabled  bool              `json:"merge_requests_enabled"`
	WikiEnabled           bool              `json:"wiki_enabled"`
	JobsEnabled           bool              `json:"jobs_enabled"`
	SnippetsEnabled       bool              `json:"snippets_enabled"`
	LFSEnabled            bool              `json:"lfs_enabled"`
	SharedRunnersEnabled  bool              `json:"shared_runners_enabled"`
	RequestAccessEnabled  bool              `json:"request_access_enabled"`
	ContainerRegistry     bool              `json:"container_registry_enabled"`
	PackagesEnabled       bool              `json:"packages_enabled"`
	IssuesAccess          string            `json:"issues_access_level"`
	RepositoryAccess      string            `json:"repository_access_level"`
	MergeRequestsAccess   string            `json:"merge_requests_access_level"`
	ForkingAccess         string            `json:"forking_access_level"`
	WikiAccess            string            `json:"wiki_access_level"`
	BuildsAccess          string            `json:"builds_access_level"`
	SnippetsAccess        string            `json:"snippets_access_level"`
	CanCreateMergeRequest bool              `json:"can_create_merge_request_in"`
	MergeMethod           string            `json:"merge_method"`
	SquashOption          string            `json:"squash_option"`
	RemoveSourceBranch    bool              `json:"remove_source_branch_after_merge"`
	ApprovalsBeforeMerge  int               `json:"approvals_before_merge"`
	PipelineMustSucceed   bool              `json:"only_allow_merge_if_pipeline_succeeds"`
	DiscussionsResolved   bool              `json:"only_allow_merge_if_all_discussions_are_resolved"`
	StatusChecksPassed    bool              `json:"only_allow_merge_if_all_status_checks_passed"`
	SharedWithGroups      []any             `json:"shared_with_groups"`
	CustomAttributes      []any             `json:"custom_attributes"`
	Permissions           permissions       `json:"permissions"`
}

// simpleProject is a project in a list with simple=true.
type simpleProject struct {
	ID                int64           `json:"id"`
	Description       string          `json:"description"`
	Name              string          `json:"name"`
	NameWithNamespace string          `json:"name_with_namespace"`
	Path              string          `json:"path"`
	PathWithNamespace string          `json:"path_with_namespace"`
	CreatedAt         timestamp       `json:"created_at"`
	DefaultBranch     *string         `json:"default_branch"`
	TagList           []string        `json:"tag_list"`
	Topics            []string        `json:"topics"`
	SSHURLToRepo      string          `json:"ssh_url_to_repo"`
	HTTPURLToRepo     string          `json:"http_url_to_repo"`
	WebURL            string          `json:"web_url"`
	ReadmeURL         *string         `json:"readme_url"`
	ForksCount        int             `json:"forks_count"`
	StarCount         int             `json:"star_count"`
	AvatarURL         *string         `json:"avatar_url"`
	LastActivityAt    timestamp       `json:"last_activity_at"`
	Namespace         namespaceEntity `json:"namespace"`
}

func newSimpleProject(p projectEntity) simpleProject {
	return simpleProject{
		ID: p.ID, Description: p.Description, Name: p.Name, NameWithNamespace: p.NameWithNamespace, Path: p.Path,
		PathWithNamespace: p.PathWithNamespace, CreatedAt: p.CreatedAt, DefaultBranch: p.DefaultBranch,
		TagList: p.TagList, Topics: p.Topics, SSHURLToRepo: p.SSHURLToRepo, HTTPURLToRepo: p.HTTPURLToRepo,
		WebURL: p.WebURL, ReadmeURL: p.ReadmeURL, ForksCount: p.ForksCount, StarCount: p.StarCount,
		AvatarURL: p.AvatarURL, LastActivityAt: p.LastActivityAt, Namespace: p.Namespace,
	}
}

// project returns the entity of a project for a user with the given access.
// empty means that the repository has no commits yet.
func (c *call) project(access models.Access, empty bool) projectEntity {
	p := access.Project
	apiURL := c.api.url("/api/v4/projects/" + itoa(p.ID))
	webURL := c.api.url("/" + p.FullPath())
	entity := projectEntity{
		ID: p.ID, Description: p.Description, Name: p.Name, NameWithNamespace: p.Namespace.Path + " / " + p.Name,
		Path: p.Path, PathWithNamespace: p.FullPath(), CreatedAt: timestamp(p.CreatedAt), UpdatedAt: timestamp(p.UpdatedAt),
		TagList: []string{}, Topics: []string{}, HTTPURLToRepo: webURL + ".git", WebURL: webURL,
		LastActivityAt: timestamp(p.LastActivityAt), Namespace: c.api.namespace(p.Namespace),
		Links: map[string]string{
			"self": apiURL, "merge_requests": apiURL + "/merge_requests", "repo_branches": apiURL + "/repository/branches",
			"members": apiURL + "/members",
		},
		EmptyRepo: empty, Visibility: p.Visibility.String(), ImportStatus: "none", MergeRequestsEnabled: true,
		IssuesAccess: "disabled", RepositoryAccess: "enabled", MergeRequestsAccess: "enabled", ForkingAccess: "disabled",
		WikiAccess: "disabled", BuildsAccess: "disabled", SnippetsAccess: "disabled",
		CanCreateMergeRequest: auth.Can(auth.SubjectOf(access), auth.CreateMergeRequest),
		MergeMethod:           "merge", SquashOption: "default_off",
		StatusChecksPassed: p.OnlyAllowMergeIfAllStatusChecksPassed,
		SharedWithGroups:   []any{}, CustomAttributes: []any{},
	}
	if p.CreatorID != nil {
		entity.CreatorID = *p.CreatorID
	}
	if !empty {
		entity.DefaultBranch = &p.DefaultBranch
	}
	if access.Role != models.RoleNone {
		entity.Permissions.ProjectAccess = &grant{AccessLevel: access.Role, NotificationLevel: 3}
	}
	return entity
}

func (a *api) namespace(n models.Namespace) namespaceEntity {
	kind, web := "group", a.url("/"+n.Path)
	if n.UserID != nil {
		kind = "user"
	}
	return namespaceEntity{ID: n.ID, Name: n.Path, Path: n.Path, Kind: kind, FullPath: n.Path, WebURL: web}
}

// splitPath splits namespace/name. ok is false if there is not exactly one slash.
func splitPath(full string) (namespace, name string, ok bool) {
	namespace, name, ok = strings.Cut(full, "/")
	return namespace, name, ok && !strings.Contains(name, "/")
}
