-- +goose Up

-- What changes with each attempt is in small tables, because an update of a delivery
-- writes to all indexes of deliveries.

-- New deliveries that no claim has seen yet: service_queues.next_at does not count them.
CREATE TABLE arrived_deliveries (
    delivery_id bigint PRIMARY KEY REFERENCES deliveries (id) ON DELETE CASCADE,
    external_status_check_id bigint NOT NULL
);
CREATE INDEX arrived_deliveries_service ON arrived_deliveries (external_status_check_id);

-- Attempts in flight, and those whose process died.
CREATE TABLE delivery_leases (
    delivery_id bigint PRIMARY KEY REFERENCES deliveries (id) ON DELETE CASCADE,
    external_status_check_id bigint NOT NULL,
    -- Null for tests.
    merge_request_id bigint,
    -- The number of the attempt. deliveries.attempts does not count it before its end.
    attempt integer NOT NULL,
    started_at timestamptz NOT NULL,
    leased_until timestamptz NOT NULL
);
CREATE INDEX delivery_leases_service ON delivery_leases (external_status_check_id);

INSERT INTO arrived_deliveries (delivery_id, external_status_check_id)
    SELECT id, external_status_check_id FROM deliveries WHERE state = 'waiting' AND NOT queued;
INSERT INTO delivery_leases (delivery_id, external_status_check_id, merge_request_id, attempt, started_at, leased_until)
    SELECT id, external_status_check_id, merge_request_id, attempts, COALESCE(last_attempt_at, leased_until), leased_until
    FROM deliveries WHERE leased_until IS NOT NULL;
UPDATE deliveries SET attempts = attempts - 1, leased_until = NULL WHERE leased_until IS NOT NULL;

-- deliveries.queued and leased_until are no longer used. 0.1.0 is stopped before the upgrade.
-- Unused since 0.1.0
DROP INDEX deliveries_arrived;
-- Unused since 0.1.0
DROP INDEX deliveries_leased;
-- Unused since 0.1.0
DROP INDEX deliveries_service_leased;
