-- +goose Up
-- +goose NO TRANSACTION

-- Instances of the previous version go on working meanwhile. Every statement can be
-- repeated, should the migration be interrupted.

-- An index waits for the end of all transactions that have begun before, such as a backup.
SET lock_timeout = 0;

-- For what background work is left. Services without any are in neither index.
CREATE INDEX CONCURRENTLY IF NOT EXISTS service_queues_opened ON service_queues (external_status_check_id) WHERE opened_at IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS external_status_checks_apply_after ON external_status_checks (id) WHERE apply_after_id IS NOT NULL;
RESET lock_timeout;
