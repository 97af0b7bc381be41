package models

import (
	"context"
	"slices"

	"gorm.io/gorm"
)

// MergeRequest finds a merge request of a project by its iid, with its users. It
// returns KindNotFound if there is none.
func (s *Store) MergeRequest(ctx context.Context, projectID, iid int64) (MergeRequest, error) {
	var mr MergeRequest
	err := withUsers(s.preparedReader(ctx)).
		Take(&mr, "project_id = ? AND iid = ?", projectID, iid).Error
	return mr, orNotFound(err, "merge request")
}

// withUsers loads the users of merge requests.
func withUsers(query *gorm.DB) *gorm.DB {
	return query.Preload("Author").Preload("MergeUser").Preload("ClosedBy").Preload("AutoMergeUser")
}

// MergeRequestsMergedBy returns the iids of the merge requests whose merge or squash
// commit is sha.
func (s *Store) MergeRequestsMergedBy(ctx context.Context, projectID int64, sha string) ([]int64, error) {
	var iids []int64
	if sha == "" {
		return nil, nil
	}
	// Each part has its index, which leaves out empty commits. Joined by OR or sorted, SQLite
	// would use none.
	merged := func(column string) string {
		return "SELECT iid FROM merge_requests WHERE project_id = ? AND " + column + " = ? AND " + column + " <> ''"
	}
	err := s.reader(ctx).Raw(merged("merge_commit_sha")+" UNION ALL "+merged("squash_commit_sha"), projectID, sha, projectID, sha).Scan(&iids).Error
	slices.Sort(iids)
	iids = slices.Compact(iids)
	return iids, err
}

// OpenMergeRequestsFrom returns the iid of the newest open merge request of each source
// branch, by branch.
func (s *Store) OpenMergeRequestsFrom(ctx context.Context, projectID int64, branches ...string) (map[string]int64, error) {
	var rows []struct {
		SourceBranch string
		IID          int64 `gorm:"column:iid"`
	}
	err := s.reader(ctx).Model(&MergeRequest{}).Select("source_branch, max(iid) AS iid").
		Where("project_id = ? AND state = ? AND source_branch IN ?", projectID, StateOpened, branches).
		Group("source_branch").Scan(&rows).Error
	open := map[string]int64{}
	for _, row := range rows {
		open[row.SourceBranch] = row.IID
	}
	return open, err
}

// Checks lists the checks of merge requests by merge request id, each list sorted by
// name, with the newest delivery of each check.
func (s *Store) Checks(ctx context.Context, mergeRequestIDs ...int64) (map[int64][]MergeRequestCheck, error) {
	var checks []MergeRequestCheck
	err := s.preparedReader(ctx).Preload("Delivery", withoutPayload).Where("merge_request_id IN ?", mergeRequestIDs).
		Order("name, id").Find(&checks).Error
	byMR := map[int64][]MergeRequestCheck{}
	for _, check := range checks {
		byMR[check.MergeRequestID] = append(byMR[check.MergeRequestID], check)
	}
	return byMR, err
}

// lockMergeRequest locks a merge request's row and loads its project. Every change of
// HEAD, state, target or checks holds this lock.
func (s *Store) lockMergeRequest(ctx context.Context, projectID, iid int64) (MergeRequest, Project, error) {
	var mr MergeRequest
	err := s.forUpdate(s.writer(ctx)).Take(&mr, "project_id = ? AND iid = ?", projectID, iid).Error
	if err != nil {
		return mr, Project{}, orNotFound(err, "merge request")
	}
	project, err := s.Project(ctx, projectID)
	return mr, project, err
}

func (s *Store) saveMergeRequest(ctx context.Context, mr *MergeRequest) error {
	return s.writer(ctx).Save(mr).Error
}

// saveCheckState updates the state of a check. It does nothing if the check's service was
// deleted.
func (s *Store) saveCheckState(ctx context.Context, check *MergeRequestCheck) error {
	check.UpdatedAt = s.Now()
	return s.writer(ctx).Exec(`UPDATE merge_request_checks SET sha = ?, status = ?, timed_out = ?, pending_since = ?, stopped_at = ?,
		settled_at = ?, description = ?, target_url = ?, answered_via = ?, updated_at = ? WHERE id = ?`,
		check.SHA, check.Status, check.TimedOut, check.PendingSince, check.StoppedAt, check.SettledAt, check.Description, check.TargetURL,
		check.AnsweredVia, check.UpdatedAt, check.ID).Error
}

// saveCheckCopy is saveCheckState, but also updates what the check has copied of its service.
func (s *Store) saveCheckCopy(ctx context.Context, check *MergeRequestCheck) error {
	check.UpdatedAt = s.Now()
	return s.writer(ctx).Select("*").Omit("Delivery", "delivery_id").Where("id = ?", check.ID).Updates(check).Error
}
