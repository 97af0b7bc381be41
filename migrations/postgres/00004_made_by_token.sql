-- +goose Up

-- The access token whose request made this one, null for pages and commands:
-- revoking a token revokes what it made.
ALTER TABLE access_tokens ADD COLUMN made_by_token_id bigint REFERENCES access_tokens (id) ON DELETE CASCADE;
CREATE INDEX access_tokens_made_by_token_id ON access_tokens (made_by_token_id);

-- Who added a member, null where it is not known.
ALTER TABLE members ADD COLUMN created_by_id bigint REFERENCES users (id) ON DELETE SET NULL;
CREATE INDEX members_created_by_id ON members (created_by_id);
