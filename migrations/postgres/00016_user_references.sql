-- +goose Up
-- +goose NO TRANSACTION

-- Instances of the previous version go on working meanwhile. Every statement can be
-- repeated, should the migration be interrupted.

-- An index waits for the end of all transactions that have begun before, such as a backup.
SET lock_timeout = 0;

-- For the deletion of a user, which empties or deletes what refers to the user. Rows
-- without a user are in none of these indexes. deliveries.user_id is no longer written.
CREATE INDEX CONCURRENTLY IF NOT EXISTS projects_creator ON projects (creator_id) WHERE creator_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS external_status_checks_apply_by ON external_status_checks (apply_by_id) WHERE apply_by_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_merge_user ON merge_requests (merge_user_id) WHERE merge_user_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_closed_by ON merge_requests (closed_by_id) WHERE closed_by_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_updated_by ON merge_requests (updated_by_id) WHERE updated_by_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_last_edited_by ON merge_requests (last_edited_by_id) WHERE last_edited_by_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_merging_user ON merge_requests (merging_user_id) WHERE merging_user_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_auto_merge_user ON merge_requests (auto_merge_user_id) WHERE auto_merge_user_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS approvals_user ON approvals (user_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS deliveries_user ON deliveries (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS status_check_responses_user ON status_check_responses (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_events_user ON audit_events (user_id) WHERE user_id IS NOT NULL;
RESET lock_timeout;
