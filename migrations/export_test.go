package migrations

// The exported functions with the files of a test.
var (
	UpFiles      = up
	CheckFiles   = check
	VersionFiles = version
	LatestFiles  = latest
)
