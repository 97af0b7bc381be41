-- +goose Up

-- For the audit events of a kind, of which an instance may have few.
CREATE INDEX audit_events_action ON audit_events (action, id);
CREATE INDEX audit_events_project_action ON audit_events (project_id, action, id);
-- For the merge requests of a project with checks that are pending or failed.
CREATE INDEX merge_request_checks_unsettled ON merge_request_checks (project_id, status, merge_request_id) WHERE status <> 'passed';
-- For the filters of the delivery log.
CREATE INDEX deliveries_service_event ON deliveries (external_status_check_id, kind, action, id);
CREATE INDEX deliveries_service_status ON deliveries (external_status_check_id, last_http_status, id) WHERE last_http_status > 299;
CREATE INDEX deliveries_service_unanswered ON deliveries (external_status_check_id, id) WHERE last_http_status = 0 AND last_error <> '';
