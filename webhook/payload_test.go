package webhook

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/mergegate/mergegate/models"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	created = time.Date(2026, 1, 31, 9, 15, 0, 123456000, time.UTC)
	edited  = created.Add(47 * time.Minute)
)

const (
	headSHA = "9f8e7d6c5b4a39281706f5e4d3c2b1a0ffeeddcc"
	oldSHA  = "0a11c4d0f0e1b2c3d4e5f60718293a4b5c6d7e8f"
)

// event returns an event with every field set that does not depend on the action.
func event(action models.Action) models.Event {
	author := models.User{ID: 4, Username: "ines", Name: "Ines Park", Email: "ines@orchard.test"}
	return models.Event{
		UUID: "7a3d", Action: action, At: edited, User: models.User{ID: 7, Username: "omar", Name: "Omar <O>", Email: "omar@orchard.test"},
		Project: models.Project{
			ID: 9, Namespace: models.Namespace{ID: 2, Path: "fruit"}, Name: "Pear", Path: "pear", Description: "A tree & its fruit",
			Visibility: models.VisibilityInternal, DefaultBranch: "main",
		},
		MergeRequest: models.MergeRequest{
			ID: 812, ProjectID: 9, IID: 17, Title: "Trim cache", Description: "Removes what is **old**.", SourceBranch: "trim/old",
			TargetBranch: "main", AuthorID: models.ID(4), Author: &author, State: models.StateOpened, HeadSHA: headSHA,
			HeadMessage: "Trim cache\n\nIt grew.\n", HeadAuthorName: "Ines Park", HeadAuthorEmail: "ines@orchard.test",
			HeadCommittedAt: created.In(time.FixedZone("", 3600)), RemoveSourceBranch: true, CreatedAt: created, UpdatedAt: edited,
		},
		Service:     models.EventService{ID: 31, Name: "Licence desk", URL: "https://ann:pass@checks.orchard.test/mr?team=a&key=b"},
		MergeStatus: "status_checks_must_pass",
	}
}

// events returns one event of each kind by the name of its golden file.
func events() map[string]models.Event {
	edit := event(models.ActionUpdate)
	edit.MergeRequest.Draft, edit.MergeRequest.Title = true, "Draft: Trim cache"
	edit.MergeRequest.LastEditedAt, edit.MergeRequest.LastEditedByID, edit.MergeRequest.UpdatedByID = &edited, models.ID(7), models.ID(7)
	edit.MergeStatus = "draft_status"
	edit.Changes = []models.Change{
		{Field: "title", Previous: "Trim cache", Current: "Draft: Trim cache"},
		{Field: "draft", Previous: false, Current: true},
		{Field: "updated_at", Previous: created, Current: edited},
		{Field: "last_edited_at", Previous: nil, Current: edited},
		{Field: "last_edited_by_id", Previous: nil, Current: int64(7)},
	}
	push := event(models.ActionUpdate)
	push.OldRev = oldSHA
	closed := event(models.ActionClose)
	closed.MergeRequest.State, closed.MergeRequest.ClosedAt = models.StateClosed, &edited
	closed.MergeStatus = "not_open"
	closed.Changes = []models.Change{{Field: "state_id", Previous: 1, Current: 2}}
	merged := event(models.ActionMerged)
	merged.MergeRequest.State, merged.MergeRequest.MergedAt = models.StateMerged, &edited
	merged.MergeRequest.MergeUserID, merged.MergeRequest.MergeCommitSHA = models.ID(7), oldSHA
	merged.MergeStatus = "not_open"
	merged.Changes = []models.Change{{Field: "state_id", Previous: 1, Current: 3}}
	test := event(models.ActionNone)
	test.Test = true
	return map[string]models.Event{
		"open": event(models.ActionOpen), "edit": edit, "push": push, "close": closed, "reopen": event(models.ActionReopen),
		"approved": event(models.ActionApproved), "unapproved": event(models.ActionUnapproved), "merge": merged,
		"retry": event(models.ActionNone), "test": test,
	}
}

// renderEvent renders an event and fails the test on an error.
func renderEvent(t *testing.T, e models.Event) []byte {
	t.Helper()
	body, err := Payload("https://git.orchard.test/")(e)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestPayload_MatchesGoldenFiles(t *testing.T) {
	for name, e := range events() {
		t.Run(name, func(t *testing.T) {
			body := renderEvent(t, e)
			var indented bytes.Buffer
			if err := json.Indent(&indented, body, "", "  "); err != nil {
				t.Fatal(err)
			}
			indented.WriteByte('\n')
			path := filepath.Join("testdata", name+".golden.json")
			if *update {
				if err := os.WriteFile(path, indented.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), indented.String()); diff != "" {
				t.Errorf("payload differs from %s (-want +got); run with -update to rewrite it:\n%s", path, diff)
			}
			if !bytes.Equal(body, renderEvent(t, e)) {
				t.Error("rendering the same event again gave other bytes")
			}
		})
	}
}

func TestPayload_IsParsedByGitLabClient(t *testing.T) {
	for name, e := range events() {
		parsed, err := gitlab.ParseWebhook(gitlab.EventTypeMergeRequest, renderEvent(t, e))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		hook, ok := parsed.(*gitlab.MergeEvent)
		if !ok {
			t.Errorf("%s: parsed as %T", name, parsed)
			continue
		}
		mr := hook.ObjectAttributes
		if hook.ObjectKind != "merge_request" || mr.IID != 17 || mr.LastCommit.ID != headSHA || mr.Action != string(e.Action) ||
			mr.OldRev != e.OldRev || mr.State != string(e.MergeRequest.State) || mr.Draft != e.MergeRequest.Draft ||
			hook.Project.PathWithNamespace != "fruit/pear" || mr.Target.PathWithNamespace != "fruit/pear" || hook.User.Username != "omar" {
			t.Errorf("%s: read as %+v", name, hook)
		}
	}
}

func TestPayload_ZeroEvent_HasNullsAndEmptyLists(t *testing.T) {
	// As with a removed author, an action by the system, and times that are not set.
	body := renderEvent(t, models.Event{Action: models.ActionOpen})
	var got struct {
		User             struct{ Email string }
		ObjectAttributes struct {
			AuthorID  *int64  `json:"author_id"`
			CreatedAt *string `json:"created_at"`
			Labels    []any
		} `json:"object_attributes"`
		Changes map[string]any
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if a := got.ObjectAttributes; a.AuthorID != nil || a.CreatedAt != nil || a.Labels == nil || got.Changes == nil || got.User.Email != "[REDACTED]" {
		t.Errorf("%s", body)
	}
}

func TestPayload_HasNoEmailAddress(t *testing.T) {
	if body := renderEvent(t, event(models.ActionOpen)); bytes.Contains(body, []byte("omar@")) {
		t.Error("the payload contains a user's e-mail address")
	}
}

func TestPayload_InvalidUTF8_IsReplaced(t *testing.T) {
	e := event(models.ActionOpen)
	e.MergeRequest.Description, e.MergeRequest.HeadMessage = "caf\xe9", "\xff\xfe"
	body := renderEvent(t, e)
	if !utf8.Valid(body) || !json.Valid(body) || !bytes.Contains(body, []byte(`caf`)) {
		t.Errorf("%q", body)
	}
}

func TestPayload_LongTexts_AreTruncated(t *testing.T) {
	long := func(e *models.Event, text string) {
		e.MergeRequest.Description = text
		e.Changes = []models.Change{{Field: "description", Previous: text, Current: text}, {Field: "title", Previous: "a", Current: "b"}}
	}
	cases := map[string]struct {
		change    func(*models.Event)
		truncated []string
	}{
		"short":           {func(*models.Event) {}, nil},
		"just below":      {func(e *models.Event) { e.MergeRequest.Description = strings.Repeat("x", MaxPayload-8192) }, nil},
		"above":           {func(e *models.Event) { e.MergeRequest.Description = strings.Repeat("x", MaxPayload) }, []string{"object_attributes.description"}},
		"commit message":  {func(e *models.Event) { e.MergeRequest.HeadMessage = "a\n" + strings.Repeat("x", MaxPayload) }, []string{"object_attributes.last_commit.message"}},
		"endless title":   {func(e *models.Event) { e.MergeRequest.HeadMessage = strings.Repeat("x", MaxPayload) }, []string{"object_attributes.last_commit.message", "object_attributes.last_commit.title"}},
		"edit":            {func(e *models.Event) { long(e, strings.Repeat("é", 1<<20)) }, []string{"changes.description.current", "changes.description.previous", "object_attributes.description"}},
		"escapes":         {func(e *models.Event) { long(e, strings.Repeat("\x01", 1<<20)) }, []string{"changes.description.current", "changes.description.previous", "object_attributes.description"}},
		"invalid UTF-8":   {func(e *models.Event) { long(e, strings.Repeat("\xff", 1<<20)) }, []string{"changes.description.current", "changes.description.previous", "object_attributes.description"}},
		"with other text": {func(e *models.Event) { e.Test = true; e.MergeRequest.Description = strings.Repeat("𝔘", 1<<18) }, []string{"object_attributes.description"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := event(models.ActionUpdate)
			c.change(&e)
			body := renderEvent(t, e)
			var got struct {
				Mergegate struct {
					Test      bool
					Truncated []string
				}
				Changes map[string]struct{ Previous, Current any }
			}
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.truncated, got.Mergegate.Truncated); diff != "" {
				t.Errorf("truncated (-want +got):\n%s", diff)
			}
			if len(body) > MaxPayload || !utf8.Valid(body) || got.Mergegate.Test != e.Test {
				t.Errorf("%d bytes, valid %v, test %v", len(body), utf8.Valid(body), got.Mergegate.Test)
			}
			if c.truncated != nil && len(body) < MaxPayload/8 {
				t.Errorf("only %d bytes are left", len(body))
			}
			if c.truncated == nil && bytes.Contains(body, []byte(`"mergegate"`)) {
				t.Error("the payload has a mergegate field although nothing was truncated")
			}
			if len(e.Changes) > 0 && got.Changes["title"].Current != "b" {
				t.Errorf("other changes were lost: %v", got.Changes["title"])
			}
			if len(e.MergeRequest.Description) > MaxPayload && bytes.Contains(body, []byte(`�"`)) && utf8.ValidString(e.MergeRequest.Description) {
				t.Error("a character was split")
			}
		})
	}
}

func FuzzPayload(f *testing.F) {
	f.Add("Title", "text", "message", "https://x.test/")
	f.Add("\xff", strings.Repeat("\x00", 3000), "\u2028", "")
	f.Fuzz(func(t *testing.T, title, description, message, url string) {
		if len(title) > 1024 || len(url) > 2048 {
			return // models rejects them
		}
		e := event(models.ActionUpdate)
		e.MergeRequest.Title, e.MergeRequest.Description, e.MergeRequest.HeadMessage, e.Service.URL = title, description, message, url
		body := renderEvent(t, e)
		if !json.Valid(body) || !utf8.Valid(body) || len(body) > MaxPayload {
			t.Errorf("%d bytes, valid %v", len(body), json.Valid(body))
		}
	})
}
