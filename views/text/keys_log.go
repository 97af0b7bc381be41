package text

// Texts of the delivery log and of the health of a service.
const (
	KeyLogAllEvents           Key = "log.all_events"
	KeyLogOutcome             Key = "log.outcome"
	KeyLogStatus              Key = "log.status"
	KeyLogStatusNone          Key = "log.status_none"
	KeyLogSince               Key = "log.since"
	KeyLogUntil               Key = "log.until"
	KeyLogSearch              Key = "log.search"
	KeyLogClear               Key = "log.clear"
	KeyLogNoMatch             Key = "log.no_match"
	KeyLogStatusInvalid       Key = "log.status_invalid"
	KeyLogMergeRequestInvalid Key = "log.merge_request_invalid"
	KeyLogTimeInvalid         Key = "log.time_invalid"
	KeyLogSearchInvalid       Key = "log.search_invalid"

	KeyLogRedeliverFailed    Key = "log.redeliver_failed"
	KeyLogCount              Key = "log.count"
	KeyLogFailedSince        Key = "log.failed_since"
	KeyLogRedeliverLimit     Key = "log.redeliver_limit"
	KeyLogRedeliverExplained Key = "log.redeliver_explained"
	KeyLogRedeliverCount     Key = "log.redeliver_count"
	KeyLogToastRedelivered   Key = "log.toast_redelivered"
)
