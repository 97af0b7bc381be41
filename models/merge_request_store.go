package models

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"
)

// MergeRequest finds a merge request of a project by its iid, with its people.
// KindNotFound when there is none.
func (s *Store) MergeRequest(ctx context.Context, projectID, iid int64) (MergeRequest, error) {
	var mr MergeRequest
	err := s.q(ctx).Preload("Author").Preload("MergeUser").Preload("ClosedBy").Take(&mr, "project_id = ? AND iid = ?", projectID, iid).Error
	return mr, found(err, "merge request")
}

// MergeRequestFilter chooses merge requests of a list; zero values choose all.
type MergeRequestFilter struct {
	// ProjectIDs restricts the list; nil for every project.
	ProjectIDs []int64
	// ReadableBy restricts the list to projects whose code a user may read.
	ReadableBy     *User
	State          MergeRequestState
	SourceBranch   string
	TargetBranch   string
	AuthorID       int64
	AuthorUsername string
	IIDs           []int64
	Search         string
	Draft          *bool
	CreatedAfter   *time.Time
	CreatedBefore  *time.Time
	UpdatedAfter   *time.Time
	UpdatedBefore  *time.Time
	// OrderBy is "created_at" (default), "updated_at" or "title".
	OrderBy   string
	Ascending bool
}

func (f MergeRequestFilter) apply(query *gorm.DB) *gorm.DB {
	if f.ProjectIDs != nil {
		query = query.Where("project_id IN ?", f.ProjectIDs)
	}
	if f.ReadableBy != nil && !f.ReadableBy.Admin {
		query = query.Where(`project_id IN (SELECT id FROM projects WHERE visibility >= ? UNION ALL
			SELECT project_id FROM members WHERE user_id = ? AND role >= ?)`, VisibilityInternal, f.ReadableBy.ID, RoleReporter)
	}
	if f.State != "" {
		query = query.Where("state = ?", f.State)
	}
	if f.SourceBranch != "" {
		query = query.Where("source_branch = ?", f.SourceBranch)
	}
	if f.TargetBranch != "" {
		query = query.Where("target_branch = ?", f.TargetBranch)
	}
	if f.AuthorID != 0 {
		query = query.Where("author_id = ?", f.AuthorID)
	}
	if f.AuthorUsername != "" {
		query = query.Where("author_id IN (SELECT id FROM users WHERE username_key = ?)", foldKey(cleanText(f.AuthorUsername)))
	}
	if f.IIDs != nil {
		query = query.Where("iid IN ?", f.IIDs)
	}
	if f.Draft != nil {
		query = query.Where("draft = ?", *f.Draft)
	}
	if f.Search != "" {
		like := likeContains(strings.ToLower(cleanText(f.Search)))
		query = query.Where(`(lower(title) LIKE ? ESCAPE '\' OR lower(description) LIKE ? ESCAPE '\')`, like, like)
	}
	between := func(column string, after, before *time.Time) {
		if after != nil {
			query = query.Where(column+" >= ?", dbTime(*after))
		}
		if before != nil {
			query = query.Where(column+" <= ?", dbTime(*before))
		}
	}
	between("created_at", f.CreatedAfter, f.CreatedBefore)
	between("updated_at", f.UpdatedAfter, f.UpdatedBefore)
	return query
}

// MergeRequests lists merge requests with their people, and their total number.
func (s *Store) MergeRequests(ctx context.Context, filter MergeRequestFilter, page Page) ([]MergeRequest, int64, error) {
	query := filter.apply(s.q(ctx).Model(&MergeRequest{}))
	var total int64
	if err := query.Count(&total).Error; err != nil {
		return nil, 0, err
	}
	order := map[string]string{"updated_at": "updated_at", "title": "title"}[filter.OrderBy]
	if order == "" {
		order = "created_at"
	}
	direction := " DESC"
	if filter.Ascending {
		direction = ""
	}
	var list []MergeRequest
	err := page.apply(query.Preload("Author").Preload("MergeUser").Preload("ClosedBy").Order(order + direction).Order("id" + direction)).Find(&list).Error
	return list, total, err
}

// CountMergeRequests counts a project's merge requests by state.
func (s *Store) CountMergeRequests(ctx context.Context, projectID int64) (map[MergeRequestState]int64, error) {
	var rows []struct {
		State MergeRequestState
		N     int64
	}
	err := s.q(ctx).Model(&MergeRequest{}).Select("state, count(*) AS n").Where("project_id = ?", projectID).Group("state").Scan(&rows).Error
	counts := map[MergeRequestState]int64{}
	for _, row := range rows {
		counts[row.State] = row.N
	}
	return counts, err
}

// Checks lists the checks of merge requests, by merge request id, each sorted
// by name, with the newest delivery of each. Services that were removed are
// gone from it at once.
func (s *Store) Checks(ctx context.Context, mergeRequestIDs ...int64) (map[int64][]MergeRequestCheck, error) {
	var checks []MergeRequestCheck
	err := s.q(ctx).Preload("Delivery", withoutPayload).Where("merge_request_id IN ?", mergeRequestIDs).Order("name, id").Find(&checks).Error
	byMR := map[int64][]MergeRequestCheck{}
	for _, check := range checks {
		byMR[check.MergeRequestID] = append(byMR[check.MergeRequestID], check)
	}
	return byMR, err
}

// lockMergeRequest locks a merge request's row and finds its project. Whatever
// changes HEAD, state, target or checks does so under this lock.
func (s *Store) lockMergeRequest(ctx context.Context, projectID, iid int64) (MergeRequest, Project, error) {
	var mr MergeRequest
	err := s.forUpdate(s.w(ctx)).Take(&mr, "project_id = ? AND iid = ?", projectID, iid).Error
	if err != nil {
		return mr, Project{}, found(err, "merge request")
	}
	project, err := s.Project(ctx, projectID)
	return mr, project, err
}

// CreateMergeRequest opens a merge request at the tip of its source branch,
// takes a copy of the services that apply and tells them. A second open one
// for the same branches is KindConflict with CodeAlreadyOpen and its iid in
// Params["iid"].
func (s *Store) CreateMergeRequest(ctx context.Context, by User, projectID int64, in MergeRequestInput) (MergeRequest, error) {
	if err := in.Validate(); err != nil {
		return MergeRequest{}, err
	}
	var mr MergeRequest
	err := s.Transaction(ctx, func(tx *Store) error {
		// Under the project's lock no push to it can be told in between.
		var project Project
		if err := tx.lockProject(ctx, projectID, &project); err != nil {
			return err
		}
		head, err := tx.branchesFor(ctx, projectID, in.SourceBranch, in.TargetBranch, true)
		if err != nil {
			return err
		}
		if err := tx.refuseSecondOpen(ctx, projectID, in.SourceBranch, in.TargetBranch, 0); err != nil {
			return err
		}
		now := tx.Now()
		project.LastMergeRequestIID++
		if err := tx.w(ctx).Model(&Project{}).Where("id = ?", projectID).UpdateColumn("last_merge_request_iid", project.LastMergeRequestIID).Error; err != nil {
			return err
		}
		mr = MergeRequest{
			ProjectID: projectID, IID: project.LastMergeRequestIID, Title: in.Title, Description: in.Description,
			SourceBranch: in.SourceBranch, TargetBranch: in.TargetBranch, AuthorID: ID(by.ID), Author: &by,
			State: StateOpened, Draft: IsDraftTitle(in.Title), Squash: in.Squash, RemoveSourceBranch: in.RemoveSourceBranch,
			CreatedAt: now, UpdatedAt: now,
		}
		mr.setHead(head)
		if err := tx.w(ctx).Create(&mr).Error; err != nil {
			return err
		}
		if err := tx.shared.cfg.Git.KeepHead(ctx, projectID, mr.IID, mr.HeadSHA); err != nil {
			return err
		}
		if err := tx.copyServices(ctx, mr); err != nil {
			return err
		}
		return tx.tell(ctx, project, mr, happening{action: ActionOpen, by: by})
	})
	return mr, err
}

// branchesFor finds the tip of a source branch and makes sure of the target.
func (s *Store) branchesFor(ctx context.Context, projectID int64, source, target string, needCommits bool) (Commit, error) {
	git := s.shared.cfg.Git
	var f fieldErrors
	sourceTip, exists, err := git.BranchTip(ctx, projectID, source)
	if err != nil {
		return Commit{}, err
	}
	if !exists {
		f.add("source_branch", CodeUnknownBranch)
	}
	targetTip, exists, err := git.BranchTip(ctx, projectID, target)
	if err != nil {
		return Commit{}, err
	}
	if !exists {
		f.add("target_branch", CodeUnknownBranch)
	}
	if err := f.err(); err != nil {
		return Commit{}, err
	}
	if needCommits {
		n, err := git.CountCommits(ctx, projectID, targetTip, sourceTip)
		if err != nil {
			return Commit{}, err
		}
		if n == 0 {
			f.add("source_branch", CodeNoCommits)
			return Commit{}, f.err()
		}
	}
	return git.Commit(ctx, projectID, sourceTip)
}

func (s *Store) refuseSecondOpen(ctx context.Context, projectID int64, source, target string, except int64) error {
	var other MergeRequest
	err := s.w(ctx).Take(&other, "project_id = ? AND source_branch = ? AND target_branch = ? AND state = ? AND id <> ?", projectID, source, target, StateOpened, except).Error
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return &Error{Kind: KindConflict, Code: CodeAlreadyOpen, Params: map[string]string{"iid": itoa(other.IID), "source": source, "target": target}}
}

// copyServices takes a fresh copy of the services that apply to a merge
// request: all its checks are pending and their clocks start now.
func (s *Store) copyServices(ctx context.Context, mr MergeRequest) error {
	if err := s.w(ctx).Where("merge_request_id = ?", mr.ID).Delete(&MergeRequestCheck{}).Error; err != nil {
		return err
	}
	services, _, err := s.StatusChecks(ctx, mr.ProjectID, Page{})
	if err != nil {
		return err
	}
	for _, service := range services {
		if !service.AppliesTo(mr.TargetBranch) {
			continue
		}
		check := copyOf(service, mr, s.Now())
		if err := s.w(ctx).Create(&check).Error; err != nil && !missesParent(err) {
			return err
		}
	}
	return nil
}

// copyOf is a merge request's copy of a service, pending from now.
func copyOf(service ExternalStatusCheck, mr MergeRequest, now time.Time) MergeRequestCheck {
	check := MergeRequestCheck{
		ProjectID: mr.ProjectID, MergeRequestID: mr.ID, ExternalStatusCheckID: service.ID,
		Name: service.Name, ExternalURL: service.ExternalURL, Scope: service.Scope(), TimeoutSeconds: service.TimeoutSeconds,
		CreatedAt: now, UpdatedAt: now,
	}
	check.restart(mr.HeadSHA, now)
	if mr.State != StateOpened {
		check.StoppedAt = &now
	}
	return check
}

// UpdateMergeRequest edits a merge request. One edit is one event, one that
// changes nothing is none. A new target branch takes a fresh copy of the
// services; only an open or closed merge request can be retargeted.
func (s *Store) UpdateMergeRequest(ctx context.Context, by User, projectID, iid int64, in MergeRequestUpdate) (MergeRequest, error) {
	if err := in.Validate(); err != nil {
		return MergeRequest{}, err
	}
	var mr MergeRequest
	err := s.Transaction(ctx, func(tx *Store) error {
		if in.TargetBranch != nil {
			// One open merge request per pair is decided under the
			// project's lock, which is always taken first.
			var project Project
			if err := tx.lockProject(ctx, projectID, &project); err != nil {
				return err
			}
		}
		var project Project
		var err error
		if mr, project, err = tx.lockMergeRequest(ctx, projectID, iid); err != nil {
			return err
		}
		return tx.edit(ctx, by, project, &mr, in)
	})
	if err != nil {
		return MergeRequest{}, err
	}
	return s.MergeRequest(ctx, projectID, iid)
}

func (s *Store) edit(ctx context.Context, by User, project Project, mr *MergeRequest, in MergeRequestUpdate) error {
	var changes []Change
	change := func(field string, from, to any) bool {
		if from == to {
			return false
		}
		changes = append(changes, Change{Field: field, Previous: from, Current: to})
		return true
	}
	title := mr.Title
	if in.Title != nil {
		title = *in.Title
	}
	if in.Draft != nil {
		title = WithDraft(title, *in.Draft)
		var f fieldErrors
		if checkTitle(&f, title); len(f) > 0 {
			return f.err()
		}
	}
	change("title", mr.Title, title)
	mr.Title = title
	change("draft", mr.Draft, IsDraftTitle(title))
	mr.Draft = IsDraftTitle(title)
	if in.Description != nil {
		change("description", mr.Description, *in.Description)
		mr.Description = *in.Description
	}
	retargeted := false
	if in.TargetBranch != nil && *in.TargetBranch != mr.TargetBranch {
		if err := s.checkRetarget(ctx, *mr, *in.TargetBranch); err != nil {
			return err
		}
		retargeted = change("target_branch", mr.TargetBranch, *in.TargetBranch)
		mr.TargetBranch = *in.TargetBranch
	}
	preferences := map[string]any{}
	if in.Squash != nil && *in.Squash != mr.Squash {
		mr.Squash, preferences["squash"] = *in.Squash, *in.Squash
	}
	if in.RemoveSourceBranch != nil && *in.RemoveSourceBranch != mr.RemoveSourceBranch {
		mr.RemoveSourceBranch, preferences["remove_source_branch"] = *in.RemoveSourceBranch, *in.RemoveSourceBranch
	}
	if len(changes) == 0 {
		if len(preferences) == 0 {
			return nil
		}
		return s.w(ctx).Model(&MergeRequest{}).Where("id = ?", mr.ID).Updates(preferences).Error
	}
	now := s.Now()
	change("updated_at", mr.UpdatedAt, now)
	change("last_edited_at", value(mr.LastEditedAt), now)
	change("last_edited_by_id", value(mr.LastEditedByID), by.ID)
	change("updated_by_id", value(mr.UpdatedByID), by.ID)
	mr.UpdatedAt, mr.LastEditedAt, mr.LastEditedByID, mr.UpdatedByID = now, &now, ID(by.ID), ID(by.ID)
	if retargeted {
		if err := s.copyServices(ctx, *mr); err != nil {
			return err
		}
		if err := s.supersedeOrphans(ctx, mr.ID); err != nil {
			return err
		}
	}
	if err := s.saveMergeRequest(ctx, mr); err != nil {
		return err
	}
	return s.tell(ctx, project, *mr, happening{action: ActionUpdate, changes: changes, by: by})
}

// value is what a pointer points at, nil for nil, so that two can be compared.
func value[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

func (s *Store) checkRetarget(ctx context.Context, mr MergeRequest, target string) error {
	if mr.State == StateMerged {
		return unprocessable(CodeNotOpen)
	}
	var f fieldErrors
	if target == mr.SourceBranch {
		f.add("target_branch", CodeSameBranch)
		return f.err()
	}
	if _, exists, err := s.shared.cfg.Git.BranchTip(ctx, mr.ProjectID, target); err != nil {
		return err
	} else if !exists {
		f.add("target_branch", CodeUnknownBranch)
		return f.err()
	}
	if mr.State == StateOpened {
		return s.refuseSecondOpen(ctx, mr.ProjectID, mr.SourceBranch, target, mr.ID)
	}
	return nil
}

func (s *Store) saveMergeRequest(ctx context.Context, mr *MergeRequest) error {
	return s.w(ctx).Save(mr).Error
}

// CloseMergeRequest closes an open merge request: clocks stop, waiting
// deliveries are superseded, and the services are told.
func (s *Store) CloseMergeRequest(ctx context.Context, by User, projectID, iid int64) (MergeRequest, error) {
	err := s.Transaction(ctx, func(tx *Store) error {
		mr, project, err := tx.lockMergeRequest(ctx, projectID, iid)
		if err != nil {
			return err
		}
		if mr.State != StateOpened {
			return unprocessable(CodeNotOpen)
		}
		now := tx.Now()
		mr.State, mr.ClosedAt, mr.ClosedByID, mr.UpdatedAt, mr.UpdatedByID = StateClosed, &now, ID(by.ID), now, ID(by.ID)
		if err := tx.saveMergeRequest(ctx, &mr); err != nil {
			return err
		}
		if err := tx.stopClocks(ctx, mr); err != nil {
			return err
		}
		if err := tx.supersede(ctx, mr.ID, 0, SupersededByClose); err != nil {
			return err
		}
		if err := tx.audit(ctx, by, projectID, AuditMergeRequestClosed, mr.Title, mr.IID); err != nil {
			return err
		}
		changes := []Change{{"state_id", stateID(StateOpened), stateID(StateClosed)}, {"updated_at", nil, now}}
		return tx.tell(ctx, project, mr, happening{action: ActionClose, by: by, changes: changes})
	})
	if err != nil {
		return MergeRequest{}, err
	}
	return s.MergeRequest(ctx, projectID, iid)
}

// stateID is GitLab's number for a state in the payload's changes.
func stateID(state MergeRequestState) int {
	return map[MergeRequestState]int{StateOpened: 1, StateClosed: 2, StateMerged: 3}[state]
}

// StateID is GitLab's number for the state (state_id).
func (state MergeRequestState) StateID() int { return stateID(state) }

// stopClocks stops the clocks of a merge request's pending checks.
func (s *Store) stopClocks(ctx context.Context, mr MergeRequest) error {
	checks, err := s.checksOf(ctx, mr.ID)
	if err != nil {
		return err
	}
	for _, check := range checks {
		if check.Status != StatusPending {
			continue
		}
		check.stop(s.Now())
		if err := s.saveCheck(ctx, &check); err != nil {
			return err
		}
	}
	return nil
}

// saveCheck writes the state of a check; one whose service was just removed is
// gone, and stays gone.
func (s *Store) saveCheck(ctx context.Context, check *MergeRequestCheck) error {
	check.UpdatedAt = s.Now()
	return s.w(ctx).Select("*").Omit("Delivery", "delivery_id").Where("id = ?", check.ID).Updates(check).Error
}

// ReopenMergeRequest opens a closed merge request again, at the tip of its
// source branch as it stands now: pending checks, and all of them if HEAD
// moved, are pending with the clock starting now.
func (s *Store) ReopenMergeRequest(ctx context.Context, by User, projectID, iid int64) (MergeRequest, error) {
	err := s.Transaction(ctx, func(tx *Store) error {
		var project Project
		if err := tx.lockProject(ctx, projectID, &project); err != nil {
			return err
		}
		mr, _, err := tx.lockMergeRequest(ctx, projectID, iid)
		if err != nil {
			return err
		}
		if mr.State != StateClosed {
			return unprocessable(CodeNotClosed)
		}
		head, err := tx.branchesFor(ctx, projectID, mr.SourceBranch, mr.TargetBranch, false)
		if err != nil {
			return reopenRefused(err)
		}
		if err := tx.refuseSecondOpen(ctx, projectID, mr.SourceBranch, mr.TargetBranch, mr.ID); err != nil {
			return err
		}
		now := tx.Now()
		moved := head.SHA != mr.HeadSHA
		mr.State, mr.ClosedAt, mr.ClosedByID, mr.UpdatedAt, mr.UpdatedByID = StateOpened, nil, nil, now, ID(by.ID)
		mr.SourceBranchDeleted = false
		mr.setHead(head)
		if err := tx.saveMergeRequest(ctx, &mr); err != nil {
			return err
		}
		if err := tx.shared.cfg.Git.KeepHead(ctx, projectID, mr.IID, mr.HeadSHA); err != nil {
			return err
		}
		checks, err := tx.checksOf(ctx, mr.ID)
		if err != nil {
			return err
		}
		for _, check := range checks {
			if moved || check.Status == StatusPending {
				check.restart(mr.HeadSHA, now)
				if err := tx.saveCheck(ctx, &check); err != nil {
					return err
				}
			}
		}
		if moved {
			if err := tx.supersede(ctx, mr.ID, 0, SupersededByHead); err != nil {
				return err
			}
		}
		if err := tx.audit(ctx, by, projectID, AuditMergeRequestReopened, mr.Title, mr.IID); err != nil {
			return err
		}
		changes := []Change{{"state_id", stateID(StateClosed), stateID(StateOpened)}, {"updated_at", nil, now}}
		return tx.tell(ctx, project, mr, happening{action: ActionReopen, by: by, changes: changes})
	})
	if err != nil {
		return MergeRequest{}, err
	}
	return s.MergeRequest(ctx, projectID, iid)
}

// reopenRefused words missing branches as reasons rather than as fields: there
// is no form to correct them in.
func reopenRefused(err error) error {
	for _, f := range FieldErrorsOf(err) {
		if f.Code == CodeUnknownBranch && f.Field == "source_branch" {
			return unprocessable(CodeSourceBranchGone)
		}
		if f.Code == CodeUnknownBranch {
			return unprocessable(CodeTargetBranchGone)
		}
	}
	return err
}
