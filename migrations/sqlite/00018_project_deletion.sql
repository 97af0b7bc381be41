-- +goose Up

-- The deletion of a project looks for what refers to it. Without these indexes it would read
-- the tables from end to end.
CREATE INDEX deliveries_project ON deliveries (project_id);
CREATE INDEX merge_request_checks_project ON merge_request_checks (project_id);
CREATE INDEX status_check_responses_project ON status_check_responses (project_id);
CREATE INDEX project_redirects_project ON project_redirects (project_id);
