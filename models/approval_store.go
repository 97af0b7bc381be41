package models

import "context"

// Approvals lists the approvals of a merge request, oldest first.
func (s *Store) Approvals(ctx context.Context, mergeRequestID int64) ([]Approval, error) {
	var list []Approval
	err := s.preparedReader(ctx).Preload("User").Where("merge_request_id = ?", mergeRequestID).Order("id").Find(&list).Error
	return list, err
}

// ApproveMergeRequest records a user's approval of an open merge request and sends an
// event. A second approval by the same user changes nothing and sends no event. If sha
// is not empty, it must be HEAD (CodeStaleSHA).
func (s *Store) ApproveMergeRequest(ctx context.Context, by User, projectID, iid int64, sha string) error {
	return s.Transaction(ctx, func(tx *Store) error {
		mr, project, err := tx.lockMergeRequest(ctx, projectID, iid)
		if err != nil {
			return err
		}
		if mr.State != StateOpened {
			return unprocessable(CodeNotOpen)
		}
		if sha != "" && sha != mr.HeadSHA {
			return &Error{Kind: KindConflict, Code: CodeStaleSHA, Params: map[string]string{"head": mr.HeadSHA}}
		}
		var n int64
		err = tx.writer(ctx).Model(&Approval{}).Where("merge_request_id = ? AND user_id = ?", mr.ID, by.ID).
			Count(&n).Error
		if err != nil || n > 0 {
			return err
		}
		if err := tx.writer(ctx).Create(&Approval{MergeRequestID: mr.ID, UserID: by.ID, CreatedAt: tx.Now()}).Error; err != nil {
			return err
		}
		if err := tx.setUpdatedAt(ctx, &mr); err != nil {
			return err
		}
		return tx.recordEvent(ctx, project, mr, eventInput{action: ActionApproved, by: by})
	})
}

// UnapproveMergeRequest removes a user's approval and sends an event. It returns
// KindNotFound with CodeNotApproved if there is no approval.
func (s *Store) UnapproveMergeRequest(ctx context.Context, by User, projectID, iid int64) error {
	return s.Transaction(ctx, func(tx *Store) error {
		mr, project, err := tx.lockMergeRequest(ctx, projectID, iid)
		if err != nil {
			return err
		}
		if mr.State != StateOpened {
			return unprocessable(CodeNotOpen)
		}
		result := tx.writer(ctx).Where("merge_request_id = ? AND user_id = ?", mr.ID, by.ID).Delete(&Approval{})
		if result.Error != nil {
			return result.Error
		}
		if result.RowsAffected == 0 {
			return &Error{Kind: KindNotFound, Code: CodeNotApproved}
		}
		if err := tx.setUpdatedAt(ctx, &mr); err != nil {
			return err
		}
		return tx.recordEvent(ctx, project, mr, eventInput{action: ActionUnapproved, by: by})
	})
}

// setUpdatedAt sets UpdatedAt of a merge request to now.
func (s *Store) setUpdatedAt(ctx context.Context, mr *MergeRequest) error {
	mr.UpdatedAt = s.Now()
	return s.writer(ctx).Model(&MergeRequest{}).Where("id = ?", mr.ID).UpdateColumn("updated_at", mr.UpdatedAt).Error
}
