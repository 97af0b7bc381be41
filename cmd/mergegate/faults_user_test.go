package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// faultUser pushes to and edits one merge request after the other. Its operations
// follow one another, so their events have one order.
type faultUser struct {
	run    *faultRun
	rng    *rand.Rand
	tree   workTree
	name   string
	number int // of the current merge request's branch
	commit int
	iid    int64
	// log are the operations on all merge requests.
	log []operation
}

// operation is what a user did. If it was not acknowledged, it may or may not have
// happened.
type operation struct {
	iid          int64
	kind         string // push, edit, close, reopen, approved, unapproved or merge
	what         string // SHA or title
	acknowledged bool
}

func (u *faultUser) branch() string { return fmt.Sprint(u.name, "-", u.number) }

// address returns the address to which a request goes: that of a random instance, unless
// the run has one for all.
func (u *faultUser) address() string {
	if u.run.entry != "" {
		return u.run.entry
	}
	return u.run.instances[u.rng.IntN(len(u.run.instances))].url
}

// call sends an API request to some instance.
func (u *faultUser) call(method, path string, body map[string]any, into any) (int, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequest(method, fmt.Sprintf("%s/api/v4/projects/%d/merge_requests%s", u.address(), u.run.projectID, path), bytes.NewReader(content))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("PRIVATE-TOKEN", u.run.api.token)
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && into != nil && resp.StatusCode < 300 {
		err = json.Unmarshal(answer, into)
	}
	return resp.StatusCode, err
}

// work acts until ctx ends. An operation under way is completed.
func (u *faultUser) work(ctx context.Context) {
	for ctx.Err() == nil {
		var mrs []struct {
			IID   int64 `json:"iid"`
			State string
		}
		status, err := u.call("GET", "?source_branch="+u.branch(), nil, &mrs)
		switch {
		case err != nil || status != http.StatusOK:
			time.Sleep(20 * time.Millisecond)
		case len(mrs) == 0 || mrs[0].State == "merged":
			u.open()
		default:
			u.iid = mrs[0].IID
			u.act(mrs[0].State)
		}
	}
}

// open opens a merge request with a push, from a new branch. An earlier push that was
// cut off may still open one, too.
func (u *faultUser) open() {
	u.number++
	u.tree.git("fetch", "-q", u.run.data+"/repositories/"+fmt.Sprint(u.run.projectID)+".git", "main")
	u.tree.git("checkout", "-q", "-B", u.branch(), "FETCH_HEAD")
	u.iid = 0
	u.push("-o", "merge_request.create", "-o", "merge_request.title="+u.branch())
}

// push commits and pushes. The iid in the log is 0 if the push opened the merge
// request.
func (u *faultUser) push(options ...string) {
	u.commit++
	sha := u.tree.commit(u.name+".txt", fmt.Sprint(u.commit, "\n"))
	remote := strings.Replace(u.address(), "://", "://token:"+u.run.api.token+"@", 1) + "/" + u.run.project + ".git"
	out, err := u.tree.tryGit(append(append([]string{"push", "-q"}, options...), remote, u.branch())...)
	// The server may answer that it will process the push later. Then a later push
	// may make its event unnecessary.
	processed := err == nil && !strings.Contains(out, "could not process it yet")
	if !processed {
		u.run.reason(out)
	}
	u.record(operation{u.iid, "push", sha, processed})
}

// reason logs why an operation was not acknowledged, if verbose.
func (r *faultRun) reason(text string) {
	if testing.Verbose() {
		fmt.Fprintln(r.t.Output(), strings.TrimSpace(text))
	}
}

func (u *faultUser) record(o operation) {
	u.log = append(u.log, o)
	if o.acknowledged {
		u.run.counts.acknowledged.Add(1)
	} else {
		u.run.counts.cutOff.Add(1)
	}
}

// act does one thing with an open or closed merge request.
func (u *faultUser) act(state string) {
	path := fmt.Sprint("/", u.iid)
	do := func(kind, what, method, path string, body map[string]any) {
		status, err := u.call(method, path, body, nil)
		refused := err == nil && status >= 400 && status < 500
		if !refused {
			u.record(operation{u.iid, kind, what, err == nil && status < 300})
		}
	}
	n := u.rng.IntN(20)
	switch {
	case state == "closed":
		do("reopen", "", "PUT", path, map[string]any{"state_event": "reopen"})
	case n < 10:
		u.push()
	case n < 13:
		u.commit++
		title := fmt.Sprint("Title ", u.name, " ", u.commit)
		do("edit", title, "PUT", path, map[string]any{"title": title})
	case n < 15:
		do("close", "", "PUT", path, map[string]any{"state_event": "close"})
	case n < 16:
		do("approved", "", "POST", path+"/approve", nil)
	case n < 17:
		do("unapproved", "", "POST", path+"/unapprove", nil)
	case n < 18:
		do("merge", "", "PUT", path+"/merge", nil)
	default:
		for id := range u.run.services {
			var mr struct{ SHA string }
			if status, err := u.call("GET", path, nil, &mr); err == nil && status == http.StatusOK {
				_, _ = u.call("POST", path+"/status_check_responses", map[string]any{"external_status_check_id": id, "sha": mr.SHA, "status": "failed"}, nil)
				_, _ = u.call("POST", fmt.Sprintf("%s/status_checks/%d/retry", path, id), nil, nil)
			}
			break
		}
	}
}
