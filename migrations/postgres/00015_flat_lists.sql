-- +goose Up
-- +goose NO TRANSACTION

-- Instances of the previous version go on working meanwhile. Every statement can be
-- repeated, should the migration be interrupted.

-- An index waits for the end of all transactions that have begun before, such as a backup.
SET lock_timeout = 0;

-- For the audit events of a kind, of which an instance may have few.
CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_events_action ON audit_events (action, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_events_project_action ON audit_events (project_id, action, id);
-- For the merge requests of a project with checks that are pending or failed.
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_request_checks_unsettled ON merge_request_checks (project_id, status, merge_request_id) WHERE status <> 'passed';
-- For the filters of the delivery log.
CREATE INDEX CONCURRENTLY IF NOT EXISTS deliveries_service_event ON deliveries (external_status_check_id, kind, action, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS deliveries_service_status ON deliveries (external_status_check_id, last_http_status, id) WHERE last_http_status > 299;
CREATE INDEX CONCURRENTLY IF NOT EXISTS deliveries_service_unanswered ON deliveries (external_status_check_id, id) WHERE last_http_status = 0 AND last_error <> '';
-- For the search for users, with the indexes below.
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_email ON users (email);
RESET lock_timeout;

-- As in 00012, searches read these tables from end to end if pg_trgm is missing.
-- +goose StatementBegin
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX IF NOT EXISTS users_trigrams ON users USING gin (username_key gin_trgm_ops, lower(name) gin_trgm_ops);
    CREATE INDEX IF NOT EXISTS projects_trigrams ON projects USING gin (path_key gin_trgm_ops, lower(name) gin_trgm_ops);
    CREATE INDEX IF NOT EXISTS namespaces_trigrams ON namespaces USING gin (path_key gin_trgm_ops);
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'searches for users and projects have no index, because pg_trgm is missing: %', SQLERRM;
END $$;
-- +goose StatementEnd

ANALYZE users, projects, namespaces;
