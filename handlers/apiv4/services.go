package apiv4

import (
	"errors"
	"net/http"
	"time"

	"github.com/mergegate/mergegate/models"
)

func listServices(c *call) error {
	page := c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	services, total, err := c.api.Store.ExternalStatusChecks(c.ctx(), c.access.Project.ID, page.storePage())
	if err != nil {
		return err
	}
	protected, err := c.protectedBranches()
	if err != nil {
		return err
	}
	entities := mapSlice(services, func(s models.ExternalStatusCheck) serviceEntity { return newServiceEntity(s, protected) })
	return replyList(c, page, entities, total)
}

func createService(c *call) error {
	c.requireParams("name", "external_url")
	name, address, secret := c.text("name"), c.text("external_url"), c.text("shared_secret")
	ids, apply := c.numbers("protected_branch_ids"), c.boolean("apply_to_open_merge_requests")
	timeout, informational, headers := c.number("timeout_seconds"), c.boolean("informational"), c.customHeaders()
	callbackOnly := c.boolean("callback_only")
	if err := c.paramError(); err != nil {
		return err
	}
	in := models.ExternalStatusCheckInput{
		Name: *name, ExternalURL: *address, SharedSecret: orEmpty(secret), TimeoutSeconds: timeout, Informational: isTrue(informational),
		CallbackOnly: isTrue(callbackOnly),
	}
	if ids != nil {
		in.ProtectedBranchIDs = *ids
	}
	if headers != nil {
		in.CustomHeaders = *headers
	}
	created, err := c.api.Store.CreateExternalStatusCheck(c.ctx(), c.me, c.access.Project.ID, in, isTrue(apply))
	if err != nil {
		return serviceRefusal(err)
	}
	return c.replyService(http.StatusCreated, created)
}

// updateService changes the given attributes. Declarative clients send all of them,
// with shared_secret "" to keep the secret.
func updateService(c *call) error {
	id, err := c.pathID("check_id")
	if err != nil {
		return err
	}
	in := models.ExternalStatusCheckUpdate{
		Name: c.text("name"), ExternalURL: c.text("external_url"), ProtectedBranchIDs: c.numbers("protected_branch_ids"),
		SharedSecret: c.text("shared_secret"), TimeoutSeconds: c.number("timeout_seconds"), Informational: c.boolean("informational"),
		CustomHeaders: c.customHeaders(), CallbackOnly: c.boolean("callback_only"),
	}
	apply := c.boolean("apply_to_open_merge_requests")
	if err := c.paramError(); err != nil {
		return err
	}
	updated, err := c.api.Store.UpdateExternalStatusCheck(c.ctx(), c.me, c.access.Project.ID, id, in, isTrue(apply))
	if err != nil {
		return serviceRefusal(err)
	}
	return c.replyService(http.StatusOK, updated)
}

func deleteService(c *call) error {
	id, err := c.pathID("check_id")
	if err != nil {
		return err
	}
	err = c.checkUnmodifiedSince(func() (time.Time, error) {
		service, err := c.api.Store.ExternalStatusCheck(c.ctx(), c.access.Project.ID, id)
		return service.UpdatedAt, err
	})
	if err != nil {
		return err
	}
	if err := c.api.Store.DeleteExternalStatusCheck(c.ctx(), c.me, c.access.Project.ID, id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (c *call) replyService(status int, s models.ExternalStatusCheck) error {
	protected, err := c.protectedBranches()
	if err != nil {
		return err
	}
	entity := newServiceEntity(s, protected)
	if s.Incomplete != nil {
		c.logIncomplete("service saved, not applied to all open merge requests yet", s.Incomplete)
		entity.Incomplete = []string{"apply_to_open_merge_requests"}
	}
	return c.reply(status, entity)
}

// customHeaders returns the parameter custom_headers, a list of objects with key and
// value as in GitLab's webhooks, or nil if it is missing or null. Forms send each key
// and each value as an object of its own; the values belong to the keys in order.
func (c *call) customHeaders() *[]models.CustomHeaderInput {
	const name = "custom_headers"
	list, given := c.list(name)
	if !given {
		return nil
	}
	headers, loose := []models.CustomHeaderInput{}, []string{}
	for _, element := range list {
		object, _ := element.(map[string]any)
		key, hasKey := object["key"].(string)
		value, hasValue := object["value"].(string)
		if !hasKey && !hasValue || object["value"] != nil && !hasValue {
			c.addFault(name, "is invalid")
			return nil
		}
		if hasKey {
			headers = append(headers, models.CustomHeaderInput{Name: key, Value: value})
		} else {
			loose = append(loose, value)
		}
	}
	if len(loose) > len(headers) {
		c.addFault(name, "is invalid")
		return nil
	}
	for i, value := range loose {
		headers[i].Value = value
	}
	return &headers
}

// protectedBranches returns all protected branches of the project.
func (c *call) protectedBranches() ([]models.ProtectedBranch, error) {
	rules, _, err := c.api.Store.ProtectedBranches(c.ctx(), c.access.Project.ID, "", models.Page{})
	return rules, err
}

// serviceRefusal answers field errors of a service as GitLab does: 422 with a list
// of messages.
func serviceRefusal(err error) error {
	var e *models.Error
	if errors.As(err, &e) && e.Kind == models.KindInvalid {
		return message(http.StatusUnprocessableEntity, fullMessages(e))
	}
	return err
}
