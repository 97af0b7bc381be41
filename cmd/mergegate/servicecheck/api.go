package servicecheck

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/mergegate/mergegate/models"
)

// api is the part of Mergegate's API that a service needs. It records what the
// service sends.
type api struct {
	token string // "" accepts every token

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each response
	heads   map[int64]string
	known   map[string]bool // SHAs of deliveries
	answers []answer
	report  *Report
}

// answer is a request of the service that names a merge request.
type answer struct {
	at     time.Time
	iid    int64
	sha    string
	status string
	code   int // what the API answered
}

func newAPI(token string, report *Report) *api {
	return &api{
		token: token, report: report, changed: make(chan struct{}),
		heads: map[int64]string{}, known: map[string]bool{},
	}
}

// setHead registers the HEAD of a merge request before its event is sent.
func (a *api) setHead(e models.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heads[e.MergeRequest.IID] = e.MergeRequest.HeadSHA
	a.known[e.MergeRequest.HeadSHA] = true
}

// find returns the answers that match, and a channel that is closed when there
// are more.
func (a *api) find(match func(answer) bool) ([]answer, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []answer
	for _, r := range a.answers {
		if match(r) {
			found = append(found, r)
		}
	}
	return found, a.changed
}

const responsesPath = "/api/v4/projects/{project}/merge_requests/{iid}/status_check_responses"

func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v4/version", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]any{"version": "18.5.0", "revision": "check-service"})
	})
	mux.HandleFunc("POST "+responsesPath, a.respond)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		switch {
		case strings.HasSuffix(r.URL.Path, "/status_check_responses"):
			a.report.fault("API", fmt.Sprintf("The service sent %s %s; a response is a POST to /api/v4/projects/:project_id/merge_requests/:iid/status_check_responses.", r.Method, r.URL.Path),
				"take project.id and object_attributes.iid from the delivery.")
		default:
			a.report.advise("API", fmt.Sprintf("The service requested %s %s, which check-service cannot answer.", r.Method, r.URL.Path),
				"nothing, if the service also answers checks when this request fails; try it with a real project otherwise.")
		}
		reply(w, http.StatusNotFound, map[string]any{"message": "404 Not Found"})
	})
	return mux
}

// respond handles a response. The order of the checks is Mergegate's.
func (a *api) respond(w http.ResponseWriter, r *http.Request) {
	got := answer{at: time.Now()}
	params, paramsErr := parameters(r)
	a.mu.Lock()
	defer a.mu.Unlock()
	got.iid, _ = strconv.ParseInt(r.PathValue("iid"), 10, 64)
	got.sha, got.status = params["sha"], params["status"]
	message := a.judge(r, params, paramsErr, &got)
	a.answers = append(a.answers, got)
	close(a.changed)
	a.changed = make(chan struct{})
	if got.code == http.StatusCreated {
		reply(w, got.code, map[string]any{
			"id": len(a.answers), "merge_request": map[string]any{"id": mergeRequestBase + got.iid, "iid": got.iid, "project_id": projectID},
			"external_status_check": map[string]any{"id": serviceID, "name": "check-service"},
			"sha":                   got.sha, "status": got.status,
		})
		return
	}
	reply(w, got.code, map[string]any{"message": message})
}

// judge sets the status code of a response, records its faults, and returns the
// message of the error.
func (a *api) judge(r *http.Request, params map[string]string, paramsErr error, got *answer) string {
	fail := func(code int, message, text, mend string) string {
		got.code = code
		if text != "" {
			a.report.fault("API", text, mend)
		}
		return message
	}
	head, exists := a.heads[got.iid]
	switch token := tokenOf(r); {
	case token == "":
		return fail(http.StatusUnauthorized, "401 Unauthorized",
			"The service sent a response without an access token.", "send the token in the header PRIVATE-TOKEN.")
	case a.token != "" && token != a.token:
		return fail(http.StatusUnauthorized, "401 Unauthorized",
			"The service sent a response with another access token.",
			"configure the token that is given to check-service.")
	}
	switch project := r.PathValue("project"); {
	case project != strconv.Itoa(projectID) && project != "check-service/sample":
		return fail(http.StatusNotFound, "404 Not Found",
			fmt.Sprintf("The service sent a response to project %s, but the delivery has project.id %d.", project, projectID),
			"use project.id of the delivery.")
	case r.PathValue("iid") == "0": // a response to test-sample
		return fail(http.StatusNotFound, "404 Not Found", "", "")
	case !exists && got.iid > mergeRequestBase:
		return fail(http.StatusNotFound, "404 Not Found",
			"The service used object_attributes.id in the address of a response.",
			"use object_attributes.iid, the number of the merge request in its project.")
	case !exists:
		return fail(http.StatusNotFound, "404 Not Found", fmt.Sprintf("The service sent a response to merge request %s, of which there was no delivery.", r.PathValue("iid")),
			"use object_attributes.iid of the delivery.")
	case paramsErr != nil:
		return fail(http.StatusBadRequest, "400 Bad Request",
			"The body of a response cannot be read: "+paramsErr.Error()+".",
			"send JSON with Content-Type application/json, a form, or the query string.")
	}
	for _, name := range []string{"external_status_check_id", "sha", "status"} {
		if params[name] == "" {
			return fail(http.StatusBadRequest, name+" is missing", "A response has no "+name+".",
				"send external_status_check_id, sha and status in each response.")
		}
	}
	target, targetErr := url.Parse(params["target_url"])
	switch {
	case !slices.Contains([]string{"passed", "failed", "pending"}, got.status):
		return fail(http.StatusBadRequest, "status does not have a valid value",
			fmt.Sprintf("A response has the status %q.", got.status), "send passed, failed or pending.")
	case utf8.RuneCountInString(params["description"]) > 255:
		return fail(http.StatusBadRequest, "description is too long",
			"A response has a description of more than 255 characters.",
			"shorten it, and link the rest with target_url.")
	case params["target_url"] != "" && (targetErr != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https"):
		return fail(http.StatusBadRequest, "target_url is invalid",
			fmt.Sprintf("A response has the target_url %q.", params["target_url"]),
			"send an absolute http or https URL.")
	case params["external_status_check_id"] != strconv.Itoa(serviceID):
		return fail(http.StatusNotFound, "404 Not Found", fmt.Sprintf("A response has external_status_check_id %s, but the delivery has external_approval_rule.id %d.", params["external_status_check_id"], serviceID),
			"use external_approval_rule.id of the delivery.")
	case got.sha == head:
		got.code = http.StatusCreated
		return ""
	}
	const conflict = "409 Conflict: sha is not HEAD"
	switch {
	case a.known[got.sha]:
		return fail(http.StatusConflict, conflict, "", "")
	case len(got.sha) >= 4 && strings.HasPrefix(head, got.sha):
		return fail(http.StatusConflict, conflict, "A response has a shortened SHA.",
			"send object_attributes.last_commit.id in full.")
	}
	return fail(http.StatusConflict, conflict,
		fmt.Sprintf("A response has the SHA %q, which was last_commit.id of no delivery.", got.sha),
		"use object_attributes.last_commit.id of the delivery.")
}

func tokenOf(r *http.Request) string {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return token
	}
	if token := r.Header.Get("PRIVATE-TOKEN"); token != "" {
		return token
	}
	return r.URL.Query().Get("private_token")
}

// parameters returns the parameters of a request, whose body may be JSON or a
// form.
func parameters(r *http.Request) (map[string]string, error) {
	params := map[string]string{}
	r.Body = http.MaxBytesReader(nil, r.Body, 1<<20)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/json" {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return params, err
		}
		var fields map[string]any
		decoder := json.NewDecoder(strings.NewReader(string(content)))
		decoder.UseNumber()
		if err := decoder.Decode(&fields); err != nil && len(content) > 0 {
			return params, err
		}
		for name, value := range fields {
			if value != nil {
				params[name] = fmt.Sprint(value)
			}
		}
	} else if err := r.ParseMultipartForm(1 << 20); err != nil && err != http.ErrNotMultipart {
		return params, err
	}
	if err := r.ParseForm(); err != nil {
		return params, err
	}
	for name := range r.Form {
		params[name] = r.Form.Get(name)
	}
	return params, nil
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}
