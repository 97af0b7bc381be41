package backup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
)

// project is what the snapshot says about a project's repository.
type project struct {
	id            int64
	defaultBranch string
	mergeRequests []mergeRequest
}

// mergeRequest is what the snapshot says about refs.
type mergeRequest struct {
	iid            int64
	state          models.MergeRequestState
	source, target string
	head           string
	sourceDeleted  bool
	// merging is the commit of an announced merge of head, "" without an announced merge.
	merging string
	// merged are the commits of a completed merge.
	merged []string
}

func (mr mergeRequest) isOpen() bool { return mr.state == models.StateOpened }

// projects reads all projects with their merge requests.
func projects(ctx context.Context, db querier) ([]project, error) {
	var all []project
	byID := map[int64]int{}
	err := query(ctx, db, "SELECT id, default_branch FROM projects ORDER BY id", func(rows *sql.Rows) error {
		var p project
		err := rows.Scan(&p.id, &p.defaultBranch)
		byID[p.id] = len(all)
		all = append(all, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = query(ctx, db, `SELECT project_id, iid, state, source_branch, target_branch, head_sha, source_branch_deleted,
		CASE WHEN merging_head_sha = head_sha THEN merging_sha ELSE '' END, merge_commit_sha, squash_commit_sha FROM merge_requests ORDER BY id`,
		func(rows *sql.Rows) error {
			var id int64
			var mr mergeRequest
			var merge, squash string
			err := rows.Scan(&id, &mr.iid, &mr.state, &mr.source, &mr.target, &mr.head, &mr.sourceDeleted, &mr.merging, &merge, &squash)
			mr.merged = slices.DeleteFunc([]string{merge, squash}, func(sha string) bool { return sha == "" })
			p := &all[byID[id]]
			p.mergeRequests = append(p.mergeRequests, mr)
			return err
		})
	return all, err
}

// refs returns the refs to store for a project: those of now, which were read after the
// snapshot, set back where the snapshot knows better. before are the branches before the
// snapshot.
func (p project) refs(ctx context.Context, repo repository, before, now map[string]string) (map[string]string, error) {
	result := maps.Clone(now)
	maps.DeleteFunc(result, func(ref, _ string) bool {
		return strings.HasPrefix(ref, "refs/merge-requests/") || strings.HasPrefix(ref, "refs/mergegate/")
	})
	for _, branch := range p.openTargets() {
		ref := "refs/heads/" + branch
		if now[ref] == "" || now[ref] == before[ref] {
			continue
		}
		sha, err := p.targetTip(ctx, repo, branch, before[ref], now[ref])
		if err != nil {
			return nil, fmt.Errorf("read the history of branch %s: %w", branch, err)
		}
		result[ref] = sha
	}
	for _, mr := range p.mergeRequests {
		if mr.isOpen() {
			setRef(result, "refs/heads/"+mr.source, mr.head)
			if mr.sourceDeleted {
				delete(result, "refs/heads/"+mr.source)
			}
		}
		setRef(result, gitrepo.HeadRef(mr.iid), mr.head)
	}
	return result, nil
}

// setRef sets a ref and removes those that cannot exist beside it, such as a/b beside a.
func setRef(refs map[string]string, ref, sha string) {
	maps.DeleteFunc(refs, func(other, _ string) bool {
		return strings.HasPrefix(other, ref+"/") || strings.HasPrefix(ref, other+"/")
	})
	refs[ref] = sha
}

// openTargets returns the target branches of open merge requests.
func (p project) openTargets() []string {
	targets := map[string]bool{}
	for _, mr := range p.mergeRequests {
		if mr.isOpen() {
			targets[mr.target] = true
		}
	}
	return slices.Sorted(maps.Keys(targets))
}

// repository is what targetTip reads; gitrepo.Repo implements it.
type repository interface {
	BranchLog(ctx context.Context, branch string) ([]gitrepo.LogEntry, error)
	IsAncestor(ctx context.Context, ancestor, descendant string) (bool, error)
}

// targetTip returns the commit of a target branch that moved from before to now while
// the snapshot was taken: the last one before a merge that the snapshot does not know.
// Otherwise the restored branch would contain a merge of a merge request that is open.
func (p project) targetTip(ctx context.Context, repo repository, branch, before, now string) (string, error) {
	log, err := repo.BranchLog(ctx, branch)
	if err != nil {
		return "", err
	}
	var moves []gitrepo.LogEntry // since before, oldest first
	for _, entry := range log {
		if entry.SHA == before {
			break
		}
		moves = append(moves, entry)
	}
	slices.Reverse(moves)
	if len(moves) == 0 || moves[len(moves)-1].SHA != now {
		moves = append(moves, gitrepo.LogEntry{SHA: now})
	}
	tip := before
	for _, move := range moves {
		if tip != "" { // a branch that is created merges nothing
			known, err := p.knows(ctx, repo, branch, before, move)
			if err != nil || !known {
				return tip, err
			}
		}
		tip = move.SHA
	}
	return tip, nil
}

// knows reports whether the snapshot agrees with a move of a target branch: the move
// merges no open merge request, unless its merge is announced, which recovery completes.
func (p project) knows(ctx context.Context, repo repository, branch, before string, move gitrepo.LogEntry) (bool, error) {
	announced, merged := false, false
	for _, mr := range p.mergeRequests {
		announced = announced || mr.isOpen() && mr.merging == move.SHA
		merged = merged || slices.Contains(mr.merged, move.SHA)
	}
	if move.RequestID == gitrepo.OwnMove && !announced && !merged {
		return false, nil // a merge, perhaps squashed, of which the rows know nothing
	}
	for _, mr := range p.mergeRequests {
		if !mr.isOpen() || mr.target != branch || mr.merging == move.SHA {
			continue
		}
		contained, err := contains(ctx, repo, move.SHA, mr.head)
		if err != nil {
			return false, err
		}
		if !contained {
			continue
		}
		if mr.merging != "" {
			if done, err := contains(ctx, repo, move.SHA, mr.merging); err != nil {
				return false, err
			} else if done {
				continue
			}
		}
		// A merge request without commits may be open.
		if was, err := contains(ctx, repo, before, mr.head); err != nil || !was {
			return false, err
		}
	}
	return true, nil
}

// contains reports whether tip contains a commit. Missing commits contain nothing.
func contains(ctx context.Context, repo repository, tip, sha string) (bool, error) {
	if tip == sha || tip == "" {
		return tip == sha, nil
	}
	in, err := repo.IsAncestor(ctx, sha, tip)
	if errors.Is(err, gitrepo.ErrNotFound) {
		return false, nil
	}
	return in, err
}
