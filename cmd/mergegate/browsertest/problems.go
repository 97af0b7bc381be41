package browsertest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"

	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// problems collects what a page must not do. The browser's events arrive on
// another goroutine than the test's.
type problems struct {
	sync.Mutex
	found   []string
	allowed []*regexp.Regexp
	loading map[network.RequestID]string // addresses of requests that have not ended
}

// observe is called for every event of the tab.
func (p *problems) observe(event any) {
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.setLoading(e.RequestID, e.Request.URL)
	case *network.EventLoadingFinished:
		p.setLoading(e.RequestID, "")
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			p.add("console: %s", consoleText(e.Args))
		}
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		p.add("exception: %s", text)
	case *cdplog.EventEntryAdded:
		// The network events below report failed requests with more details.
		if e.Entry.Level == cdplog.EntryLevelError && e.Entry.Source != cdplog.EntrySourceNetwork {
			p.add("%s: %s", e.Entry.Source, e.Entry.Text)
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			p.add("%d from %s", e.Response.Status, e.Response.URL)
		}
	case *network.EventLoadingFailed:
		p.setLoading(e.RequestID, "")
		if !e.Canceled { // a page that is left cancels its requests
			p.add("%s request failed: %s %s", e.Type, e.ErrorText, e.BlockedReason)
		}
	}
}

func (p *problems) add(format string, args ...any) {
	p.Lock()
	defer p.Unlock()
	p.found = append(p.found, fmt.Sprintf(format, args...))
}

// setLoading records that a request has begun, or with "" that it has ended.
func (p *problems) setLoading(id network.RequestID, address string) {
	p.Lock()
	defer p.Unlock()
	if address == "" {
		delete(p.loading, id)
	} else {
		p.loading[id] = address
	}
}

// stillLoading returns the addresses of requests that have not ended.
func (p *problems) stillLoading() []string {
	p.Lock()
	defer p.Unlock()
	return slices.Sorted(maps.Values(p.loading))
}

func (p *problems) allow(pattern string) {
	p.Lock()
	defer p.Unlock()
	p.allowed = append(p.allowed, regexp.MustCompile(pattern))
}

// unexpected gives the problems that no allowed pattern matches.
func (p *problems) unexpected() []string {
	p.Lock()
	defer p.Unlock()
	var left []string
	for _, problem := range p.found {
		expected := false
		for _, pattern := range p.allowed {
			expected = expected || pattern.MatchString(problem)
		}
		if !expected {
			left = append(left, problem)
		}
	}
	return left
}

func consoleText(args []*runtime.RemoteObject) string {
	text := ""
	for _, arg := range args {
		if text += " "; arg.Description != "" {
			text += arg.Description
		} else {
			text += string(arg.Value)
		}
	}
	return text
}
