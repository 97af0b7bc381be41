package migrations

// The same functions over files that a test brings along.
var (
	UpFiles      = up
	CheckFiles   = check
	VersionFiles = version
	LatestFiles  = latest
)
