-- +goose Up

-- The access token whose request created this one, null for pages and commands.
-- Revoking a token also revokes the tokens that it created.
ALTER TABLE access_tokens ADD COLUMN made_by_token_id integer REFERENCES access_tokens (id) ON DELETE CASCADE;
CREATE INDEX access_tokens_made_by_token_id ON access_tokens (made_by_token_id);

-- The user who added the member, null if unknown.
ALTER TABLE members ADD COLUMN created_by_id integer REFERENCES users (id) ON DELETE SET NULL;
CREATE INDEX members_created_by_id ON members (created_by_id);
