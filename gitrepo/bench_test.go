package gitrepo

import (
	"fmt"
	"strings"
	"testing"
)

// wide returns a repository with 10,000 files and two branches that change 100 of
// them each.
func wide(b *testing.B) (r Repo, base, left, right string) {
	b.Helper()
	r = newStore(b, Options{}).Repo(1)
	files := map[string]string{}
	for i := range 10_000 {
		files[fmt.Sprintf("d%02d/f%04d.txt", i%100, i)] = fmt.Sprintf("file %d\n", i)
	}
	base = write(b, r, "main", "", "Base", files)
	change := func(from int) map[string]string {
		changed := map[string]string{}
		for i := from; i < from+100; i++ {
			changed[fmt.Sprintf("d%02d/f%04d.txt", i%100, i)] = strings.Repeat(fmt.Sprintf("changed %d\n", i), 20)
		}
		return changed
	}
	return r, base, write(b, r, "left", base, "Left", change(0)), write(b, r, "right", base, "Right", change(5000))
}

func BenchmarkPrepareMerge(b *testing.B) {
	r, _, left, right := wide(b)
	for b.Loop() {
		if _, err := r.PrepareMerge(b.Context(), MergeInput{TargetSHA: left, SourceSHA: right, Message: "m", Author: ada, Committer: ada, When: when}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDiff(b *testing.B) {
	r, base, left, _ := wide(b)
	for b.Loop() {
		if _, err := r.Diff(b.Context(), base, left, DiffLimits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBranchTip(b *testing.B) {
	r, _, _, _ := wide(b)
	for b.Loop() {
		if _, _, err := r.BranchTip(b.Context(), "left"); err != nil {
			b.Fatal(err)
		}
	}
}
