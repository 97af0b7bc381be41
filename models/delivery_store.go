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
		project, err := tx.Project(ctx, projectID)
		if err != nil {
			return err
		}
		var mr MergeRequest
		err = tx.reader(ctx).Preload("Author").Where("project_id = ?", projectID).Order("id DESC").Take(&mr).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			mr, err = sampleMergeRequest(project, by, tx.Now()), nil
		}
		if err != nil {
			return err
		}
		now := tx.Now()
		event := Event{
			UUID: uuid.NewString(), At: now, User: by, Project: project, MergeRequest: mr, MergeStatus: mergeStatus(project, mr, nil, now),
			Service: EventService{ID: service.ID, Name: service.Name, URL: service.ExternalURL}, Test: true,
		}
		payload, err := tx.shared.cfg.Payload(event)
		if err != nil {
			return err
		}
		// Without MergeRequestID, the test waits for no other delivery.
		d = Delivery{
			ProjectID: projectID, ExternalStatusCheckID: serviceID, MergeRequestIID: mr.IID, UUID: uuid.NewString(), EventUUID: event.UUID,
			Kind: DeliveryOfTest, SHA: mr.HeadSHA, URL: service.ExternalURL, Payload: payload, State: DeliveryWaiting, SingleAttempt: true,
			NextAttemptAt: now, UserID: ID(by.ID), CreatedAt: now,
		}
		if err := tx.writer(ctx).Create(&d).Error; err != nil {
			return err
		}
		if err := tx.requestProbe(ctx, serviceID); err != nil {
			return err
		}
		return tx.notifyDeliveries(ctx)
	})
	return d, err
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
