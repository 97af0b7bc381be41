package gitrepo

import (
	"context"
	"strconv"
	"strings"
)

// maxLogEntries is the maximum number of entries that BranchLog returns.
const maxLogEntries = 1000

// LogEntry is one entry of the reflog of a branch.
type LogEntry struct {
	// RequestID is the id of the request of the push. For a move that was not a
	// push it has another value.
	RequestID string
	SHA       string
}

// OwnMove is the RequestID of moves that Mergegate itself made, such as merges.
const OwnMove = "mergegate"

// logIdentity returns the environment variable that makes git write the request
// id into the reflog, as the email address of the committer.
func logIdentity(requestID string) string { return "GIT_COMMITTER_EMAIL=" + requestID }

// BranchLog returns the reflog of a branch, newest entry first, at most
// maxLogEntries. It is empty for a branch that has no log or does not exist.
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
