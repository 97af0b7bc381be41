-- +goose Up

-- Services that accept only responses with the callback token of a delivery.
ALTER TABLE external_status_checks ADD COLUMN callback_only boolean NOT NULL DEFAULT false;

-- How a response came: token or callback. Empty for checks without a response, and
-- for those answered before this version.
ALTER TABLE status_check_responses ADD COLUMN via text NOT NULL DEFAULT 'token';
ALTER TABLE merge_request_checks ADD COLUMN answered_via text NOT NULL DEFAULT '';
