package backup

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
)

// history is a repository in memory: what each commit contains, and a reflog.
type history struct {
	contains map[string][]string
	log      []gitrepo.LogEntry // newest first
}

func (h history) BranchLog(context.Context, string) ([]gitrepo.LogEntry, error) { return h.log, nil }

func (h history) IsAncestor(_ context.Context, ancestor, descendant string) (bool, error) {
	return slices.Contains(h.contains[descendant], ancestor), nil
}

const own = gitrepo.OwnMove

func TestRefs_AreThoseOfTheSnapshot(t *testing.T) {
	open := mergeRequest{iid: 1, state: models.StateOpened, source: "topic", target: "main", head: "h1"}
	with := func(change func(*mergeRequest)) mergeRequest { mr := open; change(&mr); return mr }
	merged := func(mr *mergeRequest) { mr.state, mr.merged = models.StateMerged, []string{"m1"} }
	for _, test := range []struct {
		name   string
		mrs    []mergeRequest
		before string // of main
		now    map[string]string
		git    history
		want   map[string]string
	}{
		{
			"a later push to the source", []mergeRequest{open}, "m0",
			map[string]string{"refs/heads/topic": "h2", "refs/heads/main": "m0", "refs/merge-requests/1/head": "h2"}, history{},
			map[string]string{"refs/heads/topic": "h1", "refs/heads/main": "m0", "refs/merge-requests/1/head": "h1"},
		},
		{
			"a later merge request and its branch", []mergeRequest{open}, "m0",
			map[string]string{"refs/heads/main": "m0", "refs/heads/two": "x", "refs/merge-requests/2/head": "x", "refs/mergegate/import/1": "y", "refs/tags/v1": "t"}, history{},
			map[string]string{"refs/heads/main": "m0", "refs/heads/two": "x", "refs/tags/v1": "t", "refs/heads/topic": "h1", "refs/merge-requests/1/head": "h1"},
		},
		{
			"a source branch that was deleted before", []mergeRequest{with(func(mr *mergeRequest) { mr.sourceDeleted = true })}, "m0",
			map[string]string{"refs/heads/topic": "h2", "refs/heads/main": "m0"}, history{},
			map[string]string{"refs/heads/main": "m0", "refs/merge-requests/1/head": "h1"},
		},
		{
			"a source branch in the way of a later one", []mergeRequest{open}, "m0",
			map[string]string{"refs/heads/topic/new": "x"}, history{},
			map[string]string{"refs/heads/topic": "h1", "refs/merge-requests/1/head": "h1"},
		},
		{
			"a later merge", []mergeRequest{open}, "m0", map[string]string{"refs/heads/main": "m1"},
			history{map[string][]string{"m1": {"m0", "h1"}}, []gitrepo.LogEntry{{RequestID: own, SHA: "m1"}, {RequestID: "old", SHA: "m0"}}},
			map[string]string{"refs/heads/topic": "h1", "refs/heads/main": "m0", "refs/merge-requests/1/head": "h1"},
		},
		{
			"an announced merge", []mergeRequest{with(func(mr *mergeRequest) { mr.merging = "m1" })}, "m0", map[string]string{"refs/heads/main": "m1"},
			history{map[string][]string{"m1": {"m0", "h1"}}, []gitrepo.LogEntry{{RequestID: own, SHA: "m1"}, {RequestID: "old", SHA: "m0"}}},
			map[string]string{"refs/heads/topic": "h1", "refs/heads/main": "m1", "refs/merge-requests/1/head": "h1"},
		},
		{
			"a known merge, then a later squash", []mergeRequest{with(merged), {iid: 2, state: models.StateOpened, source: "two", target: "main", head: "h2"}}, "m0",
			map[string]string{"refs/heads/main": "s2"},
			history{map[string][]string{"m1": {"m0", "h1"}, "s2": {"m1", "m0", "h1"}}, []gitrepo.LogEntry{{RequestID: own, SHA: "s2"}, {RequestID: own, SHA: "m1"}, {RequestID: "old", SHA: "m0"}}},
			map[string]string{"refs/heads/main": "m1", "refs/heads/two": "h2", "refs/merge-requests/1/head": "h1", "refs/merge-requests/2/head": "h2"},
		},
		{
			"a push without merges, then one with HEAD", []mergeRequest{open}, "m0", map[string]string{"refs/heads/main": "p2"},
			history{map[string][]string{"p1": {"m0"}, "p2": {"p1", "h1"}}, []gitrepo.LogEntry{{RequestID: "b", SHA: "p2"}, {RequestID: "a", SHA: "p1"}, {RequestID: "old", SHA: "m0"}}},
			map[string]string{"refs/heads/topic": "h1", "refs/heads/main": "p1", "refs/merge-requests/1/head": "h1"},
		},
		{
			"a merge request that was empty before", []mergeRequest{open}, "m0", map[string]string{"refs/heads/main": "p1"},
			history{map[string][]string{"m0": {"h1"}, "p1": {"m0", "h1"}}, []gitrepo.LogEntry{{RequestID: "a", SHA: "p1"}, {RequestID: "old", SHA: "m0"}}},
			map[string]string{"refs/heads/topic": "h1", "refs/heads/main": "p1", "refs/merge-requests/1/head": "h1"},
		},
		{
			"a reflog that was lost", []mergeRequest{open}, "m0", map[string]string{"refs/heads/main": "p1"},
			history{map[string][]string{"p1": {"m0", "h1"}}, nil},
			map[string]string{"refs/heads/topic": "h1", "refs/heads/main": "m0", "refs/merge-requests/1/head": "h1"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := project{id: 1, mergeRequests: test.mrs}
			got, err := p.refs(t.Context(), test.git, map[string]string{"refs/heads/main": test.before}, test.now)
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}
