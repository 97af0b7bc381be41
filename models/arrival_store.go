package models

import (
	"context"

	"gorm.io/gorm/clause"
)

// ArrivedDelivery is a delivery that no claim has seen yet: ServiceQueue.NextAt does not
// count it. An event only adds rows, so it need not lock the queues of its services.
type ArrivedDelivery struct {
	DeliveryID            int64 `gorm:"primaryKey;autoIncrement:false"`
	ExternalStatusCheckID int64
}

// arrive makes the next claim look at deliveries. It locks rows that are already there, so
// that a claim that does not see the changes of this transaction keeps them.
func (s *Store) arrive(ctx context.Context, arrivals ...ArrivedDelivery) error {
	if len(arrivals) == 0 {
		return nil
	}
	return s.writer(ctx).Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "delivery_id"}}, DoUpdates: clause.AssignmentColumns([]string{"external_status_check_id"}),
	}).Create(&arrivals).Error
}

// endArrivals deletes rows of deliveries that a claim has counted, except for those that
// another transaction holds.
func (b *batch) endArrivals(ids []int64) {
	if len(ids) == 0 {
		return
	}
	rows := "SELECT delivery_id FROM arrived_deliveries WHERE " + b.inIDs("delivery_id", "?")
	if b.postgres() {
		rows += " FOR UPDATE SKIP LOCKED"
	}
	b.exec("DELETE FROM arrived_deliveries WHERE delivery_id IN ("+rows+")", b.idList(ids))
}
