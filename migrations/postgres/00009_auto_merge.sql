-- +goose Up

-- Auto-merge: a merge request is merged as soon as all its checks have passed.
-- auto_merge_at is null while it is not set.
ALTER TABLE merge_requests ADD COLUMN auto_merge_at timestamptz;
ALTER TABLE merge_requests ADD COLUMN auto_merge_user_id bigint REFERENCES users (id) ON DELETE SET NULL;
ALTER TABLE merge_requests ADD COLUMN auto_merge_sha text NOT NULL DEFAULT '';
ALTER TABLE merge_requests ADD COLUMN auto_merge_squash boolean NOT NULL DEFAULT false;
ALTER TABLE merge_requests ADD COLUMN auto_merge_remove_source boolean NOT NULL DEFAULT false;
ALTER TABLE merge_requests ADD COLUMN auto_merge_message text NOT NULL DEFAULT '';
ALTER TABLE merge_requests ADD COLUMN auto_merge_attempts integer NOT NULL DEFAULT 0;
ALTER TABLE merge_requests ADD COLUMN auto_merge_next_at timestamptz;
ALTER TABLE merge_requests ADD COLUMN auto_merge_aborted text NOT NULL DEFAULT '';
ALTER TABLE merge_requests ADD COLUMN auto_merge_aborted_at timestamptz;
CREATE INDEX merge_requests_auto_merge ON merge_requests (auto_merge_at) WHERE auto_merge_at IS NOT NULL;
