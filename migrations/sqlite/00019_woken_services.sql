-- +goose Up

-- Since when the waiting deliveries of a service are made due, in batches.
ALTER TABLE service_queues ADD COLUMN woken_at datetime;
