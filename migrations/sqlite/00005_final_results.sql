-- +goose Up

-- What stood at the instant of a merge stays: answers after it are marked, and
-- the rule in force is kept (null where it was not recorded).
ALTER TABLE status_check_responses ADD COLUMN late boolean NOT NULL DEFAULT false;
ALTER TABLE merge_requests ADD COLUMN checks_required boolean;
