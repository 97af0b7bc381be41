-- +goose Up

-- A merge writes its row after the target has moved; a push before.
ALTER TABLE pending_pushes ADD COLUMN refs_moved boolean NOT NULL DEFAULT false;
UPDATE pending_pushes SET refs_moved = true WHERE request_id LIKE 'merge-%';

-- What follows from a change of a merge request and happens in its repository.
-- A row is written in the transaction of the change and deleted when done.
CREATE TABLE merge_request_steps (
    id integer PRIMARY KEY AUTOINCREMENT,
    project_id integer NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    merge_request_id integer NOT NULL REFERENCES merge_requests (id) ON DELETE CASCADE,
    kind text NOT NULL,
    created_at datetime NOT NULL
);
CREATE INDEX merge_request_steps_project_id ON merge_request_steps (project_id);
CREATE INDEX merge_request_steps_merge_request_id ON merge_request_steps (merge_request_id);

-- The repositories of deleted projects that are still to be removed.
CREATE TABLE repository_removals (
    id integer PRIMARY KEY AUTOINCREMENT,
    project_id integer NOT NULL,
    created_at datetime NOT NULL
);
