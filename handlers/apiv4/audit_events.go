package apiv4

import (
	"net/http"
	"strings"

	"github.com/mergegate/mergegate/models"
)

type auditEventEntity struct {
	ID         int64              `json:"id"`
	AuthorID   int64              `json:"author_id"`
	EntityID   int64              `json:"entity_id"`
	EntityType models.AuditEntity `json:"entity_type"`
	EventName  models.AuditAction `json:"event_name"`
	Details    auditDetails       `json:"details"`
	CreatedAt  timestamp          `json:"created_at"`
}

// auditDetails are GitLab's, and all changes of the event (ours). Change, From and To
// are those of the first change.
type auditDetails struct {
	CustomMessage string               `json:"custom_message"`
	Change        string               `json:"change,omitempty"`
	From          string               `json:"from,omitempty"`
	To            string               `json:"to,omitempty"`
	AuthorName    string               `json:"author_name"`
	AuthorEmail   string               `json:"author_email"`
	TargetID      int64                `json:"target_id"`
	TargetDetails string               `json:"target_details"`
	IPAddress     *string              `json:"ip_address"`
	EntityPath    *string              `json:"entity_path"`
	Changes       []models.AuditChange `json:"changes"`
}

// auditEvents returns the entities of audit events.
func (c *call) auditEvents(events []models.AuditEvent) ([]auditEventEntity, error) {
	var projects []int64
	for _, e := range events {
		if e.ProjectID != nil {
			projects = append(projects, *e.ProjectID)
		}
	}
	paths, err := c.api.Store.ProjectPaths(c.ctx(), projects)
	if err != nil {
		return nil, err
	}
	list := make([]auditEventEntity, len(events))
	for i, e := range events {
		entity, id := e.Entity()
		list[i] = auditEventEntity{
			ID: e.ID, AuthorID: -1, EntityID: id, EntityType: entity, EventName: e.Action, CreatedAt: timestamp(e.CreatedAt),
			Details: auditDetails{
				CustomMessage: strings.ReplaceAll(string(e.Action), "_", " "), AuthorName: e.UserName,
				TargetID: e.TargetID, TargetDetails: e.Target, IPAddress: textOrNull(e.IP), Changes: e.Details,
			},
		}
		details := &list[i].Details
		if e.UserID != nil {
			list[i].AuthorID = *e.UserID
		}
		if e.User != nil {
			details.AuthorEmail = e.User.Email
		}
		if len(e.Details) > 0 {
			details.Change, details.From, details.To = e.Details[0].Field, e.Details[0].From, e.Details[0].To
		}
		if path := paths[id]; entity == models.AuditEntityProject && path != "" {
			details.EntityPath = &path
		}
	}
	return list, nil
}

// listAuditEvents lists the audit events of the instance and of all projects.
func listAuditEvents(c *call) error {
	filter := models.AuditFilter{Everywhere: true}
	entity := c.enum("entity_type", string(models.AuditEntityProject), string(models.AuditEntityUser), string(models.AuditEntityInstance))
	id, after, before, page := c.number("entity_id"), c.date("created_after"), c.date("created_before"), c.page()
	if id != nil && entity == nil {
		c.addFault("entity_type", "is missing")
	}
	if err := c.paramError(); err != nil {
		return err
	}
	if entity != nil {
		filter.Entity = models.AuditEntity(*entity)
	}
	if id != nil {
		filter.EntityID = *id
		if *id <= 0 {
			filter.EntityID = -1 // matches nothing; 0 would select all
		}
	}
	if after != nil {
		filter.From = *after
	}
	if before != nil {
		filter.Before = *before
	}
	events, total, err := c.api.Store.AuditEvents(c.ctx(), 0, filter, page.storePage())
	if err != nil {
		return err
	}
	list, err := c.auditEvents(events)
	if err != nil {
		return err
	}
	return replyList(c, page, list, total)
}

func getAuditEvent(c *call) error {
	id, err := c.pathID("event_id")
	if err != nil {
		return notFound("Audit Event")
	}
	event, err := c.api.Store.AuditEvent(c.ctx(), id)
	if models.KindOf(err) == models.KindNotFound {
		return notFound("Audit Event")
	}
	if err != nil {
		return err
	}
	list, err := c.auditEvents([]models.AuditEvent{event})
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, list[0])
}
