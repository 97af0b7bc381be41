package models

import (
	"context"
	"time"
)

// The limit of tests of services that are not saved yet, per user.
const (
	MaxDraftTests   = 10
	DraftTestWindow = time.Minute
)

// DraftTest is a test delivery to a service as it is typed in a form. Nothing of it is
// stored.
type DraftTest struct {
	Claimed ClaimedDelivery
	// StoredSecret reports whether the delivery is signed with the stored secret.
	StoredSecret bool
	// Withheld reports whether a stored secret or header value was left out because the
	// typed URL is not the stored one.
	Withheld bool
}

// NewDraftTest returns a test delivery to a service as typed. The ID of service is 0 if it
// does not exist yet. Stored values are used only for the stored URL. It returns the field
// errors of Validate for external_url, shared_secret and custom_headers.
func (s *Store) NewDraftTest(ctx context.Context, by User, projectID int64, service ExternalStatusCheck, in ExternalStatusCheckInput) (DraftTest, error) {
	var errs fieldErrors
	for _, fault := range FieldErrorsOf(in.Validate()) {
		switch fault.Field {
		case "external_url", "shared_secret", "custom_headers":
			errs = append(errs, fault)
		}
	}
	sameTarget := service.ID != 0 && sameURL(service.ExternalURL, in.ExternalURL)
	for _, h := range in.CustomHeaders {
		if h.Value == "" && service.customHeader(h.Name) == nil && !errs.has("custom_headers") {
			errs.add("custom_headers", CodeBlank, "name", h.Name)
		}
	}
	if err := errs.err(); err != nil {
		return DraftTest{}, err
	}
	d, err := s.newTestDelivery(ctx, by, projectID, EventService{ID: service.ID, Name: in.Name, URL: in.ExternalURL})
	if err != nil {
		return DraftTest{}, err
	}
	test := DraftTest{Claimed: ClaimedDelivery{Delivery: d, Secret: in.SharedSecret}}
	if service.HasSecret() {
		test.Claimed.Secret = ""
		if test.StoredSecret = sameTarget; sameTarget {
			test.Claimed.Secret, test.Claimed.SecretError = s.openSecret(service)
		}
		test.Withheld = !sameTarget
	}
	for _, h := range in.CustomHeaders {
		value := h.Value
		if value == "" {
			if !sameTarget {
				test.Withheld = true
				continue
			}
			if value, err = s.openHeader(service.ID, *service.customHeader(h.Name)); err != nil {
				test.Claimed.SecretError = err
			}
		}
		test.Claimed.Headers = append(test.Claimed.Headers, HeaderValue{Name: h.Name, Value: value})
	}
	return test, nil
}

// CountDraftTest counts a test of a service that is not saved, and reports whether it is
// within the user's limit.
func (s *Store) CountDraftTest(ctx context.Context, by User) (bool, error) {
	return s.CountAttempt(ctx, "draft_test:"+by.Username, MaxDraftTests, DraftTestWindow)
}
