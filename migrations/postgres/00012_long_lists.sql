-- +goose Up
-- +goose NO TRANSACTION

-- Instances of the previous version go on working meanwhile. Every statement can be
-- repeated, should the migration be interrupted.

-- An index waits for the end of all transactions that have begun before, such as a backup.
SET lock_timeout = 0;

-- Lists are read from an index that has their filter and their order. The order by
-- created_at is that of the ids; its index finds the id of a time.
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_created ON merge_requests (created_at, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_updated ON merge_requests (updated_at, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_state_everywhere ON merge_requests (state, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_project_updated ON merge_requests (project_id, updated_at, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_state_updated ON merge_requests (project_id, state, updated_at, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_project_title ON merge_requests (project_id, title, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_state_title ON merge_requests (project_id, state, title, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_project_author ON merge_requests (project_id, author_id, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_author_all ON merge_requests (author_id, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_target ON merge_requests (project_id, target_branch, state, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_source ON merge_requests (project_id, source_branch, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_draft ON merge_requests (project_id, state, id) WHERE draft;
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_merge_commit ON merge_requests (project_id, merge_commit_sha) WHERE merge_commit_sha <> '';
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_requests_squash_commit ON merge_requests (project_id, squash_commit_sha) WHERE squash_commit_sha <> '';
CREATE INDEX CONCURRENTLY IF NOT EXISTS projects_lower_name ON projects (lower(name), id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS projects_visibility ON projects (visibility, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS projects_path ON projects (path_key, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS projects_created ON projects (created_at, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS projects_updated ON projects (updated_at, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_request_checks_timeouts ON merge_request_checks (timeout_seconds) WHERE status = 'pending' AND stopped_at IS NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_events_created ON audit_events (created_at, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS deliveries_event_uuid ON deliveries (event_uuid);
CREATE INDEX CONCURRENTLY IF NOT EXISTS deliveries_service_ended ON deliveries (external_status_check_id, state, id) WHERE state IN ('failed', 'superseded');
RESET lock_timeout;

-- Whether the merge request of a check is open, so that an index can count and find the
-- checks of open merge requests. A trigger sets it: during an upgrade, instances of the
-- previous version do not know it.
ALTER TABLE merge_request_checks ADD COLUMN IF NOT EXISTS merge_request_open boolean NOT NULL DEFAULT false;
ALTER TABLE merge_request_checks ALTER COLUMN merge_request_open SET DEFAULT true;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION merge_request_state_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE merge_request_checks SET merge_request_open = (NEW.state = 'opened') WHERE merge_request_id = NEW.id;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- The text that a search looks in, apart from merge_requests, so that a push does not
-- write it again.
CREATE TABLE IF NOT EXISTS merge_request_texts (
    merge_request_id bigint PRIMARY KEY REFERENCES merge_requests (id) ON DELETE CASCADE,
    text text NOT NULL
);
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION merge_request_text_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO merge_request_texts VALUES (NEW.id, lower(NEW.title || chr(10) || NEW.description))
        ON CONFLICT (merge_request_id) DO UPDATE SET text = excluded.text;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_trigger WHERE tgname = 'merge_request_text_edit' AND tgrelid = 'merge_requests'::regclass) THEN
        RETURN;
    END IF;
    CREATE TRIGGER merge_request_state AFTER UPDATE OF state ON merge_requests
        FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION merge_request_state_changed();
    CREATE TRIGGER merge_request_text AFTER INSERT ON merge_requests
        FOR EACH ROW EXECUTE FUNCTION merge_request_text_changed();
    CREATE TRIGGER merge_request_text_edit AFTER UPDATE OF title, description ON merge_requests
        FOR EACH ROW WHEN (OLD.title <> NEW.title OR OLD.description <> NEW.description) EXECUTE FUNCTION merge_request_text_changed();
END $$;
-- +goose StatementEnd

-- The rows from before the triggers.
UPDATE merge_request_checks SET merge_request_open = true
    FROM merge_requests WHERE merge_requests.id = merge_request_id AND merge_requests.state = 'opened' AND NOT merge_request_open;
INSERT INTO merge_request_texts SELECT id, lower(title || chr(10) || description) FROM merge_requests ON CONFLICT DO NOTHING;

SET lock_timeout = 0;
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_request_checks_open ON merge_request_checks (project_id, status, merge_request_id) WHERE merge_request_open;
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_request_checks_service_open ON merge_request_checks (external_status_check_id, merge_request_id) WHERE merge_request_open;
CREATE INDEX CONCURRENTLY IF NOT EXISTS merge_request_checks_open_everywhere ON merge_request_checks (status, project_id) WHERE merge_request_open AND status <> 'passed';
RESET lock_timeout;

-- pg_trgm is trusted since PostgreSQL 13: whoever may create tables may create it. If a
-- server lacks it or forbids it, searches read the merge requests one by one.
-- +goose StatementBegin
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX IF NOT EXISTS merge_request_texts_trigrams ON merge_request_texts USING gin (text gin_trgm_ops);
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'searches have no index, because pg_trgm is missing: %', SQLERRM;
END $$;
-- +goose StatementEnd

ANALYZE merge_requests, merge_request_texts, merge_request_checks;
