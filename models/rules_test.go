package models

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestStatusAt(t *testing.T) {
	at := func(d time.Duration) *time.Time { when := noon.Add(d); return &when }
	pending := MergeRequestCheck{Status: StatusPending, PendingSince: noon, TimeoutSeconds: 120}
	stopped := pending
	stopped.StoppedAt = at(60 * time.Second)
	stoppedLate := pending
	stoppedLate.StoppedAt = at(121 * time.Second)
	tests := []struct {
		name     string
		check    MergeRequestCheck
		after    time.Duration
		want     Status
		timedOut bool
	}{
		{"just opened", pending, 0, StatusPending, false},
		{"119.999 s", pending, 119999 * time.Millisecond, StatusPending, false},
		{"120 s", pending, 120 * time.Second, StatusPending, false},
		{"120.001 s", pending, 120001 * time.Millisecond, StatusFailed, true},
		{"a clock that stopped in time", stopped, time.Hour, StatusPending, false},
		{"a clock that stopped too late", stoppedLate, time.Hour, StatusFailed, true},
		{"passed stays passed", MergeRequestCheck{Status: StatusPassed, PendingSince: noon, TimeoutSeconds: 120}, time.Hour, StatusPassed, false},
		{"failed by an answer", MergeRequestCheck{Status: StatusFailed, PendingSince: noon, TimeoutSeconds: 120}, time.Hour, StatusFailed, false},
		{"another limit", MergeRequestCheck{Status: StatusPending, PendingSince: noon, TimeoutSeconds: 600}, 599 * time.Second, StatusPending, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			now := noon.Add(test.after)
			if got := test.check.StatusAt(now); got != test.want {
				t.Errorf("StatusAt = %s, want %s", got, test.want)
			}
			if got := test.check.TimedOutAt(now); got != test.timedOut {
				t.Errorf("TimedOutAt = %v, want %v", got, test.timedOut)
			}
		})
	}
}

// Storing a time-out does not change what is read.
func TestExpire_AgreesWithStatusAt(t *testing.T) {
	for _, after := range []time.Duration{120001 * time.Millisecond, time.Hour} {
		now := noon.Add(after)
		check := MergeRequestCheck{Status: StatusPending, PendingSince: noon, TimeoutSeconds: 120}
		written := check
		written.expire()
		if check.StatusAt(now) != written.StatusAt(now) || check.TimedOutAt(now) != written.TimedOutAt(now) || !check.Since(now).Equal(written.Since(now)) {
			t.Errorf("after %v: %+v and %+v differ", after, check, written)
		}
	}
}

// Every transition is allowed, and the response is the state at its own time.
func TestRecord_DecidesStatus(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		check := MergeRequestCheck{TimeoutSeconds: 120}
		now := noon
		check.restart("abc", now)
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "seconds")) * time.Second)
			status := rapid.SampledFrom([]Status{StatusPending, StatusPassed, StatusFailed}).Draw(t, "status")
			check.record(ResponseInput{Status: status}, true, now)
			if got := check.StatusAt(now); got != status {
				t.Fatalf("recorded %s, reads %s", status, got)
			}
			want := status
			if status == StatusPending {
				want = StatusFailed
			}
			if got := check.StatusAt(now.Add(121 * time.Second)); got != want {
				t.Fatalf("two minutes after %s it reads %s", status, got)
			}
		}
	})
}

func TestMatchBranch(t *testing.T) {
	tests := []struct {
		pattern, branch string
		want            bool
	}{
		{"main", "main", true}, {"main", "Main", false}, {"main", "main2", false},
		{"release/*", "release/1.0", true}, {"release/*", "release/1/2", true}, {"release/*", "release/", true},
		{"release/*", "release", false}, {"release/*", "a/release/1", false},
		{"*-stable", "1-stable", true}, {"*-stable", "-stable", true}, {"*-stable", "stable", false},
		{"*", "anything/at all", true}, {"a*b*c", "abc", true}, {"a*b*c", "aXbYc", true}, {"a*b*c", "acb", false},
		{"a*a", "a", false}, {"a*a", "aa", true}, {"**", "x", true}, {"a.c", "abc", false}, {"[ab]", "a", false}, {"a?c", "abc", false},
		{"ab*ba", "aba", false}, {"*ab*ab", "ab", false}, {"*ab*ab", "abab", true},
	}
	for _, test := range tests {
		if got := MatchBranch(test.pattern, test.branch); got != test.want {
			t.Errorf("MatchBranch(%q, %q) = %v", test.pattern, test.branch, got)
		}
	}
}

// A pattern matches every text in which its stars are replaced.
func TestMatchBranch_MatchesExpansions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab/*]{0,8}`).Draw(t, "pattern")
		var branch strings.Builder
		for _, r := range pattern {
			if r == '*' {
				branch.WriteString(rapid.StringMatching(`[ab/]{0,4}`).Draw(t, "run"))
			} else {
				branch.WriteRune(r)
			}
		}
		if !MatchBranch(pattern, branch.String()) {
			t.Fatalf("%q does not match %q", pattern, branch.String())
		}
	})
}

func TestURLKey(t *testing.T) {
	same := [][2]string{
		{"https://Example.test", "https://example.test/"},
		{"HTTPS://example.test:443/a", "https://example.test/a"},
		{"http://example.test:80", "http://example.test/"},
		{"https://example.test/a#top", "https://example.test/a"},
		{"https://bücher.example/a", "https://xn--bcher-kva.example/a"},
		{"https://example.test?x=1", "https://example.test/?x=1"},
		{"http://[2001:DB8::1]:80/a", "http://[2001:db8::1]/a"},
	}
	for _, pair := range same {
		a, ok := URLKey(pair[0])
		b, ok2 := URLKey(pair[1])
		if !ok || !ok2 || a != b {
			t.Errorf("%q and %q: %q, %q", pair[0], pair[1], a, b)
		}
	}
	different := [][2]string{
		{"https://example.test/a", "https://example.test/A"},
		{"https://example.test/a", "https://example.test/a/"},
		{"https://example.test/%41", "https://example.test/A"},
		{"https://example.test/?a=1&b=2", "https://example.test/?b=2&a=1"},
		{"http://example.test/", "https://example.test/"},
		{"https://example.test:8443/", "https://example.test/"},
		{"https://user@example.test/", "https://example.test/"},
	}
	for _, pair := range different {
		a, ok := URLKey(pair[0])
		b, ok2 := URLKey(pair[1])
		if !ok || !ok2 || a == b {
			t.Errorf("%q and %q are the same: %q", pair[0], pair[1], a)
		}
	}
	for _, bad := range []string{
		"", "example.test", "/path", "ftp://example.test", "https://", "https:///path", "https://exa mple.test/", "https://example.test:99999/",
		"https://example.test:0/", "javascript:alert(1)", "https:example.test", "https://example.test/\x00", "https://example.test/\xff",
		"https://" + strings.Repeat("a", 2048) + ".test/", "https://[::1", `https:\\example.test`, "https://example.test/\n",
	} {
		if key, ok := URLKey(bad); ok {
			t.Errorf("%q is accepted as %q", bad, key)
		}
	}
}

func TestDisplayURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://user:pass@example.test/mr?token=1#x": "https://example.test/mr",
		"https://example.test":                        "https://example.test",
		"https://example.test?token=1":                "https://example.test/",
		"https://example.test/a@b":                    "https://example.test/a@b",
	} {
		if got := DisplayURL(in); got != want {
			t.Errorf("DisplayURL(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzURLKey(f *testing.F) {
	f.Add("https://user:pass@Example.test:443/a?b#c")
	f.Add("http://[::1]:80")
	f.Fuzz(func(t *testing.T, raw string) {
		key, ok := URLKey(raw)
		if !ok {
			return
		}
		again, ok := URLKey(key)
		if !ok || again != key {
			t.Errorf("%q: key %q has itself the key %q, %v", raw, key, again, ok)
		}
		if strings.Contains(DisplayURL(raw), "?") {
			t.Errorf("%q is shown with its query", raw)
		}
	})
}

func TestNextAttempt(t *testing.T) {
	// A service that answers 500 immediately.
	started, now := noon, noon
	var offsets []time.Duration
	attempts := 1
	for ; ; attempts++ {
		at, ok := NextAttempt(attempts, started, now, 0, 0.5)
		if !ok {
			break
		}
		offsets = append(offsets, at.Sub(started).Round(time.Second))
		now = at
	}
	if attempts != MaxAttempts || len(offsets) != MaxAttempts-1 {
		t.Fatalf("%d attempts, %d waits", attempts, len(offsets))
	}
	for i, want := range []time.Duration{1 * time.Second, 5 * time.Second, 16 * time.Second, 41 * time.Second, 82 * time.Second} {
		if offsets[i] < want-time.Second || offsets[i] > want+time.Second {
			t.Errorf("attempt %d at %v, want about %v", i+2, offsets[i], want)
		}
	}
	if got := now.Sub(started); got < 41*time.Hour || got > 43*time.Hour {
		t.Errorf("the last attempt is at %v", got)
	}
	// A service that times out after ten seconds: all quick attempts are within two
	// minutes.
	now = noon
	for attempts = 1; attempts < QuickAttempts; attempts++ {
		at, _ := NextAttempt(attempts, started, now.Add(10*time.Second), 0, 0.99)
		now = at
	}
	if now.Sub(started) > 110*time.Second {
		t.Errorf("the last quick attempt begins at %v", now.Sub(started))
	}
	// Retry-After is obeyed, up to ten minutes.
	if at, _ := NextAttempt(1, noon, noon, 3*time.Minute, 0); !at.Equal(noon.Add(3 * time.Minute)) {
		t.Errorf("Retry-After of 3 minutes: %v", at.Sub(noon))
	}
	if at, _ := NextAttempt(1, noon, noon, time.Hour, 0); !at.Equal(noon.Add(MaxRetryAfter)) {
		t.Errorf("Retry-After of an hour: %v", at.Sub(noon))
	}
}

func TestDecideBranch(t *testing.T) {
	project := Project{DefaultBranch: "main"}
	rule := func(name string, push, merge Role, force bool) ProtectedBranch {
		return ProtectedBranch{Name: name, PushAccessLevel: push, MergeAccessLevel: merge, AllowForcePush: force}
	}
	strict := []ProtectedBranch{rule("main", RoleMaintainer, RoleMaintainer, false), rule("release/*", RoleNone, RoleDeveloper, false), rule("release/9*", RoleDeveloper, RoleNone, true)}
	tests := []struct {
		name   string
		role   Role
		branch string
		action BranchAction
		want   bool
		rule   string
	}{
		{"developer pushes unprotected", RoleDeveloper, "feature", ActionPush, true, ""},
		{"reporter pushes unprotected", RoleReporter, "feature", ActionPush, false, ""},
		{"developer forces unprotected", RoleDeveloper, "feature", ActionForcePush, true, ""},
		{"developer deletes unprotected", RoleDeveloper, "feature", ActionDelete, true, ""},
		{"developer pushes main", RoleDeveloper, "main", ActionPush, false, "main"},
		{"maintainer pushes main", RoleMaintainer, "main", ActionPush, true, ""},
		{"maintainer forces main", RoleMaintainer, "main", ActionForcePush, false, "main"},
		{"owner deletes the default branch", RoleOwner, "main", ActionDelete, false, ""},
		{"owner pushes where no one may", RoleOwner, "release/1", ActionPush, false, "release/*"},
		{"developer merges there", RoleDeveloper, "release/1", ActionMerge, true, ""},
		{"the most permissive of two rules", RoleDeveloper, "release/9.1", ActionPush, true, ""},
		{"the most permissive for merging", RoleDeveloper, "release/9.1", ActionMerge, true, ""},
		{"force push where one rule allows it", RoleDeveloper, "release/9.1", ActionForcePush, true, ""},
		{"a protected branch cannot be deleted", RoleOwner, "release/1", ActionDelete, false, "release/*"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			refusal := DecideBranch(project, strict, test.role, test.branch, test.action)
			if (refusal == nil) != test.want {
				t.Fatalf("refusal %+v, want allowed %v", refusal, test.want)
			}
			if refusal != nil && refusal.Rule != test.rule {
				t.Errorf("refused by %q, want %q", refusal.Rule, test.rule)
			}
		})
	}
}

func TestMergeable(t *testing.T) {
	on := Project{OnlyAllowMergeIfAllStatusChecksPassed: true}
	open := MergeRequest{State: StateOpened}
	passed := MergeRequestCheck{Status: StatusPassed}
	pending := MergeRequestCheck{Status: StatusPending, PendingSince: noon, TimeoutSeconds: 120}
	failed := MergeRequestCheck{Status: StatusFailed}
	tests := []struct {
		name    string
		project Project
		mr      MergeRequest
		checks  []MergeRequestCheck
		want    []BlockReason
	}{
		{"no checks", on, open, nil, nil},
		{"all passed", on, open, []MergeRequestCheck{passed, passed}, nil},
		{"one pending", on, open, []MergeRequestCheck{passed, pending}, []BlockReason{BlockedStatusChecks}},
		{"one failed", on, open, []MergeRequestCheck{failed, passed}, []BlockReason{BlockedStatusChecks}},
		{"checks only inform", Project{}, open, []MergeRequestCheck{failed, pending}, nil},
		{"draft", on, MergeRequest{State: StateOpened, Draft: true}, []MergeRequestCheck{failed}, []BlockReason{BlockedDraft, BlockedStatusChecks}},
		{"closed", on, MergeRequest{State: StateClosed}, nil, []BlockReason{BlockedNotOpen}},
		{"source gone", Project{}, MergeRequest{State: StateOpened, SourceBranchDeleted: true}, nil, []BlockReason{BlockedSourceGone}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := Mergeable(test.project, test.mr, test.checks, noon)
			if len(got) != len(test.want) {
				t.Fatalf("%v, want %v", got, test.want)
			}
			for i := range got {
				if got[i] != test.want[i] {
					t.Fatalf("%v, want %v", got, test.want)
				}
			}
		})
	}
}

func TestDraftTitles(t *testing.T) {
	for title, draft := range map[string]bool{
		"Draft: x": true, "draft: x": true, "[Draft] x": true, "(draft) x": true, "Drafty x": false, "x Draft:": false, "Trim": false,
	} {
		if IsDraftTitle(title) != draft {
			t.Errorf("IsDraftTitle(%q) is not %v", title, draft)
		}
	}
	if got := WithDraft("Draft: [draft] x", false); got != "x" {
		t.Errorf("ready: %q", got)
	}
	if got := WithDraft("x", true); got != "Draft: x" {
		t.Errorf("draft: %q", got)
	}
}

func TestValidBranchName(t *testing.T) {
	for _, name := range []string{"main", "release/1.0", "a-b_c.d", "ärger", "x/y/z", "日本"} {
		if !ValidBranchName(name) {
			t.Errorf("%q is refused", name)
		}
	}
	for _, name := range []string{"", "-x", "a b", "a..b", "a~b", "a^", "a:b", "a?", "a*", "a[", `a\b`, "a/", "/a", "a//b", ".a", "a/.b", "a.lock", "a.lock/b", "a.", "@", "a@{b", "a\x00b", "a\nb", "HEAD", "\xff", strings.Repeat("a", 256)} {
		if ValidBranchName(name) {
			t.Errorf("%q is accepted", name)
		}
	}
}

func TestResponseInput(t *testing.T) {
	ok := ResponseInput{SHA: "abc", Status: StatusPassed}
	for name, test := range map[string]struct {
		change func(*ResponseInput)
		field  string
	}{
		"good":             {func(*ResponseInput) {}, ""},
		"a link":           {func(in *ResponseInput) { in.TargetURL = "https://ci.example.test/1?x=1#y" }, ""},
		"255 characters":   {func(in *ResponseInput) { in.Description = strings.Repeat("ä", 255) }, ""},
		"256 characters":   {func(in *ResponseInput) { in.Description = strings.Repeat("ä", 256) }, "description"},
		"control":          {func(in *ResponseInput) { in.Description = "a\x1bb" }, "description"},
		"no status":        {func(in *ResponseInput) { in.Status = "" }, "status"},
		"no sha":           {func(in *ResponseInput) { in.SHA = "" }, "sha"},
		"a script":         {func(in *ResponseInput) { in.TargetURL = "javascript:alert(1)" }, "target_url"},
		"a password in it": {func(in *ResponseInput) { in.TargetURL = "https://user:secret@ci.example.test/" }, "target_url"},
		"no host":          {func(in *ResponseInput) { in.TargetURL = "https:///x" }, "target_url"},
	} {
		t.Run(name, func(t *testing.T) {
			in := ok
			test.change(&in)
			faults := FieldErrorsOf(in.Validate())
			if test.field == "" && len(faults) != 0 || test.field != "" && (len(faults) != 1 || faults[0].Field != test.field) {
				t.Errorf("faults %v, want one of %q", faults, test.field)
			}
		})
	}
}
