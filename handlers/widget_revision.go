package handlers

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"github.com/mergegate/mergegate/views"
)

// revision returns a digest of what the widget and the merge box show, without relative times
// and the order of rows. Of the merge box it covers when the merge request changed,
// auto-merge, whether the target branch moved, the rule and the user's role.
func revision(v viewer, f mergeFacts, rows []views.CheckRow) string {
	ordered := slices.Clone(rows)
	slices.SortFunc(ordered, func(a, b views.CheckRow) int { return cmp.Compare(a.ID, b.ID) })
	buffer := make([]byte, 0, 256*len(rows)+64)
	number := func(n int64) { buffer = append(strconv.AppendInt(buffer, n, 36), 0) }
	word := func(s string) { buffer = append(append(buffer, s...), 0) }
	instant := func(t time.Time) { number(t.UnixMicro()) }
	flag := func(b bool) {
		if b {
			buffer = append(buffer, 1)
		} else {
			buffer = append(buffer, 2)
		}
	}
	word(string(f.mr.State))
	word(f.mr.HeadSHA)
	instant(f.mr.UpdatedAt)
	flag(f.mr.HasAutoMerge())
	if f.mr.AutoMergeAt != nil {
		instant(*f.mr.AutoMergeAt)
	}
	word(string(f.mr.AutoMergeAborted))
	word(f.targetStamp)
	flag(v.gate)
	number(int64(v.role))
	for _, row := range ordered {
		number(row.ID)
		word(row.Name)
		word(string(row.State))
		flag(row.Informational)
		flag(row.ViaCallback)
		word(row.SHA)
		word(row.Description)
		word(row.TargetURL)
		flag(row.TimedOut)
		flag(row.Retryable)
		flag(row.Retried)
		instant(row.Since)
		instant(row.Deadline)
		number(row.Delivery.ID)
		number(int64(row.Delivery.State))
		number(int64(row.Delivery.HTTPStatus))
		number(int64(row.Delivery.Attempt))
		word(string(row.Delivery.Failure))
		instant(row.Delivery.At)
		instant(row.Delivery.NextAt)
		number(int64(row.Delivery.Failures))
		if row.Late != nil {
			word(string(row.Late.State))
			instant(row.Late.At)
		}
	}
	digest := fnv.New64a()
	digest.Write(buffer)
	return strconv.FormatUint(digest.Sum64(), 36)
}
