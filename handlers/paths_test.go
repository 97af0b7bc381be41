package handlers

// Addresses of the project olga/pear, which every testSite has.
const (
	pearPath              = "/olga/pear"
	pearMergeRequestsPath = pearPath + "/-/merge_requests"
	pearMembersPath       = pearPath + "/-/project_members"
	pearAuditPath         = pearPath + "/-/audit_events"
	pearGeneralPath       = pearPath + "/-/settings/general"
	pearTokensPath        = pearPath + "/-/settings/access_tokens"
	pearSettingsPath      = pearPath + "/-/settings/merge_requests"
	pearServicesPath      = pearSettingsPath + "/status_checks"
	pearRulesPath         = pearPath + "/-/settings/repository/branch_rules"
	// pearMergeRequestPath is !1, the first merge request that a test opens.
	pearMergeRequestPath    = pearMergeRequestsPath + "/1"
	pearNewMergeRequestPath = pearMergeRequestsPath + "/new"
)
