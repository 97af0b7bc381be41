-- +goose Up

-- The results at the time of a merge are final: later responses are marked as late,
-- and the value of the rule is stored (null if it was not recorded).
ALTER TABLE status_check_responses ADD COLUMN late boolean NOT NULL DEFAULT false;
ALTER TABLE merge_requests ADD COLUMN checks_required boolean;
