package servicecheck

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/mergegate/mergegate/models"
)

// Ids of the imaginary project. They differ from each other, so that a service
// that mixes them up is noticed.
const (
	projectID        = 4201
	serviceID        = 77
	mergeRequestBase = 9000 // the id of a merge request is this plus its iid
)

// sha returns the id of an imaginary commit.
func sha(name string) string {
	sum := sha1.Sum([]byte("mergegate check-service: " + name))
	return hex.EncodeToString(sum[:])
}

// event returns an event of the merge request iid at the commit head.
func event(url string, iid int64, head string, action models.Action, at time.Time) models.Event {
	author := models.User{ID: 4, Username: "ines", Name: "Inès Park"}
	created := at.Add(-time.Hour)
	return models.Event{
		Action: action, At: at, User: author,
		Project: models.Project{
			ID: projectID, Namespace: models.Namespace{ID: 2, Path: "check-service"}, Name: "Sample", Path: "sample",
			Visibility: models.VisibilityPrivate, DefaultBranch: "main",
		},
		MergeRequest: models.MergeRequest{
			ID: mergeRequestBase + iid, ProjectID: projectID, IID: iid, Title: "Größe & <tags> “quoted” 日本語",
			Description: "Line 1\n\n- a *list* with \"quotes\", \\ and \u2028 separators 🍐",
			AuthorID:    &author.ID, Author: &author, State: models.StateOpened,
			SourceBranch: "feature/größe", TargetBranch: "main",
			HeadSHA: head, HeadMessage: "Add sizes\n\nBody.\n", HeadAuthorName: author.Name, HeadAuthorEmail: "ines@example.com",
			HeadCommittedAt: created, CreatedAt: created, UpdatedAt: at,
		},
		Service:     models.EventService{ID: serviceID, Name: "check-service", URL: url},
		MergeStatus: "status_checks_must_pass",
	}
}

// edited returns the event of an edited title.
func edited(e models.Event) models.Event {
	at := e.At
	e.MergeRequest.Title, e.MergeRequest.LastEditedAt = "Draft: Sizes", &at
	e.MergeRequest.Draft, e.MergeStatus = true, "draft_status"
	e.Changes = []models.Change{
		{Field: "title", Previous: "Sizes", Current: "Draft: Sizes"},
		{Field: "draft", Previous: false, Current: true},
		{Field: "updated_at", Previous: e.MergeRequest.CreatedAt, Current: at},
	}
	return e
}

// ended returns the event of a closed or merged merge request.
func ended(e models.Event, state models.MergeRequestState) models.Event {
	at := e.At
	e.MergeRequest.State, e.MergeStatus = state, "not_open"
	e.Changes = []models.Change{{Field: "state_id", Previous: models.StateOpened.StateID(), Current: state.StateID()}}
	if state == models.StateMerged {
		e.MergeRequest.MergedAt, e.MergeRequest.MergeUserID, e.MergeRequest.MergeCommitSHA = &at, &e.User.ID, sha("merge")
	} else {
		e.MergeRequest.ClosedAt = &at
	}
	return e
}

// sample returns the test event of a project without merge requests.
func sample(e models.Event) models.Event {
	e.Test = true
	e.MergeRequest.ID, e.MergeRequest.IID, e.MergeRequest.HeadSHA = 0, 0, strings.Repeat("0", 40)
	return e
}

// withUnknownFields adds fields to a payload that no version of Mergegate sends
// yet.
func withUnknownFields(payload []byte) ([]byte, error) {
	var body map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(payload)))
	decoder.UseNumber()
	if err := decoder.Decode(&body); err != nil {
		return nil, err
	}
	body["future"] = map[string]any{"list": []any{1, "two", nil}}
	if attributes, ok := body["object_attributes"].(map[string]any); ok {
		attributes["future"] = nil
	}
	return json.Marshal(body)
}
