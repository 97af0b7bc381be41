-- +goose Up

-- Informational services are shown but never block a merge.
ALTER TABLE external_status_checks ADD COLUMN informational boolean NOT NULL DEFAULT false;
ALTER TABLE merge_request_checks ADD COLUMN informational boolean NOT NULL DEFAULT false;

-- Custom headers of deliveries: a list of names with sealed values.
ALTER TABLE external_status_checks ADD COLUMN custom_headers text NOT NULL DEFAULT '[]';

-- Pending checks by the end of their time-out, which differs between services.
CREATE INDEX merge_request_checks_deadline ON merge_request_checks ((unixepoch(pending_since) + timeout_seconds))
    WHERE status = 'pending' AND stopped_at IS NULL;
DROP INDEX merge_request_checks_pending;
