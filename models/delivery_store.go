package models

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

// SendTest sends a test delivery to a service. The payload describes the project's
// newest merge request, or a sample if there is none. It changes no check.
func (s *Store) SendTest(ctx context.Context, by User, projectID, serviceID int64) (Delivery, error) {
	var d Delivery
	err := s.Transaction(ctx, func(tx *Store) error {
		service, err := tx.ExternalStatusCheck(ctx, projectID, serviceID)
		if err != nil {
			return err
		}
		d, err = tx.newTestDelivery(ctx, by, projectID, EventService{ID: service.ID, Name: service.Name, URL: service.ExternalURL})
		if err != nil {
			return err
		}
		if err := tx.writer(ctx).Create(&d).Error; err != nil {
			return err
		}
		if err := tx.arrive(ctx, ArrivedDelivery{d.ID, serviceID}); err != nil {
			return err
		}
		if err := tx.requestProbe(ctx, serviceID); err != nil {
			return err
		}
		return tx.notifyDeliveries(ctx)
	})
	return d, err
}

// TraceParentOfCheck returns Delivery.TraceParent of the newest delivery of a check, "" if
// it has none.
func (s *Store) TraceParentOfCheck(ctx context.Context, checkID int64) (string, error) {
	var found []string
	err := s.reader(ctx).Table("deliveries d").Joins("JOIN merge_request_checks c ON c.delivery_id = d.id").
		Where("c.id = ?", checkID).Pluck("d.trace_parent", &found).Error
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0], nil
}

// newTestDelivery returns a test delivery to a service, without storing it.
func (s *Store) newTestDelivery(ctx context.Context, by User, projectID int64, service EventService) (Delivery, error) {
	project, err := s.Project(ctx, projectID)
	if err != nil {
		return Delivery{}, err
	}
	var mr MergeRequest
	err = s.reader(ctx).Preload("Author").Where("project_id = ?", projectID).Order("id DESC").Take(&mr).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		mr, err = sampleMergeRequest(project, by, s.Now()), nil
	}
	if err != nil {
		return Delivery{}, err
	}
	now := s.Now()
	event := Event{
		UUID: uuid.NewString(), At: now, User: by, Project: project, MergeRequest: mr, MergeStatus: mergeStatus(project, mr, nil, now),
		Service: service, Test: true,
	}
	payload, err := s.shared.cfg.Payload(event)
	// Without MergeRequestID, the test waits for no other delivery.
	return Delivery{
		ProjectID: projectID, ExternalStatusCheckID: service.ID, MergeRequestIID: mr.IID, UUID: uuid.NewString(), EventUUID: event.UUID,
		Kind: DeliveryOfTest, SHA: mr.HeadSHA, URL: service.URL, Payload: payload, State: DeliveryWaiting, SingleAttempt: true,
		NextAttemptAt: now, TraceParent: s.shared.cfg.TraceParent(ctx), CreatedAt: now,
	}, err
}

// sampleMergeRequest returns the merge request of a test payload for a project that has
// none.
func sampleMergeRequest(project Project, by User, now time.Time) MergeRequest {
	mr := MergeRequest{
		ProjectID: project.ID, Title: "Sample merge request", SourceBranch: "sample", TargetBranch: project.DefaultBranch,
		AuthorID: ID(by.ID), Author: &by, State: StateOpened, CreatedAt: now, UpdatedAt: now,
	}
	mr.setHead(Commit{SHA: zeroSHA, Message: "Sample commit", AuthorName: by.Name, CommittedAt: now})
	return mr
}
