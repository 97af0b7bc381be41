package gitrepo

import "context"

// Tips maps every branch to the commit it points to.
func (r Repo) Tips(ctx context.Context) (map[string]string, error) {
	tips := map[string]string{}
	err := r.eachBranch(ctx, func(name, sha string) { tips[name] = sha })
	return tips, err
}
