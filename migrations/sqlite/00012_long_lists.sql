-- +goose Up

-- Lists are read from an index that has their filter and their order. The order by
-- created_at is that of the ids; its index finds the id of a time.
CREATE INDEX merge_requests_created ON merge_requests (created_at, id);
CREATE INDEX merge_requests_updated ON merge_requests (updated_at, id);
CREATE INDEX merge_requests_state_everywhere ON merge_requests (state, id);
CREATE INDEX merge_requests_project_updated ON merge_requests (project_id, updated_at, id);
CREATE INDEX merge_requests_state_updated ON merge_requests (project_id, state, updated_at, id);
CREATE INDEX merge_requests_project_title ON merge_requests (project_id, title, id);
CREATE INDEX merge_requests_state_title ON merge_requests (project_id, state, title, id);
CREATE INDEX merge_requests_project_author ON merge_requests (project_id, author_id, id);
CREATE INDEX merge_requests_author_all ON merge_requests (author_id, id);
CREATE INDEX merge_requests_target ON merge_requests (project_id, target_branch, state, id);
CREATE INDEX merge_requests_source ON merge_requests (project_id, source_branch, id);
CREATE INDEX merge_requests_draft ON merge_requests (project_id, state, id) WHERE draft;
CREATE INDEX merge_requests_merge_commit ON merge_requests (project_id, merge_commit_sha) WHERE merge_commit_sha <> '';
CREATE INDEX merge_requests_squash_commit ON merge_requests (project_id, squash_commit_sha) WHERE squash_commit_sha <> '';
CREATE INDEX projects_lower_name ON projects (lower(name), id);
CREATE INDEX projects_visibility ON projects (visibility, id);
CREATE INDEX projects_path ON projects (path_key, id);
CREATE INDEX projects_created ON projects (created_at, id);
CREATE INDEX projects_updated ON projects (updated_at, id);
CREATE INDEX merge_request_checks_timeouts ON merge_request_checks (timeout_seconds) WHERE status = 'pending' AND stopped_at IS NULL;
CREATE INDEX audit_events_created ON audit_events (created_at, id);
CREATE INDEX deliveries_event_uuid ON deliveries (event_uuid);
CREATE INDEX deliveries_service_ended ON deliveries (external_status_check_id, state, id) WHERE state IN ('failed', 'superseded');

-- Whether the merge request of a check is open, so that an index can count and find the
-- checks of open merge requests. A trigger sets it.
ALTER TABLE merge_request_checks ADD COLUMN merge_request_open boolean NOT NULL DEFAULT true;
UPDATE merge_request_checks SET merge_request_open = false
    WHERE merge_request_id IN (SELECT id FROM merge_requests WHERE state <> 'opened');
CREATE INDEX merge_request_checks_open ON merge_request_checks (project_id, status, merge_request_id) WHERE merge_request_open;
CREATE INDEX merge_request_checks_service_open ON merge_request_checks (external_status_check_id, merge_request_id) WHERE merge_request_open;
CREATE INDEX merge_request_checks_open_everywhere ON merge_request_checks (status, project_id) WHERE merge_request_open AND status <> 'passed';

-- +goose StatementBegin
CREATE TRIGGER merge_request_state AFTER UPDATE OF state ON merge_requests WHEN old.state <> new.state
BEGIN
    UPDATE merge_request_checks SET merge_request_open = (new.state = 'opened') WHERE merge_request_id = new.id;
END;
-- +goose StatementEnd

-- The index of searches.
CREATE VIRTUAL TABLE merge_request_texts USING fts5 (title, description, content = 'merge_requests', content_rowid = 'id', tokenize = 'trigram');
INSERT INTO merge_request_texts (rowid, title, description) SELECT id, title, description FROM merge_requests;

-- +goose StatementBegin
CREATE TRIGGER merge_request_text AFTER INSERT ON merge_requests
BEGIN
    INSERT INTO merge_request_texts (rowid, title, description) VALUES (new.id, new.title, new.description);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER merge_request_text_edit AFTER UPDATE OF title, description ON merge_requests
WHEN old.title <> new.title OR old.description <> new.description
BEGIN
    INSERT INTO merge_request_texts (merge_request_texts, rowid, title, description) VALUES ('delete', old.id, old.title, old.description);
    INSERT INTO merge_request_texts (rowid, title, description) VALUES (new.id, new.title, new.description);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER merge_request_text_deleted AFTER DELETE ON merge_requests
BEGIN
    INSERT INTO merge_request_texts (merge_request_texts, rowid, title, description) VALUES ('delete', old.id, old.title, old.description);
END;
-- +goose StatementEnd
