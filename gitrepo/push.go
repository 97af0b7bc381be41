package gitrepo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// hookTime is how long the handling of a hook may take.
const hookTime = 2 * time.Minute

// maxHookBytes is the maximum size of what a hook sends: enough for tens of thousands
// of refs.
const maxHookBytes = 16 << 20

// maxPushOptions is the maximum number of push options that are passed on.
const maxPushOptions = 100

// PushHandler decides about a push and processes it. Its methods run while git waits
// in a hook. Their context ends after two minutes, not when the client disconnects. git
// shows what they return to the user.
type PushHandler interface {
	// PreReceive is called before the refs of a push move. If it returns a refusal,
	// none of them moves.
	PreReceive(ctx context.Context, p Push) (refusal string)
	// PostReceive is called after the refs have moved.
	PostReceive(ctx context.Context, p Push) (message string)
}

// Push is what a push changes.
type Push struct {
	Updates []RefUpdate
	Options []string // the values of git push -o, in order
}

// RefUpdate is the update of one ref by a push, in refs/heads/ or refs/tags/.
type RefUpdate struct {
	Ref string
	Old string // ZeroID if the ref is created
	New string // ZeroID if the ref is deleted
	// Forced means that the new commit does not contain the old one. Only
	// PreReceive gets it.
	Forced bool
}

// refusal is an error whose text is shown to the user who pushes.
type refusal string

func (r refusal) Error() string { return string(r) }

// What git shows to the user if handling a hook failed.
const (
	cannotCheckMessage = "The push was rejected because Mergegate cannot check it at the moment. Please try again in a minute."
	receivedMessage    = "Your push was received. Mergegate will process it later."
)

// hookPipes connects the hooks of one push, which are processes of git, with its
// handler in this process. git passes the child ends of the two pipes to its own child
// processes. If this process ends, the pipes end, and so does the push.
type hookPipes struct {
	store     *Store
	repo      int64
	handler   PushHandler
	syncRefs  bool // wait for the disk before PostReceive
	requests  *os.File
	responses *os.File
	childEnds []*os.File // for the process of git
	running   sync.WaitGroup
}

// openHookPipes creates pipes. The process of git must get the child ends as the file
// descriptors 3 and 4, which hookScript uses.
func (s *Store) openHookPipes(repo int64, handler PushHandler) (*hookPipes, error) {
	requests, childRequests, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open a pipe for hooks: %w", err)
	}
	childResponses, responses, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a pipe for hooks: %w", err), requests.Close(), childRequests.Close())
	}
	return &hookPipes{
		store: s, repo: repo, handler: handler, requests: requests, responses: responses,
		childEnds: []*os.File{childRequests, childResponses},
	}, nil
}

// serve handles hooks in the background. Call it after the process has started.
func (p *hookPipes) serve(ctx context.Context) {
	p.closeChildEnds()
	p.running.Go(func() {
		for p.serveHook(context.WithoutCancel(ctx)) {
		}
		// A hook that still writes or waits fails now.
		p.requests.Close()
		p.responses.Close()
	})
}

// close ends the pipes after the process has ended or did not start. It waits for a
// handler that runs.
func (p *hookPipes) close() {
	p.closeChildEnds()
	p.requests.Close()
	p.running.Wait()
	p.responses.Close()
}

func (p *hookPipes) closeChildEnds() {
	for _, file := range p.childEnds {
		file.Close()
	}
}

// serveHook handles one hook and reports whether another one may follow.
func (p *hookPipes) serveHook(ctx context.Context) bool {
	hook, err := readHook(p.requests)
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
		return false // git has ended, or was killed
	}
	ctx, cancel := context.WithTimeout(ctx, hookTime)
	defer cancel()
	var answer hookAnswer
	if err == nil {
		answer, err = p.handle(ctx, hook)
	} else {
		p.requests.Close() // the hook may still write, and reads the answer afterwards
	}
	if reason, ok := errors.AsType[refusal](err); ok {
		answer = hookAnswer{refused: true, message: string(reason)}
	} else if err != nil {
		p.store.log.ErrorContext(ctx, "hook failed", "project_id", p.repo, "hook", hook.name, "error", err)
		answer = hookAnswer{refused: true, message: cannotCheckMessage}
		if hook.name == postReceive {
			answer = hookAnswer{message: receivedMessage}
		}
	}
	if err := p.respond(answer); err != nil {
		p.store.log.WarnContext(ctx, "hook ended before its answer", "project_id", p.repo, "hook", hook.name, "error", err)
		return false
	}
	return true
}

// hookAnswer is the answer to a hook. git shows message to the user.
type hookAnswer struct {
	refused bool
	message string
}

// handle passes a hook to the handler. The error is a refusal if the handler must not
// see the push.
func (p *hookPipes) handle(ctx context.Context, hook hook) (answer hookAnswer, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the handler panicked: %v\n%s", v, debug.Stack())
		}
	}()
	switch hook.name {
	case preReceive:
		check := pushCheck{repo: p.store.Repo(p.repo), objects: hook.objects}
		if err := check.run(ctx, hook.push.Updates); err != nil {
			return answer, err
		}
		answer.message = p.handler.PreReceive(ctx, hook.push)
		answer.refused = answer.message != ""
	case postReceive:
		if p.syncRefs {
			if err := syncFolder(p.store.path(p.repo)); err != nil {
				return answer, err
			}
		}
		answer.message = p.handler.PostReceive(ctx, hook.push)
	default:
		err = fmt.Errorf("unknown hook %q", hook.name)
	}
	return answer, err
}

// respond writes lines as hookScript reads them.
func (p *hookPipes) respond(answer hookAnswer) error {
	if err := p.responses.SetWriteDeadline(time.Now().Add(hookTime)); err != nil {
		return err
	}
	var out strings.Builder
	if answer.message != "" {
		for line := range strings.SplitSeq(validText(answer.message), "\n") {
			out.WriteString("|" + line + "\n")
		}
	}
	if answer.refused {
		out.WriteString("refuse\n")
	} else {
		out.WriteString("accept\n")
	}
	_, err := io.WriteString(p.responses, out.String())
	return err
}

// hook is what hookScript sends.
type hook struct {
	name    string
	objects []string // environment variables with which git finds the new objects
	push    Push
}

// readHook reads the next hook: its name, the folders of new and of other objects, push
// options with a "+", an empty text, and the lines "<old> <new> <ref>" of git, each
// followed by NUL. It returns io.EOF if the hooks have ended, and a refusal if the data
// is too large or invalid. A hook writes nothing more until its answer, so buffering
// loses nothing.
func readHook(pipe io.Reader) (hook, error) {
	limited := &io.LimitedReader{R: pipe, N: maxHookBytes}
	in := bufio.NewReader(limited)
	var failed error
	next := func() string {
		text, err := in.ReadString(0)
		if failed == nil {
			failed = err
		}
		return strings.TrimSuffix(text, "\x00")
	}
	h := hook{name: next()}
	for _, variable := range []string{"GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"} {
		if value := next(); value != "" { // a push that only deletes refs has no new objects
			h.objects = append(h.objects, variable+"="+value)
		}
	}
	for option := next(); option != ""; option = next() {
		if len(h.push.Options) < maxPushOptions {
			h.push.Options = append(h.push.Options, validText(option[1:]))
		}
	}
	list := next()
	if failed != nil {
		if limited.N == 0 {
			return h, refusal("The push was rejected because it updates too many refs at once.")
		}
		return h, failed
	}
	for line := range strings.Lines(list) {
		words := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		if len(words) != 3 || checkIDs(words[0], words[1]) != nil {
			return h, refusal("The push was rejected because the list of refs from git is invalid.")
		}
		h.push.Updates = append(h.push.Updates, RefUpdate{Old: words[0], New: words[1], Ref: words[2]})
	}
	return h, nil
}
