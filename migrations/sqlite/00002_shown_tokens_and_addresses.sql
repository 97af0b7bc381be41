-- +goose Up

-- Text that a session's next page shows once, such as a new token, sealed with a key
-- that is derived from the browser's cookie.
ALTER TABLE sessions ADD COLUMN shown_once blob;

-- The form that created the token. A form that is sent twice creates one token.
ALTER TABLE access_tokens ADD COLUMN form_id text;
CREATE UNIQUE INDEX access_tokens_form_id_key ON access_tokens (created_by_id, form_id);

-- The client's address; empty for events that no request caused.
ALTER TABLE audit_events ADD COLUMN ip text NOT NULL DEFAULT '';
CREATE INDEX audit_events_instance ON audit_events (id) WHERE project_id IS NULL;
