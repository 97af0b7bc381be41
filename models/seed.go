package models

// SeedNamespace is the namespace of the projects that Seed creates.
const SeedNamespace = "seed"

// Shape of the data that Seed writes.
const (
	// SeedServices is how many services each project has.
	SeedServices = 3
	// seedPerProject is how many merge requests a project has, apart from the large one.
	seedPerProject = 90
	// seedLargeShare of the merge requests, one in so many, are in the large project.
	seedLargeShare = 10
)

// SeedInput says what Seed writes.
type SeedInput struct {
	// Authors open the merge requests. The first becomes the owner of all projects.
	Authors []User
	// Large exists, with its repository, and gets a tenth of the merge requests.
	Large Project
	// MergeRequests is the number of merge requests, at least 20.
	MergeRequests int
	// Head is HEAD of every merge request.
	Head Commit
}

// LargeMergeRequests returns how many merge requests the large project gets. The last one
// is open.
func (in SeedInput) LargeMergeRequests() int { return max(in.MergeRequests/seedLargeShare, 10) }

// SeedCounts are the numbers of rows that Seed wrote.
type SeedCounts struct {
	Projects, MergeRequests, Checks, Responses, Deliveries, Attempts, AuditEvents int64
}
