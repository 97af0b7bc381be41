package gitrepo

import (
	"strings"
	"testing"
)

func TestSize_GrowsWithCommits(t *testing.T) {
	r := newStore(t, Options{}).Repo(1)
	if bytes, _, err := r.store.Repo(2).Size(t.Context()); bytes != 0 || err != nil {
		t.Errorf("missing repository: %d bytes, %v", bytes, err)
	}
	size := func() int64 {
		t.Helper()
		bytes, complete, err := r.Size(t.Context())
		if err != nil || !complete {
			t.Fatalf("complete %t, %v", complete, err)
		}
		return bytes
	}
	root := write(t, r, "main", "", "Root", map[string]string{"a": "0"})
	before := size()
	write(t, r, "main", root, "More", map[string]string{"b": strings.Repeat("quince ", 1000)})
	if after := size(); after <= before {
		t.Errorf("%d bytes after a commit, %d before", after, before)
	}
}
