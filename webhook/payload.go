package webhook

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/mergegate/mergegate/models"
)

// hookTime is the format of times in GitLab's hooks.
const hookTime = "2006-01-02 15:04:05 UTC"

// redacted replaces users' e-mail addresses, which are never sent.
const redacted = "[REDACTED]"

// The structs below are GitLab's merge request hook, with its fields in its
// order. Fields that Mergegate does not have are sent empty, because receivers
// written for GitLab may read them.

type payload struct {
	ObjectKind           string           `json:"object_kind"`
	EventType            string           `json:"event_type"`
	User                 hookUser         `json:"user"`
	Project              hookProject      `json:"project"`
	ObjectAttributes     hookMergeRequest `json:"object_attributes"`
	Labels               []any            `json:"labels"`
	Changes              hookChanges      `json:"changes"`
	Repository           hookRepository   `json:"repository"`
	Assignees            []any            `json:"assignees"`
	Reviewers            []any            `json:"reviewers"`
	ExternalApprovalRule hookService      `json:"external_approval_rule"`
	Mergegate            *hookMergegate   `json:"mergegate,omitempty"`
}

type hookUser struct {
	ID        int64   `json:"id"`
	Name      string  `json:"name"`
	Username  string  `json:"username"`
	AvatarURL *string `json:"avatar_url"`
	Email     string  `json:"email"`
}

type hookProject struct {
	ID                int64             `json:"id"`
	Name              string            `json:"name"`
	Description       string            `json:"description"`
	WebURL            string            `json:"web_url"`
	AvatarURL         *string           `json:"avatar_url"`
	GitSSHURL         string            `json:"git_ssh_url"`
	GitHTTPURL        string            `json:"git_http_url"`
	Namespace         string            `json:"namespace"`
	VisibilityLevel   models.Visibility `json:"visibility_level"`
	PathWithNamespace string            `json:"path_with_namespace"`
	DefaultBranch     string            `json:"default_branch"`
	CIConfigPath      *string           `json:"ci_config_path"`
	Homepage          string            `json:"homepage"`
	URL               string            `json:"url"`
	SSHURL            string            `json:"ssh_url"`
	HTTPURL           string            `json:"http_url"`
}

type hookMergeRequest struct {
	ID                          int64             `json:"id"`
	IID                         int64             `json:"iid"`
	Title                       string            `json:"title"`
	Description                 string            `json:"description"`
	State                       string            `json:"state"`
	StateID                     int               `json:"state_id"`
	Action                      models.Action     `json:"action,omitempty"`
	OldRev                      string            `json:"oldrev,omitempty"`
	SourceBranch                string            `json:"source_branch"`
	TargetBranch                string            `json:"target_branch"`
	SourceProjectID             int64             `json:"source_project_id"`
	TargetProjectID             int64             `json:"target_project_id"`
	AuthorID                    *int64            `json:"author_id"`
	AssigneeID                  *int64            `json:"assignee_id"`
	AssigneeIDs                 []int64           `json:"assignee_ids"`
	ReviewerIDs                 []int64           `json:"reviewer_ids"`
	Labels                      []any             `json:"labels"`
	MilestoneID                 *int64            `json:"milestone_id"`
	CreatedAt                   *string           `json:"created_at"`
	UpdatedAt                   *string           `json:"updated_at"`
	PreparedAt                  *string           `json:"prepared_at"`
	LastEditedAt                *string           `json:"last_edited_at"`
	LastEditedByID              *int64            `json:"last_edited_by_id"`
	UpdatedByID                 *int64            `json:"updated_by_id"`
	MergeStatus                 string            `json:"merge_status"`
	DetailedMergeStatus         string            `json:"detailed_merge_status"`
	MergeError                  *string           `json:"merge_error"`
	MergeParams                 map[string]string `json:"merge_params"`
	MergeWhenPipelineSucceeds   bool              `json:"merge_when_pipeline_succeeds"`
	MergeUserID                 *int64            `json:"merge_user_id"`
	MergeCommitSHA              *string           `json:"merge_commit_sha"`
	HeadPipelineID              *int64            `json:"head_pipeline_id"`
	WorkInProgress              bool              `json:"work_in_progress"`
	Draft                       bool              `json:"draft"`
	FirstContribution           bool              `json:"first_contribution"`
	BlockingDiscussionsResolved bool              `json:"blocking_discussions_resolved"`
	TimeEstimate                int               `json:"time_estimate"`
	TotalTimeSpent              int               `json:"total_time_spent"`
	TimeChange                  int               `json:"time_change"`
	HumanTotalTimeSpent         *string           `json:"human_total_time_spent"`
	HumanTimeChange             *string           `json:"human_time_change"`
	HumanTimeEstimate           *string           `json:"human_time_estimate"`
	URL                         string            `json:"url"`
	Source                      hookProject       `json:"source"`
	Target                      hookProject       `json:"target"`
	LastCommit                  hookCommit        `json:"last_commit"`
}

type hookCommit struct {
	ID        string     `json:"id"`
	Message   string     `json:"message"`
	Title     string     `json:"title"`
	Timestamp string     `json:"timestamp"`
	URL       string     `json:"url"`
	Author    hookAuthor `json:"author"`
}

type hookAuthor struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

type hookRepository struct {
	Name        string `json:"name"`
	URL         string `json:"url"`
	Description string `json:"description"`
	Homepage    string `json:"homepage"`
}

type hookService struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	ExternalURL string `json:"external_url"`
}

// hookMergegate holds the fields that Mergegate adds to GitLab's payload.
type hookMergegate struct {
	Test bool `json:"test,omitempty"`
	// Truncated names the fields whose text was cut.
	Truncated []string `json:"truncated,omitempty"`
}

type hookChange struct {
	Previous any `json:"previous"`
	Current  any `json:"current"`
}

type hookChanges map[string]hookChange

// Payload returns a function that renders an event as the body of its
// deliveries. baseURL is the address of the installation. The body is JSON of at
// most MaxPayload bytes; the same event always renders as the same bytes.
func Payload(baseURL string) func(models.Event) ([]byte, error) {
	base := strings.TrimRight(baseURL, "/")
	return func(e models.Event) ([]byte, error) { return encodeWithin(render(base, e)) }
}

// render returns the payload of an event.
func render(base string, e models.Event) *payload {
	project := renderProject(base, e.Project)
	p := &payload{
		ObjectKind:       "merge_request",
		EventType:        "merge_request",
		User:             hookUser{ID: e.User.ID, Name: e.User.Name, Username: e.User.Username, Email: redacted},
		Project:          project,
		ObjectAttributes: renderMergeRequest(project, e),
		Labels:           []any{},
		Changes:          renderChanges(e.Changes),
		Repository: hookRepository{
			Name: project.Name, URL: project.URL, Description: project.Description, Homepage: project.Homepage,
		},
		Assignees:            []any{},
		Reviewers:            []any{},
		ExternalApprovalRule: hookService{ID: e.Service.ID, Name: e.Service.Name, ExternalURL: e.Service.URL},
	}
	if e.Test {
		p.Mergegate = &hookMergegate{Test: true}
	}
	return p
}

// renderProject returns the payload of a project. Mergegate has no SSH: GitLab's
// SSH fields are empty, and url, an SSH address in GitLab, is the HTTP address.
func renderProject(base string, p models.Project) hookProject {
	web := base + "/" + p.FullPath()
	return hookProject{
		ID: p.ID, Name: p.Name, Description: p.Description, WebURL: web, GitHTTPURL: web + ".git",
		Namespace: p.Namespace.Path, VisibilityLevel: p.Visibility, PathWithNamespace: p.FullPath(), DefaultBranch: p.DefaultBranch,
		Homepage: web, URL: web + ".git", HTTPURL: web + ".git",
	}
}

func renderMergeRequest(project hookProject, e models.Event) hookMergeRequest {
	mr := e.MergeRequest
	head := mr.Head()
	removeSource := "0"
	if mr.RemoveSourceBranch {
		removeSource = "1"
	}
	// The deprecated merge_status has no value for the other states.
	mergeStatus := "unchecked"
	if mr.State == models.StateMerged {
		mergeStatus = "can_be_merged"
	}
	return hookMergeRequest{
		ID: mr.ID, IID: mr.IID, Title: mr.Title, Description: mr.Description,
		State: string(mr.State), StateID: mr.State.StateID(), Action: e.Action, OldRev: e.OldRev,
		SourceBranch: mr.SourceBranch, TargetBranch: mr.TargetBranch, SourceProjectID: e.Project.ID, TargetProjectID: e.Project.ID,
		AuthorID: mr.AuthorID, AssigneeIDs: []int64{}, ReviewerIDs: []int64{}, Labels: []any{},
		CreatedAt: formatTime(&mr.CreatedAt), UpdatedAt: formatTime(&mr.UpdatedAt), PreparedAt: formatTime(&mr.CreatedAt),
		LastEditedAt: formatTime(mr.LastEditedAt), LastEditedByID: mr.LastEditedByID, UpdatedByID: mr.UpdatedByID,
		MergeStatus: mergeStatus, DetailedMergeStatus: e.MergeStatus,
		MergeParams:               map[string]string{"force_remove_source_branch": removeSource},
		MergeWhenPipelineSucceeds: mr.HasAutoMerge(), MergeUserID: mergeUserID(mr), MergeCommitSHA: orNull(mr.MergeCommitSHA),
		WorkInProgress: mr.Draft, Draft: mr.Draft, BlockingDiscussionsResolved: true,
		URL:    project.WebURL + "/-/merge_requests/" + strconv.FormatInt(mr.IID, 10),
		Source: project, Target: project,
		LastCommit: hookCommit{
			ID: head.SHA, Message: head.Message, Title: head.Title(),
			Timestamp: head.CommittedAt.UTC().Format("2006-01-02T15:04:05-07:00"),
			URL:       project.WebURL + "/-/commit/" + head.SHA,
			Author:    hookAuthor{Name: head.AuthorName, Email: head.AuthorEmail},
		},
	}
}

// renderChanges returns the changes of an edit, {} for none.
func renderChanges(changes []models.Change) hookChanges {
	all := hookChanges{}
	for _, c := range changes {
		all[c.Field] = hookChange{Previous: changeValue(c.Previous), Current: changeValue(c.Current)}
	}
	return all
}

// changeValue formats times and returns other values unchanged.
func changeValue(value any) any {
	switch v := value.(type) {
	case time.Time:
		return formatTime(&v)
	case *time.Time:
		return formatTime(v)
	}
	return value
}

// formatTime formats a time for a hook. It returns nil for nil and the zero time.
func formatTime(t *time.Time) *string {
	if t == nil || t.IsZero() {
		return nil
	}
	text := t.UTC().Format(hookTime)
	return &text
}

// orNull returns nil for an empty text.
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// encode returns JSON without escapes for HTML. encoding/json replaces invalid
// UTF-8 by U+FFFD, so the result is always valid.
func encode(p *payload) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(p); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

// mergeUserID returns who merged or who set auto-merge, nil for nobody.
func mergeUserID(mr models.MergeRequest) *int64 {
	if mr.HasAutoMerge() {
		return mr.AutoMergeUserID
	}
	return mr.MergeUserID
}
