package gitrepo

import (
	"bufio"
	"context"
	"io"
	"slices"
	"strings"
)

// Divergence is how far a commit is from another: Ahead counts the commits
// that only it has, Behind those that only the other has.
type Divergence struct{ Ahead, Behind int }

// maxDivergences is how many commits are compared at once: one bit of a mask
// for each and one for the commit that they are compared with.
const maxDivergences = 63

// Divergences compares commits with the commit main, by commit. However many
// they are, git is asked twice: for an ancestor of all of them, and for the
// history above it. (Git counts by itself, in for-each-ref, from 2.41 on only.)
func (r Repo) Divergences(ctx context.Context, main string, tips ...string) (map[string]Divergence, error) {
	if err := checkIDs(append([]string{main}, tips...)...); err != nil {
		return nil, err
	}
	all := make(map[string]Divergence, len(tips))
	for chunk := range slices.Chunk(tips, maxDivergences) {
		if err := r.addDivergences(ctx, main, chunk, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (r Repo) addDivergences(ctx context.Context, main string, tips []string, into map[string]Divergence) error {
	commits := append([]string{main}, tips...)
	args := append([]string{"rev-list", "--topo-order", "--parents", "--end-of-options"}, commits...)
	base, err := r.git(ctx, append([]string{"merge-base", "--octopus", "--end-of-options"}, commits...)...)
	switch {
	case err == nil:
		args = append(args, "^"+strings.TrimSpace(string(base)))
	case exitCode(err) != 1: // 1: they share no history
		return r.unknownCommit(ctx, err, commits...)
	}
	// The bit i of a commit's mask says that commits[i] has it in its history.
	masks := map[string]uint64{}
	for i, sha := range commits {
		masks[sha] |= 1 << i
	}
	counts := make([]Divergence, len(commits))
	err = r.store.stream(ctx, r.command(append(args, "--")...), func(out io.Reader) (bool, error) {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			ids := strings.Fields(lines.Text())
			mask := masks[ids[0]]
			delete(masks, ids[0]) // children come first: nothing adds to it now
			for _, parent := range ids[1:] {
				masks[parent] |= mask
			}
			for i := range commits {
				switch has, mainHas := mask>>i&1 == 1, mask&1 == 1; {
				case has && !mainHas:
					counts[i].Ahead++
				case mainHas && !has:
					counts[i].Behind++
				}
			}
		}
		return true, lines.Err()
	})
	if err != nil {
		return r.unknownCommit(ctx, err, commits...)
	}
	for i, sha := range tips {
		into[sha] = counts[i+1]
	}
	return nil
}
