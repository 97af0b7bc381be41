package models

import (
	"context"
	"fmt"
	"strings"

	"gorm.io/gorm"
)

// CountForeignProjects counts the projects outside SeedNamespace.
func (s *Store) CountForeignProjects(ctx context.Context) (n int64, err error) {
	err = s.reader(ctx).Model(&Project{}).
		Where("namespace_id NOT IN (?)", s.reader(ctx).Model(&Namespace{}).Select("id").Where("path_key = ?", SeedNamespace)).
		Count(&n).Error
	return n, err
}

// Seed fills the database with made-up projects, merge requests, checks, responses,
// deliveries, attempts and audit events, for measurements. The database computes the
// rows, in one statement per table; nothing is sent to services. Apart from
// SeedInput.Large the projects have no repository.
func (s *Store) Seed(ctx context.Context, in SeedInput) (SeedCounts, error) {
	large := in.LargeMergeRequests()
	perProject, projects := in.perProject()
	seed := seeder{db: s.writer(ctx), values: map[string]any{
		"now": s.Now(), "head": in.Head.SHA, "message": in.Head.Message, "author_name": in.Head.AuthorName,
		"author_email": in.Head.AuthorEmail, "committed": in.Head.CommittedAt, "owner_name": in.Authors[0].Username,
	}}
	words := []string{
		"$projects", fmt.Sprint(projects), "$per_project", fmt.Sprint(perProject),
		"$services", fmt.Sprint(SeedServices), "$large_mrs", fmt.Sprint(large), "$mrs", fmt.Sprint(in.MergeRequests), "$large", fmt.Sprint(in.Large.ID),
		"$owner", fmt.Sprint(in.Authors[0].ID), "$namespace", fmt.Sprint(in.Large.NamespaceID), "$days", "2419200",
		"$author", seedAuthor(in.Authors), "$uuid", s.seedUUID(),
	}
	for _, table := range []string{"projects", "merge_requests"} {
		words = append(words, "$last_"+table, fmt.Sprint(seed.lastID(table)))
	}
	seed.words = strings.NewReplacer(words...)
	counts := SeedCounts{Projects: 1 + seed.run(s.seedProjects())}
	for _, statement := range s.seedServices() {
		seed.run(statement)
	}
	counts.MergeRequests = seed.run(s.seedMergeRequests())
	seed.run(`UPDATE projects SET last_merge_request_iid = (SELECT max(iid) FROM merge_requests WHERE project_id = projects.id)
		WHERE id = $large OR id > $last_projects`)
	counts.Deliveries = seed.run(s.seedDeliveries())
	counts.Attempts = seed.run(s.seedAttempts())
	counts.Checks = seed.run(s.seedChecks())
	counts.Responses = seed.run(s.seedResponses())
	counts.AuditEvents = seed.run(s.seedAuditEvents())
	if s.postgres() { // SQLite has no statistics in production either
		seed.run("VACUUM (ANALYZE)")
	}
	return counts, seed.err
}

// seeder runs the statements of Seed until one fails.
type seeder struct {
	db     *gorm.DB
	words  *strings.Replacer
	values map[string]any
	err    error
}

// run executes a statement and returns the number of rows.
func (s *seeder) run(statement string) int64 {
	if s.err != nil {
		return 0
	}
	statement = s.words.Replace(statement)
	var values []any
	if strings.Contains(statement, "@") {
		values = []any{s.values}
	}
	result := s.db.Exec(statement, values...)
	if result.Error != nil {
		s.err = fmt.Errorf("seed: %w in %.60s", result.Error, statement)
	}
	return result.RowsAffected
}

func (s *seeder) lastID(table string) (id int64) {
	if s.err == nil {
		s.err = s.db.Table(table).Select("COALESCE(max(id), 0)").Scan(&id).Error
	}
	return id
}

// ago returns the SQL expression for the time that seconds, an expression, ago was.
func (s *Store) ago(seconds string) string {
	if s.postgres() {
		return "(CAST(@now AS timestamptz) - (" + seconds + ") * interval '1 second')"
	}
	return "strftime('%Y-%m-%d %H:%M:%S+00:00', unixepoch(@now) - (" + seconds + "), 'unixepoch')"
}

func (s *Store) seedUUID() string {
	if s.postgres() {
		return "CAST(gen_random_uuid() AS text)"
	}
	return "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-' || hex(randomblob(2)) || '-' || hex(randomblob(2)) || '-' || hex(randomblob(6)))"
}

func (s *Store) seedBytes(expr string) string {
	if s.postgres() {
		return "convert_to(" + expr + ", 'UTF8')"
	}
	return "CAST(" + expr + " AS BLOB)"
}

// seedWord returns the SQL expression for a word that number, an expression, selects.
func seedWord(number string) string {
	const words = "cache     parser    invoice   refund    login     export    webhook   search    " +
		"ledger    ticket    seat      platform  customer  archive   schedule  report    "
	return "trim(substr('" + words + "', CAST(1 + 10 * ((" + number + ") % 16) AS int), 10))"
}

// seedAuthor returns the SQL expression for the author of merge request n.
func seedAuthor(authors []User) string {
	var cases strings.Builder
	for i, author := range authors {
		fmt.Fprintf(&cases, " WHEN %d THEN %d", i, author.ID)
	}
	return fmt.Sprintf("CASE %s %% %d%s END", seedSpread("n"), len(authors), cases.String())
}

// seedSpread returns the SQL expression for a number that looks random, so that, for
// example, the failed checks do not all belong to merge requests of the same state.
func seedSpread(number string) string { return "((" + number + ") * 48271 % 65537)" }

// seedSeries is a table of the numbers n from 1 to a limit.
func seedSeries(limit string) string {
	return "(WITH RECURSIVE s(n) AS (SELECT CAST(1 AS bigint) UNION ALL SELECT n + 1 FROM s WHERE n < " + limit + ") SELECT n FROM s WHERE n <= " + limit + ") AS series"
}

func (s *Store) seedProjects() string {
	return `INSERT INTO projects (namespace_id, name, path, path_key, description, visibility, default_branch, last_merge_request_iid,
			creator_id, created_at, updated_at, last_activity_at)
		SELECT $namespace, ` + seedWord("n / 16") + " || ' ' || " + seedWord("n") + ` || ' ' || ($last_projects + n), 'p' || ($last_projects + n), 'p' || ($last_projects + n),
			'', CASE n % 4 WHEN 0 THEN 10 ELSE 0 END, 'main', 0, $owner, ` + s.ago("$days") + ", " + s.ago("n") + ", " + s.ago("n") + `
		FROM ` + seedSeries("$projects")
}

// seedServices returns the statements for members, services and their queues.
func (s *Store) seedServices() []string {
	return []string{`INSERT INTO members (project_id, user_id, role, created_at, updated_at)
		SELECT id, $owner, 50, created_at, created_at FROM projects WHERE id > $last_projects`,
		`INSERT INTO external_status_checks (project_id, name, name_key, external_url, url_key, timeout_seconds, created_at, updated_at)
		SELECT p.id, 'Service ' || n, 'service ' || n, 'http://service-' || n || '.invalid/' || p.id, 'http://service-' || n || '.invalid/' || p.id,
			604800, p.created_at, p.created_at
		FROM projects p, ` + seedSeries("$services") + " WHERE p.id = $large OR p.id > $last_projects",
		`INSERT INTO service_queues (external_status_check_id, project_id)
		SELECT id, project_id FROM external_status_checks s
		WHERE NOT EXISTS (SELECT 1 FROM service_queues q WHERE q.external_status_check_id = s.id)`}
}

// seedMergeRequests returns the statement for merge requests: of ten, the newest two are
// open, one is closed and the others are merged.
func (s *Store) seedMergeRequests() string {
	return `INSERT INTO merge_requests (project_id, iid, title, description, source_branch, target_branch, author_id, state, draft,
			head_sha, head_message, head_author_name, head_author_email, head_committed_at,
			merge_user_id, merged_at, closed_by_id, closed_at, created_at, updated_at)
		SELECT project_id, iid, ` + seedWord("n / 16") + " || ' ' || " + seedWord("n") + " || ' ' || " + seedWord("n / 256") + ` || ' ' || n,
			'Changes the ' || ` + seedWord("n / 4") + " || ' of the ' || " + seedWord("n / 7") + ` || '. Ticket T-' || n || '.',
			'topic-' || iid, 'main', $author, state, n % 20 = 0,
			CAST(@head AS text), CAST(@message AS text), CAST(@author_name AS text), CAST(@author_email AS text), ` + s.ago("$days") + `,
			CASE state WHEN 'merged' THEN $owner END, CASE state WHEN 'merged' THEN ` + s.ago("age") + ` END,
			CASE state WHEN 'closed' THEN $owner END, CASE state WHEN 'closed' THEN ` + s.ago("age") + " END, " + s.ago("age + 3600") + ", " + s.ago("age") + `
		FROM (SELECT n, project_id, iid, ($mrs - n) * $days / $mrs AS age,
				CASE ((CASE WHEN project_id = $large THEN $large_mrs ELSE $per_project END) - iid) % 10
					WHEN 0 THEN 'opened' WHEN 1 THEN 'opened' WHEN 2 THEN 'closed' ELSE 'merged' END AS state
			FROM (SELECT n, CASE WHEN n > $mrs - $large_mrs THEN $large ELSE $last_projects + 1 + (n - 1) / $per_project END AS project_id,
					CASE WHEN n > $mrs - $large_mrs THEN n - ($mrs - $large_mrs) ELSE 1 + (n - 1) % $per_project END AS iid
				FROM ` + seedSeries("$mrs") + `) AS numbered) AS aged
		ORDER BY n`
}

func (s *Store) seedDeliveries() string {
	return `INSERT INTO deliveries (project_id, external_status_check_id, merge_request_id, merge_request_iid, uuid, event_uuid, kind, action, sha, url,
			payload, state, attempts, next_attempt_at, last_attempt_at, last_http_status, last_duration_ms, finished_at, created_at)
		SELECT m.project_id, c.id, m.id, m.iid, $uuid, $uuid, 'event', 'open', m.head_sha, c.external_url,
			` + s.seedBytes(`'{"object_kind":"merge_request","object_attributes":{"iid":' || m.iid || ',"title":"' || m.title || '"}}'`) + `,
			CASE WHEN (m.id + c.id) % 50 = 0 THEN 'failed' ELSE 'delivered' END, 1, m.created_at, m.created_at,
			CASE WHEN (m.id + c.id) % 50 = 0 THEN 503 ELSE 202 END, 20 + (m.id + c.id) % 200, m.created_at, m.created_at
		FROM merge_requests m JOIN external_status_checks c ON c.project_id = m.project_id
		WHERE m.id > $last_merge_requests ORDER BY m.id, c.id`
}

func (s *Store) seedAttempts() string {
	return `INSERT INTO delivery_attempts (delivery_id, number, started_at, duration_ms, http_status, request_header, response_header)
		SELECT id, 1, created_at, last_duration_ms, last_http_status, '{}', '{}' FROM deliveries WHERE merge_request_id > $last_merge_requests ORDER BY id`
}

// seedChecks returns the statement for checks: of a hundred, ten have failed, and one is
// pending if its merge request is open.
func (s *Store) seedChecks() string {
	spread := seedSpread("m.id * 3 + c.id")
	return `INSERT INTO merge_request_checks (project_id, merge_request_id, external_status_check_id, name, external_url, scope, timeout_seconds,
			sha, status, pending_since, stopped_at, settled_at, description, delivery_id, answered_via, merge_request_open, created_at, updated_at)
		SELECT d.project_id, m.id, c.id, c.name, c.external_url, '[]', c.timeout_seconds, m.head_sha,
			CASE WHEN ` + spread + ` % 100 = 0 AND m.state = 'opened' THEN 'pending' WHEN ` + spread + ` % 10 = 1 THEN 'failed' ELSE 'passed' END,
			CASE WHEN ` + spread + ` % 100 = 0 AND m.state = 'opened' THEN ` + s.ago("0") + ` ELSE m.created_at END,
			CASE WHEN m.state <> 'opened' THEN m.updated_at END, CASE WHEN ` + spread + ` % 100 <> 0 OR m.state <> 'opened' THEN m.created_at END,
			'', d.id, 'token', m.state = 'opened', m.created_at, m.created_at
		FROM deliveries d JOIN merge_requests m ON m.id = d.merge_request_id JOIN external_status_checks c ON c.id = d.external_status_check_id
		WHERE d.merge_request_id > $last_merge_requests ORDER BY d.id`
}

func (s *Store) seedResponses() string {
	return `INSERT INTO status_check_responses (project_id, merge_request_id, external_status_check_id, user_id, sha, status, created_at, answer_ms)
		SELECT project_id, merge_request_id, external_status_check_id, $owner, sha, status, created_at, 1000 + id % 60000
		FROM merge_request_checks WHERE merge_request_id > $last_merge_requests AND status <> 'pending' ORDER BY id`
}

// seedAuditEvents returns the statement for audit events: one per merged merge request.
// One in ten belongs to no project.
func (s *Store) seedAuditEvents() string {
	return `INSERT INTO audit_events (project_id, user_id, user_name, action, target, target_id, details, created_at)
		SELECT CASE id % 10 WHEN 0 THEN NULL ELSE project_id END, $owner, CAST(@owner_name AS text), 'merge_request_merged', '!' || iid, id, '[]', updated_at
		FROM merge_requests WHERE id > $last_merge_requests AND state = 'merged' ORDER BY id`
}
