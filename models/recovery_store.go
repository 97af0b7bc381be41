package models

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// ProjectError is an error of recovery about one project.
type ProjectError struct {
	ProjectID int64
	Err       error
}

func (e *ProjectError) Error() string { return fmt.Sprintf("project %d: %v", e.ProjectID, e.Err) }

func (e *ProjectError) Unwrap() error { return e.Err }

// recoveryMaxAge is the age at which recovery deletes a row that still fails.
const recoveryMaxAge = 24 * time.Hour

// recoveryBatch is how many rows a recovery loop reads at a time.
const recoveryBatch = 100

// recoverable is a row that recovery processes.
type recoverable interface{ recoveryIDs() (id, projectID int64) }

func (p PendingPush) recoveryIDs() (id, projectID int64)         { return p.ID, p.ProjectID }
func (mr MergeRequest) recoveryIDs() (id, projectID int64)       { return mr.ID, mr.ProjectID }
func (c ExternalStatusCheck) recoveryIDs() (id, projectID int64) { return c.ID, c.ProjectID }

// eachRow calls do for every row of query in the order of ids. It continues after an
// error and returns all errors joined, each as a *ProjectError.
func eachRow[T recoverable](ctx context.Context, query *gorm.DB, do func(T) error) error {
	query = query.Session(&gorm.Session{})
	var errs []error
	for after, more := int64(0), true; more; {
		var rows []T
		if err := query.Where("id > ?", after).Order("id").Limit(recoveryBatch).Find(&rows).Error; err != nil {
			return errors.Join(append(errs, err)...)
		}
		for _, row := range rows {
			id, projectID := row.recoveryIDs()
			if ctx.Err() != nil {
				return errors.Join(append(errs, ctx.Err())...)
			}
			if err := do(row); err != nil {
				errs = append(errs, &ProjectError{ProjectID: projectID, Err: err})
			}
			after = id
		}
		more = len(rows) == recoveryBatch
	}
	return errors.Join(errs...)
}

// dropIfExpired returns err. If err is not nil and the row is older than
// recoveryMaxAge, it also deletes the row by calling drop.
func (s *Store) dropIfExpired(err error, since time.Time, drop func() error) error {
	if err == nil || s.Now().Sub(since) <= recoveryMaxAge {
		return err
	}
	return errors.Join(fmt.Errorf("recovery gave up after %s: %w", recoveryMaxAge, err), drop())
}
