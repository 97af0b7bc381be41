package gitrepo

import (
	"bufio"
	"context"
	"io"
	"slices"
	"strings"
)

// Divergence compares two histories. Ahead is the number of commits that only the
// first has, Behind the number of commits that only the second has.
type Divergence struct{ Ahead, Behind int }

// maxDivergences is the number of commits compared at once. Each has a bit in a
// mask of 64 bits, and so has the commit that they are compared with.
const maxDivergences = 63

// Divergences compares each of tips with main and returns the results by tip. It
// runs two git commands for up to 63 tips: one for a common ancestor, one for the
// history since then. (for-each-ref can count only since git 2.41.)
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

// addDivergences adds the results for up to maxDivergences tips.
func (r Repo) addDivergences(ctx context.Context, main string, tips []string, into map[string]Divergence) error {
	commits := append([]string{main}, tips...)
	args := append([]string{"rev-list", "--topo-order", "--parents", "--end-of-options"}, commits...)
	base, err := r.git(ctx, append([]string{"merge-base", "--octopus", "--end-of-options"}, commits...)...)
	switch {
	case err == nil:
		args = append(args, "^"+strings.TrimSpace(string(base)))
	case exitCode(err) != 1: // 1 means no common history
		return r.unknownCommit(ctx, err, commits...)
	}
	// Bit i of masks[sha] means that commits[i] has sha in its history.
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
			delete(masks, ids[0]) // complete, because git lists children first
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
