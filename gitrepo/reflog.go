package gitrepo

import (
	"context"
	"strconv"
	"strings"
)

// maxLogEntries is how far back BranchLog reads.
const maxLogEntries = 1000

// LogEntry is a move of a branch as its reflog has it.
type LogEntry struct {
	// RequestID is the request of the push that made the move; something else
	// where it was not a push.
	RequestID string
	SHA       string
}

// logIdentity makes the reflog entries of a push carry its request: git writes
// the committer's address into each.
func logIdentity(requestID string) string { return "GIT_COMMITTER_EMAIL=" + requestID }

// BranchLog lists the moves of a branch that its reflog holds, newest first, at
// most maxLogEntries. A branch without a log, or that does not exist, has none.
// Deleting a branch deletes its log.
func (r Repo) BranchLog(ctx context.Context, branch string) ([]LogEntry, error) {
	if _, exists, err := r.BranchTip(ctx, branch); err != nil || !exists {
		return nil, err
	}
	out, err := r.git(ctx, "log", "--walk-reflogs", "--max-count="+strconv.Itoa(maxLogEntries), "--format=%H %ge", "refs/heads/"+branch, "--")
	if err != nil {
		return nil, err
	}
	var entries []LogEntry
	for line := range strings.Lines(string(out)) {
		sha, requestID, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		entries = append(entries, LogEntry{RequestID: requestID, SHA: sha})
	}
	return entries, nil
}
