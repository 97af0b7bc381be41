package models_test

import (
	"errors"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// assertCode fails unless err has the code.
func assertCode(t *testing.T, err error, code models.Code) {
	t.Helper()
	if models.CodeOf(err) != code {
		t.Errorf("got error %v, want code %s", err, code)
	}
}

// assertFieldError fails unless err has a field error with the code.
func assertFieldError(t *testing.T, err error, field string, code models.Code) {
	t.Helper()
	for _, f := range models.FieldErrorsOf(err) {
		if f.Field == field && f.Code == code {
			return
		}
	}
	t.Errorf("got error %v, want %s=%s", err, field, code)
}

// assertProjectError fails unless err is a ProjectError of the project.
func assertProjectError(t *testing.T, err error, projectID int64) {
	t.Helper()
	var projectErr *models.ProjectError
	if !errors.As(err, &projectErr) || projectErr.ProjectID != projectID {
		t.Errorf("got error %v, want one of project %d", err, projectID)
	}
}
