-- +goose Up
-- For the list of a user's own merge requests.
CREATE INDEX merge_requests_author ON merge_requests (author_id, state, id);
