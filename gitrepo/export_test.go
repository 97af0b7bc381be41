package gitrepo

import "context"

// Tips returns the tip of every branch by name.
func (r Repo) Tips(ctx context.Context) (map[string]string, error) {
	tips := map[string]string{}
	err := r.eachBranch(ctx, func(name, sha string) { tips[name] = sha })
	return tips, err
}
