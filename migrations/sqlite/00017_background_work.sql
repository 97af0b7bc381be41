-- +goose Up

-- For what background work is left. Services without any are in neither index.
CREATE INDEX service_queues_opened ON service_queues (external_status_check_id) WHERE opened_at IS NOT NULL;
CREATE INDEX external_status_checks_apply_after ON external_status_checks (id) WHERE apply_after_id IS NOT NULL;
