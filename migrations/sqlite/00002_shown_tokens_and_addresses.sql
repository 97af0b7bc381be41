-- +goose Up

-- What a session shows on its next page and never again, such as a token made
-- a moment ago: sealed with a key that only the browser's cookie yields.
ALTER TABLE sessions ADD COLUMN shown_once blob;

-- The form that a token was made with: one form makes one token, however often
-- it is sent.
ALTER TABLE access_tokens ADD COLUMN form_id text;
CREATE UNIQUE INDEX access_tokens_form_id_key ON access_tokens (created_by_id, form_id);

-- The address that a person or a service came from; empty for what happens by
-- itself.
ALTER TABLE audit_events ADD COLUMN ip text NOT NULL DEFAULT '';
CREATE INDEX audit_events_instance ON audit_events (id) WHERE project_id IS NULL;
