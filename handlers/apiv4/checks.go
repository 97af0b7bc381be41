package apiv4

import (
	"net/http"
	"slices"

	"github.com/mergegate/mergegate/models"
)

// listChecks lists the status checks of a merge request for its current HEAD.
func listChecks(c *call) error {
	page := c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	now := c.now()
	c.Response().Header().Set("Poll-Interval", "10000")
	show := func(check models.MergeRequestCheck) checkEntity { return c.check(check, now) }
	return replyList(c, page, mapSlice(pageOf(c.checks, page), show), int64(len(c.checks)))
}

// responseEntity is the answer to a response: GitLab's fields and, from sha on,
// our own.
type responseEntity struct {
	ID           int64              `json:"id"`
	MergeRequest mergeRequestEntity `json:"merge_request"`
	Service      serviceOfResponse  `json:"external_status_check"`
	SHA          string             `json:"sha"`
	Status       models.Status      `json:"status"`
	Description  *string            `json:"description"`
	TargetURL    *string            `json:"target_url"`
	Late         bool               `json:"late"`
	Via          models.ResponseVia `json:"via"`
	CreatedAt    timestamp          `json:"created_at"`
}

type serviceOfResponse struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	ExternalURL string `json:"external_url"`
}

// respond records the response of a service for HEAD. After the merge the response
// is marked as late and does not change the check.
func respond(c *call) error {
	c.requireParams("external_status_check_id", "sha")
	id, sha := c.number("external_status_check_id"), c.text("sha")
	in, err := c.responseInput()
	if err != nil {
		return err
	}
	in.ExternalStatusCheckID, in.SHA = *id, *sha
	return c.recordResponse(in)
}

// responseInput reads the parameters of a response other than its check and SHA. It
// returns the faults of all parameters.
func (c *call) responseInput() (models.ResponseInput, error) {
	c.requireParams("status")
	status := c.enum("status", string(models.StatusPassed), string(models.StatusFailed), string(models.StatusPending))
	in := models.ResponseInput{Description: orEmpty(c.text("description")), TargetURL: orEmpty(c.text("target_url"))}
	if err := c.paramError(); err != nil {
		return in, err
	}
	in.Status = models.Status(*status)
	return in, nil
}

// recordResponse records a response and answers with it.
func (c *call) recordResponse(in models.ResponseInput) error {
	recorded, err := c.api.Store.RecordResponse(c.ctx(), c.me, c.access.Project.ID, c.mr.IID, in)
	if err != nil {
		return err
	}
	if c.api.Answered != nil {
		c.api.Answered(c.ctx(), recorded)
	}
	response, check := recorded.Response, recorded.Check
	return c.reply(http.StatusCreated, responseEntity{
		ID: response.ID, MergeRequest: c.mergeRequestWithoutGit(recorded),
		Service: serviceOfResponse{check.ExternalStatusCheckID, check.Name, c.serviceURL(check.ExternalURL)},
		SHA:     response.SHA, Status: response.Status, Description: textOrNull(response.Description),
		TargetURL: textOrNull(response.TargetURL), Late: response.Late, Via: response.Via, CreatedAt: timestamp(response.CreatedAt),
	})
}

// recordedResponse is a response in the history of a check.
type recordedResponse struct {
	ID          int64              `json:"id"`
	ServiceID   int64              `json:"external_status_check_id"`
	SHA         string             `json:"sha"`
	Status      models.Status      `json:"status"`
	Description *string            `json:"description"`
	TargetURL   *string            `json:"target_url"`
	UserID      *int64             `json:"user_id"`
	Late        bool               `json:"late"`
	Via         models.ResponseVia `json:"via"`
	CreatedAt   timestamp          `json:"created_at"`
}

// listResponses lists all responses of a service to a merge request, including
// those for earlier HEADs.
func listResponses(c *call) error {
	page := c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	id, err := c.pathID("check_id")
	if err != nil {
		return err
	}
	isService := func(check models.MergeRequestCheck) bool { return check.ExternalStatusCheckID == id }
	if !slices.ContainsFunc(c.checks, isService) {
		return errNotFound
	}
	responses, total, err := c.api.Store.Responses(c.ctx(), c.mr.ID, id, page.storePage())
	if err != nil {
		return err
	}
	return replyList(c, page, mapSlice(responses, func(r models.StatusCheckResponse) recordedResponse {
		return recordedResponse{
			ID: r.ID, ServiceID: r.ExternalStatusCheckID, SHA: r.SHA, Status: r.Status, Description: textOrNull(r.Description),
			TargetURL: textOrNull(r.TargetURL), UserID: r.UserID, Late: r.Late, Via: r.Via, CreatedAt: timestamp(r.CreatedAt),
		}
	}), total)
}

// mergeRequestWithoutGit returns the merge request of a response from the database alone.
// It does not ask git whether it can be merged, so that services get their answer quickly.
func (c *call) mergeRequestWithoutGit(r models.RecordedResponse) mergeRequestEntity {
	return c.mergeRequest(c.access.Project, r.MergeRequest, models.Mergeable(c.access.Project, r.MergeRequest, r.Checks, c.now()))
}

// retry sets a failed check to pending and sends the service a new delivery.
func retry(c *call) error {
	id, err := c.pathID("check_id")
	if err != nil {
		return err
	}
	if _, err := c.api.Store.RetryCheck(c.ctx(), c.me, c.access.Project.ID, c.mr.IID, id); err != nil {
		return err
	}
	return c.replyAccepted()
}

// retryFailed retries all failed checks of the merge request as one event.
func retryFailed(c *call) error {
	if _, err := c.api.Store.RetryFailedChecks(c.ctx(), c.me, c.access.Project.ID, c.mr.IID); err != nil {
		return err
	}
	return c.replyAccepted()
}
