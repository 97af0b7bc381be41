package models

// SeedNamespace is the namespace of the projects that Seed creates.
const SeedNamespace = "seed"

// Shape of the data that Seed writes.
const (
	// SeedServices is how many services each project has.
	SeedServices = 3
	// seedPerProject is how many merge requests a project has at most, apart from the large
	// one, and seedProjects how many projects there are at least, so that lists of projects
	// have a whole page.
	seedPerProject, seedProjects = 90, 40
	// seedLargeShare of the merge requests, one in so many, are in the large project, or half
	// of them until it has enough for whole pages.
	seedLargeShare, seedLargeEnough = 10, 1000
)

// SeedInput says what Seed writes.
type SeedInput struct {
	// Authors open the merge requests. The first becomes the owner of all projects.
	Authors []User
	// Large exists, with its repository, and gets LargeMergeRequests.
	Large Project
	// MergeRequests is the number of merge requests, at least 20.
	MergeRequests int
	// Head is HEAD of every merge request.
	Head Commit
}

// LargeMergeRequests returns how many merge requests the large project gets. The last one
// is open.
func (in SeedInput) LargeMergeRequests() int {
	return max(in.MergeRequests/seedLargeShare, min(in.MergeRequests/2, seedLargeEnough))
}

// perProject returns how many of the other merge requests each other project gets, and the
// number of these projects.
func (in SeedInput) perProject() (each, projects int) {
	rest := in.MergeRequests - in.LargeMergeRequests()
	each = min(seedPerProject, divideUp(rest, seedProjects))
	return each, divideUp(rest, each)
}

// divideUp divides and rounds up.
func divideUp(n, by int) int { return (n + by - 1) / by }

// SeedCounts are the numbers of rows that Seed wrote.
type SeedCounts struct {
	Projects, MergeRequests, Checks, Responses, Deliveries, Attempts, AuditEvents int64
}
