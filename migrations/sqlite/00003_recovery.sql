-- +goose Up

-- Whether the refs are known to have moved: a merge creates its row after moving the
-- target, a push before.
ALTER TABLE pending_pushes ADD COLUMN refs_moved boolean NOT NULL DEFAULT false;
UPDATE pending_pushes SET refs_moved = true WHERE request_id LIKE 'merge-%';

-- Pending changes of a repository that follow from a change of a merge request. A row
-- is inserted in the transaction of the change and deleted when the step is done.
CREATE TABLE merge_request_steps (
    id integer PRIMARY KEY AUTOINCREMENT,
    project_id integer NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    merge_request_id integer NOT NULL REFERENCES merge_requests (id) ON DELETE CASCADE,
    kind text NOT NULL,
    created_at datetime NOT NULL
);
CREATE INDEX merge_request_steps_project_id ON merge_request_steps (project_id);
CREATE INDEX merge_request_steps_merge_request_id ON merge_request_steps (merge_request_id);

-- Repositories of deleted projects that have not been removed yet.
CREATE TABLE repository_removals (
    id integer PRIMARY KEY AUTOINCREMENT,
    project_id integer NOT NULL,
    created_at datetime NOT NULL
);
