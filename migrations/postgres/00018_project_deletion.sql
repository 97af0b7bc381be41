-- +goose Up
-- +goose NO TRANSACTION

-- Instances of the previous version go on working meanwhile. Every statement can be
-- repeated, should the migration be interrupted.

-- The deletion of a project looks for what refers to it. Rows of these tables are deleted
-- with their service, so the database need not look for them by their project, which would
-- read the tables from end to end. SQLite, which cannot drop a constraint, has an index.
-- Unused since 0.1.0
ALTER TABLE deliveries DROP CONSTRAINT IF EXISTS deliveries_project_id_fkey;
-- Unused since 0.1.0
ALTER TABLE merge_request_checks DROP CONSTRAINT IF EXISTS merge_request_checks_project_id_fkey;
-- Unused since 0.1.0
ALTER TABLE status_check_responses DROP CONSTRAINT IF EXISTS status_check_responses_project_id_fkey;

-- An index waits for the end of all transactions that have begun before, such as a backup.
SET lock_timeout = 0;
CREATE INDEX CONCURRENTLY IF NOT EXISTS project_redirects_project ON project_redirects (project_id);
RESET lock_timeout;
