-- +goose Up

-- How long the check had been pending before this response settled it, null if it did
-- not.
ALTER TABLE status_check_responses ADD COLUMN answer_ms bigint;
CREATE INDEX status_check_responses_answers ON status_check_responses (external_status_check_id, created_at) WHERE answer_ms IS NOT NULL;
