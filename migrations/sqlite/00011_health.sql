-- +goose Up

-- How long the check had been pending before this response settled it, null if it did
-- not.
ALTER TABLE status_check_responses ADD COLUMN answer_ms integer;
CREATE INDEX status_check_responses_answers ON status_check_responses (external_status_check_id, created_at) WHERE answer_ms IS NOT NULL;

-- The delivery log and the health read these columns from the index. In the table they
-- are behind the payload, whose overflow pages SQLite would read for each row.
DROP INDEX deliveries_service;
CREATE INDEX deliveries_service ON deliveries
    (external_status_check_id, id, created_at, state, attempts, last_http_status, last_error, last_duration_ms);
