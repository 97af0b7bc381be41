package gitrepo

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestDivergences_EqualCounts(t *testing.T) {
	r := newStore(t, Options{}).Repo(1)
	root := write(t, r, "main", "", "Root", map[string]string{"a": "0"})
	var tips []string
	for i := range 8 {
		from := root
		if i%3 == 0 && len(tips) > 0 {
			from = tips[len(tips)-1]
		}
		branch := fmt.Sprintf("topic-%02d", i)
		tip := write(t, r, branch, from, "Topic", map[string]string{branch: "1"})
		if i%2 == 0 {
			tip = write(t, r, branch, "", "More", map[string]string{branch: "2"})
		}
		tips = append(tips, tip)
	}
	main := write(t, r, "main", "", "Second", map[string]string{"a": "1"})
	prepared, err := r.PrepareMerge(t.Context(), MergeInput{TargetSHA: main, SourceSHA: tips[4], Message: "Merge", Author: Identity{Name: "Ada", Email: "ada@example.com"}, When: when})
	merged := prepared.SHA
	if err != nil || merged == "" {
		t.Fatal(prepared, err)
	}
	lone := write(t, r, "lone", "", "Lone", map[string]string{"z": "1"})
	related := append(tips, root, merged, main)
	for name, commits := range map[string][]string{"related": related, "more than fit into one mask": slices.Repeat(related, 8), "one": tips[:1], "with an unrelated commit": {tips[0], lone}} {
		got, err := r.Divergences(t.Context(), merged, commits...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, tip := range commits {
			ahead, err := r.Count(t.Context(), merged, tip)
			if err != nil {
				t.Fatal(err)
			}
			behind, err := r.Count(t.Context(), tip, merged)
			if err != nil {
				t.Fatal(err)
			}
			if want := (Divergence{Ahead: ahead, Behind: behind}); got[tip] != want {
				t.Errorf("%s: %.7s: %+v, want %+v", name, tip, got[tip], want)
			}
		}
	}
	if _, err := r.Divergences(t.Context(), main, unknownID); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown commit: %v", err)
	}
	if got, err := r.Divergences(t.Context(), main); err != nil || len(got) != 0 {
		t.Errorf("nothing to compare: %v, %v", got, err)
	}
	if _, err := r.Divergences(t.Context(), main, "--help"); err == nil {
		t.Error("an option is taken for a commit")
	}
}
