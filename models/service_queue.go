package models

import "time"

// ServiceQueue is when a service can next be tried, and its circuit breaker. A claim
// reads these rows instead of all waiting deliveries. Every service has one.
type ServiceQueue struct {
	ExternalStatusCheckID int64 `gorm:"primaryKey;autoIncrement:false"`
	ProjectID             int64
	// NextAt is when a claim should look for deliveries, nil for never. It may be too
	// early, but not too late: Delivery.Queued is false for new deliveries that it does not
	// count yet.
	NextAt *time.Time
	// Hung reports whether the last attempt took HungAfter or longer.
	Hung bool
	// WokenAt is set while the deliveries that waited at this time are made due, in batches.
	WokenAt *time.Time
	Breaker
}
