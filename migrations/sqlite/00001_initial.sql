-- +goose Up

-- The program normalises the key columns (username_key, path_key, name_key,
-- url_key), because lower() differs between the databases outside ASCII.

CREATE TABLE users (
    id integer PRIMARY KEY AUTOINCREMENT,
    username text NOT NULL,
    username_key text NOT NULL,
    name text NOT NULL,
    email text NOT NULL DEFAULT '',
    password_digest text NOT NULL DEFAULT '',
    password_change_required boolean NOT NULL DEFAULT false,
    admin boolean NOT NULL DEFAULT false,
    bot boolean NOT NULL DEFAULT false,
    blocked boolean NOT NULL DEFAULT false,
    theme text NOT NULL DEFAULT '',
    language text NOT NULL DEFAULT '',
    created_at datetime NOT NULL,
    updated_at datetime NOT NULL
);
CREATE UNIQUE INDEX users_username_key_key ON users (username_key);

CREATE TABLE namespaces (
    id integer PRIMARY KEY AUTOINCREMENT,
    path text NOT NULL,
    path_key text NOT NULL,
    user_id integer REFERENCES users (id) ON DELETE CASCADE,
    created_at datetime NOT NULL
);
CREATE UNIQUE INDEX namespaces_path_key_key ON namespaces (path_key);
CREATE UNIQUE INDEX namespaces_user_id_key ON namespaces (user_id);

CREATE TABLE sessions (
    id integer PRIMARY KEY AUTOINCREMENT,
    digest text NOT NULL,
    user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    user_agent text NOT NULL DEFAULT '',
    ip text NOT NULL DEFAULT '',
    created_at datetime NOT NULL,
    last_seen_at datetime NOT NULL,
    expires_at datetime NOT NULL
);
CREATE UNIQUE INDEX sessions_digest_key ON sessions (digest);
CREATE INDEX sessions_user_id ON sessions (user_id);

-- Attempts per time window, such as sign-ins by account and address.
CREATE TABLE rate_counters (
    id integer PRIMARY KEY AUTOINCREMENT,
    name text NOT NULL,
    count integer NOT NULL,
    window_ends_at datetime NOT NULL
);
CREATE UNIQUE INDEX rate_counters_name_key ON rate_counters (name);

CREATE TABLE projects (
    id integer PRIMARY KEY AUTOINCREMENT,
    namespace_id integer NOT NULL REFERENCES namespaces (id),
    name text NOT NULL,
    path text NOT NULL,
    path_key text NOT NULL,
    description text NOT NULL DEFAULT '',
    visibility integer NOT NULL,
    default_branch text NOT NULL,
    only_allow_merge_if_all_status_checks_passed boolean NOT NULL DEFAULT false,
    last_merge_request_iid integer NOT NULL DEFAULT 0,
    creator_id integer REFERENCES users (id) ON DELETE SET NULL,
    created_at datetime NOT NULL,
    updated_at datetime NOT NULL,
    last_activity_at datetime NOT NULL
);
CREATE UNIQUE INDEX projects_path_key_key ON projects (namespace_id, path_key);

CREATE TABLE project_redirects (
    id integer PRIMARY KEY AUTOINCREMENT,
    project_id integer NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    namespace_id integer NOT NULL REFERENCES namespaces (id) ON DELETE CASCADE,
    path_key text NOT NULL,
    created_at datetime NOT NULL
);
CREATE UNIQUE INDEX project_redirects_path_key_key ON project_redirects (namespace_id, path_key);

CREATE TABLE members (
    id integer PRIMARY KEY AUTOINCREMENT,
    project_id integer NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role integer NOT NULL,
    created_at datetime NOT NULL,
    updated_at datetime NOT NULL
);
CREATE UNIQUE INDEX members_user_id_key ON members (project_id, user_id);
CREATE INDEX members_user_id ON members (user_id);

CREATE TABLE access_tokens (
    id integer PRIMARY KEY AUTOINCREMENT,
    user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    project_id integer REFERENCES projects (id) ON DELETE CASCADE,
    created_by_id integer REFERENCES users (id) ON DELETE SET NULL,
    name text NOT NULL,
    digest text NOT NULL,
    scopes text NOT NULL,
    expires_at datetime NOT NULL,
    revoked_at datetime,
    last_used_at datetime,
    created_at datetime NOT NULL
);
CREATE UNIQUE INDEX access_tokens_digest_key ON access_tokens (digest);
CREATE INDEX access_tokens_user_id ON access_tokens (user_id);
CREATE INDEX access_tokens_project_id ON access_tokens (project_id);

CREATE TABLE protected_branches (
    id integer PRIMARY KEY AUTOINCREMENT,
    project_id integer NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name text NOT NULL,
    push_access_level integer NOT NULL,
    merge_access_level integer NOT NULL,
    allow_force_push boolean NOT NULL DEFAULT false,
    created_at datetime NOT NULL,
    updated_at datetime NOT NULL
);
CREATE UNIQUE INDEX protected_branches_name_key ON protected_branches (project_id, name);

CREATE TABLE external_status_checks (
    id integer PRIMARY KEY AUTOINCREMENT,
    project_id integer NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name text NOT NULL,
    name_key text NOT NULL,
    external_url text NOT NULL,
    url_key text NOT NULL,
    sealed_secret blob,
    timeout_seconds integer NOT NULL,
    -- Set while "Also apply" runs: the last merge request that it processed.
    apply_after_id integer,
    apply_by_id integer REFERENCES users (id) ON DELETE SET NULL,
    created_at datetime NOT NULL,
    updated_at datetime NOT NULL
);
CREATE UNIQUE INDEX external_status_checks_name_key_key ON external_status_checks (project_id, name_key);
CREATE UNIQUE INDEX external_status_checks_url_key_key ON external_status_checks (project_id, url_key);

-- The scope of a service: branch names or patterns that were protected when
-- selected. protected_branch_id is the last id of the protected branch. It is not
-- a foreign key, because the branch can be unprotected.
CREATE TABLE external_status_check_branches (
    id integer PRIMARY KEY AUTOINCREMENT,
    external_status_check_id integer NOT NULL REFERENCES external_status_checks (id) ON DELETE CASCADE,
    protected_branch_id integer NOT NULL,
    name text NOT NULL
);
CREATE UNIQUE INDEX external_status_check_branches_name_key ON external_status_check_branches (external_status_check_id, name);

CREATE TABLE merge_requests (
    id integer PRIMARY KEY AUTOINCREMENT,
    project_id integer NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    iid integer NOT NULL,
    title text NOT NULL,
    description text NOT NULL DEFAULT '',
    source_branch text NOT NULL,
    target_branch text NOT NULL,
    author_id integer REFERENCES users (id) ON DELETE SET NULL,
    state text NOT NULL,
    draft boolean NOT NULL DEFAULT false,
    head_sha text NOT NULL,
    head_message text NOT NULL DEFAULT '',
    head_author_name text NOT NULL DEFAULT '',
    head_author_email text NOT NULL DEFAULT '',
    head_committed_at datetime NOT NULL,
    source_branch_deleted boolean NOT NULL DEFAULT false,
    remove_source_branch boolean NOT NULL DEFAULT false,
    squash boolean NOT NULL DEFAULT false,
    merge_commit_sha text NOT NULL DEFAULT '',
    squash_commit_sha text NOT NULL DEFAULT '',
    merge_user_id integer REFERENCES users (id) ON DELETE SET NULL,
    merged_at datetime,
    closed_by_id integer REFERENCES users (id) ON DELETE SET NULL,
    closed_at datetime,
    updated_by_id integer REFERENCES users (id) ON DELETE SET NULL,
    last_edited_at datetime,
    last_edited_by_id integer REFERENCES users (id) ON DELETE SET NULL,
    -- What a merge is about to do. It is stored before the target moves, so that
    -- recovery can complete a merge that is interrupted between ref and row.
    merging_sha text NOT NULL DEFAULT '',
    merging_head_sha text NOT NULL DEFAULT '',
    merging_base_sha text NOT NULL DEFAULT '',
    merging_squash boolean NOT NULL DEFAULT false,
    merging_remove_source boolean NOT NULL DEFAULT false,
    merging_user_id integer REFERENCES users (id) ON DELETE SET NULL,
    merging_started_at datetime,
    created_at datetime NOT NULL,
    updated_at datetime NOT NULL
);
CREATE UNIQUE INDEX merge_requests_iid_key ON merge_requests (project_id, iid);
CREATE UNIQUE INDEX merge_requests_open_pair_key ON merge_requests (project_id, source_branch, target_branch) WHERE state = 'opened';
CREATE INDEX merge_requests_state ON merge_requests (project_id, state, id);
CREATE INDEX merge_requests_merging ON merge_requests (merging_started_at) WHERE merging_sha <> '';

CREATE TABLE approvals (
    id integer PRIMARY KEY AUTOINCREMENT,
    merge_request_id integer NOT NULL REFERENCES merge_requests (id) ON DELETE CASCADE,
    user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at datetime NOT NULL
);
CREATE UNIQUE INDEX approvals_user_id_key ON approvals (merge_request_id, user_id);

CREATE TABLE deliveries (
    id integer PRIMARY KEY AUTOINCREMENT,
    project_id integer NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    external_status_check_id integer NOT NULL REFERENCES external_status_checks (id) ON DELETE CASCADE,
    merge_request_id integer REFERENCES merge_requests (id) ON DELETE CASCADE,
    merge_request_iid integer NOT NULL DEFAULT 0,
    uuid text NOT NULL,
    event_uuid text NOT NULL,
    kind text NOT NULL,
    action text NOT NULL DEFAULT '',
    sha text NOT NULL DEFAULT '',
    url text NOT NULL,
    payload blob NOT NULL,
    state text NOT NULL,
    -- Deliveries of close and merge events are never superseded.
    whole_schedule boolean NOT NULL DEFAULT false,
    -- Tests and redeliveries are tried once and never superseded.
    single_attempt boolean NOT NULL DEFAULT false,
    attempts integer NOT NULL DEFAULT 0,
    schedule_started_at datetime,
    next_attempt_at datetime NOT NULL,
    leased_until datetime,
    last_attempt_at datetime,
    last_http_status integer NOT NULL DEFAULT 0,
    last_error text NOT NULL DEFAULT '',
    last_duration_ms integer NOT NULL DEFAULT 0,
    finished_at datetime,
    superseded_reason text NOT NULL DEFAULT '',
    user_id integer REFERENCES users (id) ON DELETE SET NULL,
    created_at datetime NOT NULL
);
CREATE UNIQUE INDEX deliveries_uuid_key ON deliveries (uuid);
CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE state = 'waiting';
CREATE INDEX deliveries_leased ON deliveries (leased_until) WHERE leased_until IS NOT NULL;
CREATE INDEX deliveries_merge_request ON deliveries (merge_request_id, external_status_check_id, id);
CREATE INDEX deliveries_service ON deliveries (external_status_check_id, id);

CREATE TABLE delivery_attempts (
    id integer PRIMARY KEY AUTOINCREMENT,
    delivery_id integer NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    number integer NOT NULL,
    started_at datetime NOT NULL,
    duration_ms integer NOT NULL,
    http_status integer NOT NULL DEFAULT 0,
    error text NOT NULL DEFAULT '',
    error_detail text NOT NULL DEFAULT '',
    request_header text NOT NULL DEFAULT '',
    response_header text NOT NULL DEFAULT '',
    response_body blob,
    response_truncated boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX delivery_attempts_number_key ON delivery_attempts (delivery_id, number);

CREATE TABLE merge_request_checks (
    id integer PRIMARY KEY AUTOINCREMENT,
    project_id integer NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    merge_request_id integer NOT NULL REFERENCES merge_requests (id) ON DELETE CASCADE,
    external_status_check_id integer NOT NULL REFERENCES external_status_checks (id) ON DELETE CASCADE,
    name text NOT NULL,
    external_url text NOT NULL,
    scope text NOT NULL,
    timeout_seconds integer NOT NULL,
    sha text NOT NULL,
    status text NOT NULL,
    timed_out boolean NOT NULL DEFAULT false,
    pending_since datetime NOT NULL,
    stopped_at datetime,
    settled_at datetime,
    description text NOT NULL DEFAULT '',
    target_url text NOT NULL DEFAULT '',
    delivery_id integer REFERENCES deliveries (id) ON DELETE SET NULL,
    created_at datetime NOT NULL,
    updated_at datetime NOT NULL
);
CREATE UNIQUE INDEX merge_request_checks_service_key ON merge_request_checks (merge_request_id, external_status_check_id);
CREATE INDEX merge_request_checks_service ON merge_request_checks (external_status_check_id);
CREATE INDEX merge_request_checks_delivery ON merge_request_checks (delivery_id);
CREATE INDEX merge_request_checks_pending ON merge_request_checks (pending_since) WHERE status = 'pending' AND stopped_at IS NULL;

CREATE TABLE status_check_responses (
    id integer PRIMARY KEY AUTOINCREMENT,
    project_id integer NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    merge_request_id integer NOT NULL REFERENCES merge_requests (id) ON DELETE CASCADE,
    external_status_check_id integer NOT NULL REFERENCES external_status_checks (id) ON DELETE CASCADE,
    user_id integer REFERENCES users (id) ON DELETE SET NULL,
    sha text NOT NULL,
    status text NOT NULL,
    description text NOT NULL DEFAULT '',
    target_url text NOT NULL DEFAULT '',
    created_at datetime NOT NULL
);
CREATE INDEX status_check_responses_check ON status_check_responses (merge_request_id, external_status_check_id, id);
CREATE INDEX status_check_responses_service ON status_check_responses (external_status_check_id);

-- Pushes between pre-receive and the end of post-receive. After a crash, recovery
-- needs the pusher and the push options.
CREATE TABLE pending_pushes (
    id integer PRIMARY KEY AUTOINCREMENT,
    project_id integer NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id integer REFERENCES users (id) ON DELETE CASCADE,
    request_id text NOT NULL DEFAULT '',
    updates text NOT NULL,
    options text NOT NULL,
    created_at datetime NOT NULL
);
CREATE INDEX pending_pushes_project_id ON pending_pushes (project_id);

-- Who did what. Names are text, because an audit event outlives its user and target.
CREATE TABLE audit_events (
    id integer PRIMARY KEY AUTOINCREMENT,
    project_id integer REFERENCES projects (id) ON DELETE CASCADE,
    user_id integer REFERENCES users (id) ON DELETE SET NULL,
    user_name text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    target_id integer NOT NULL DEFAULT 0,
    details text NOT NULL,
    created_at datetime NOT NULL
);
CREATE INDEX audit_events_project ON audit_events (project_id, id);

