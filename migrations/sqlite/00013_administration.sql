-- +goose Up

-- Links with a random token that let somebody without a password choose one: an
-- invitation belongs to a user, the set-up link creates the first administrator. Only the
-- digest of the token is stored, and a link that was used is deleted.
CREATE TABLE user_links (
    id integer PRIMARY KEY AUTOINCREMENT,
    digest text NOT NULL,
    -- null for the set-up link
    user_id integer REFERENCES users (id) ON DELETE CASCADE,
    created_at datetime NOT NULL,
    expires_at datetime NOT NULL
);
CREATE UNIQUE INDEX user_links_digest_key ON user_links (digest);
CREATE UNIQUE INDEX user_links_user_id_key ON user_links (user_id);
-- There is one set-up link at a time, however many instances start at once.
CREATE UNIQUE INDEX user_links_setup_key ON user_links ((user_id IS NULL)) WHERE user_id IS NULL;

-- For the lists of users of the admin area.
CREATE INDEX users_admins ON users (id) WHERE admin;
CREATE INDEX users_blocked ON users (id) WHERE blocked;
CREATE INDEX users_people ON users (id) WHERE NOT bot;
-- For the tokens that a user created for projects, and for the audit events of an author.
CREATE INDEX access_tokens_created_by_id ON access_tokens (created_by_id, id);
CREATE INDEX audit_events_author ON audit_events (user_name, id);
-- For the list of namespaces without a user.
CREATE INDEX namespaces_free ON namespaces (path_key) WHERE user_id IS NULL;
-- For the list of all projects by their last activity.
CREATE INDEX projects_last_activity ON projects (last_activity_at, id);
