package main

import (
	"context"
	"fmt"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
)

// demoPeople are the users of the demo. The owner comes before the members, which
// are added in the name of the owner.
var demoPeople = []struct {
	username, name string
	role           models.Role
	admin          bool
}{
	{"ada", "Ada Moreau", models.RoleNone, true},
	{"olivia", "Olivia Brandt", models.RoleOwner, false},
	{"max", "Max Okafor", models.RoleMaintainer, false},
	{"dana", "Dana Reyes", models.RoleDeveloper, false},
	{"rex", "Rex Lindqvist", models.RoleReporter, false},
	{"gina", "Gina Park", models.RoleGuest, false},
}

const (
	demoNamespace = "northwind"
	demoPath      = "ticketing-api"
	demoAuthor    = "dana"
	demoBranch    = "idempotent-refunds"
)

var demoMergeRequest = models.MergeRequestInput{
	Title:        "Make refund webhooks idempotent",
	SourceBranch: demoBranch,
	TargetBranch: "main",
	Description: `Refund webhooks arrive more than once when the acquirer's side times out. Every event is now keyed on the acquirer's reference, and a repeat is answered with ` + "`200`" + ` without side effects.

- The signature is verified before the look-up
- The old queue has to be drained after the deploy`,
}

// seedDemo creates the parts of the demo that do not exist yet.
func seedDemo(ctx context.Context, a *app) (demoState, []demoServiceState, error) {
	state := demoState{BaseURL: a.config.BaseURL}
	people := map[string]models.User{}
	for _, p := range demoPeople {
		user, entry, err := seedUser(ctx, a, p.username, p.name, p.admin)
		if err != nil {
			return state, nil, err
		}
		entry.Role = p.role.String()
		if p.admin {
			entry.Role = "admin"
		}
		people[p.username] = user
		state.Users = append(state.Users, entry)
	}
	project, err := seedProject(ctx, a, people)
	if err != nil {
		return state, nil, err
	}
	state.Project = demoProject{ID: project.ID, PathWithNamespace: project.FullPath()}
	services, err := seedServices(ctx, a, people["max"], project)
	return state, services, err
}

// seedUser creates a user, or sets a new password if the user exists, and adds a
// token.
func seedUser(ctx context.Context, a *app, username, name string, admin bool) (models.User, demoUser, error) {
	entry := demoUser{Username: username, Password: auth.NewPassword(), Token: auth.NewAccessToken()}
	digest, err := auth.HashPassword(ctx, entry.Password)
	if err != nil {
		return models.User{}, entry, err
	}
	user, err := a.store.UserByUsername(ctx, username)
	switch {
	case models.KindOf(err) == models.KindNotFound:
		user, err = a.store.CreateUser(ctx, models.User{}, models.UserInput{
			Username: username, Name: name, Email: username + "@northwind.example", PasswordDigest: digest, Admin: admin,
		})
	case err == nil:
		err = a.store.SetPassword(ctx, user, digest, "", false)
	}
	if err != nil {
		return user, entry, err
	}
	_, err = a.store.CreatePersonalToken(ctx, user, models.AccessTokenInput{
		Name: "Demo", Scopes: []string{models.ScopeAPI}, ExpiresAt: a.store.Now().Add(models.MaxTokenLifetime - 24*time.Hour), Digest: auth.Digest(entry.Token),
	})
	return user, entry, err
}

func seedProject(ctx context.Context, a *app, people map[string]models.User) (models.Project, error) {
	owner := people["olivia"]
	access, _, err := a.store.AccessByPath(ctx, &owner, demoNamespace, demoPath)
	project := access.Project
	if models.KindOf(err) == models.KindNotFound {
		project, err = createDemoProject(ctx, a, owner)
	}
	if err != nil {
		return project, err
	}
	for _, p := range demoPeople {
		if p.role == models.RoleNone || p.role == models.RoleOwner {
			continue
		}
		_, err := a.store.AddMember(ctx, owner, models.RoleOwner, project.ID, people[p.username].ID, p.role)
		if err != nil && models.CodeOf(err) != models.CodeMemberExists {
			return project, err
		}
	}
	_, err = a.store.CreateProtectedBranch(ctx, owner, project.ID, models.ProtectedBranchInput{
		Name: "release/*", PushAccessLevel: models.RoleMaintainer, MergeAccessLevel: models.RoleMaintainer,
	})
	if err != nil && models.CodeOf(err) != models.CodeAlreadyProtected {
		return project, err
	}
	return project, seedHistory(ctx, a, project, people)
}

func createDemoProject(ctx context.Context, a *app, owner models.User) (models.Project, error) {
	ns, err := a.store.Namespace(ctx, demoNamespace)
	if models.KindOf(err) == models.KindNotFound {
		ns, err = a.store.CreateNamespace(ctx, models.User{}, demoNamespace)
	}
	if err != nil {
		return models.Project{}, err
	}
	return a.store.CreateProject(ctx, owner, models.ProjectInput{
		NamespaceID: ns.ID, Name: "Ticketing API", Path: demoPath, Visibility: models.VisibilityPrivate,
		Description:                           "Sells, changes and refunds tickets.",
		OnlyAllowMergeIfAllStatusChecksPassed: true,
	}, false)
}

// demoCommit is one commit of demoHistory. A branch that does not exist starts at
// the branch from.
type demoCommit struct {
	branch, from, author, message string
	files                         map[string]string
}

// seedHistory writes the commits of demoHistory to the branches that did not
// exist at the beginning.
func seedHistory(ctx context.Context, a *app, project models.Project, people map[string]models.User) error {
	repo := a.repos.Repo(project.ID)
	if !a.repos.Exists(project.ID) {
		return fmt.Errorf("the repository of project %d is missing", project.ID)
	}
	at := a.store.Now().Add(-9 * 24 * time.Hour)
	done := map[string]bool{}
	for _, c := range demoHistory {
		at = at.Add(19 * time.Hour)
		if _, exists, err := repo.BranchTip(ctx, c.branch); err != nil {
			return err
		} else if exists && !done[c.branch] {
			continue // an earlier start has written this branch
		}
		done[c.branch] = true
		parent, exists, err := repo.BranchTip(ctx, c.branch)
		if err == nil && !exists && c.from != "" {
			parent, _, err = repo.BranchTip(ctx, c.from)
		}
		if err != nil {
			return err
		}
		_, err = repo.WriteCommit(ctx, gitrepo.WriteInput{
			Branch: c.branch, Parent: parent, Files: c.files, Message: c.message + "\n", Author: gitrepo.Identity{Name: people[c.author].Name, Email: people[c.author].Email}, When: at,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// seedServices adds the services of the demo. It replaces services that an
// aborted start left, because their secrets and tokens are lost.
func seedServices(ctx context.Context, a *app, by models.User, project models.Project) ([]demoServiceState, error) {
	existing, _, err := a.store.ExternalStatusChecks(ctx, project.ID, models.Page{})
	if err != nil {
		return nil, err
	}
	var states []demoServiceState
	for _, service := range demoServices {
		for _, old := range existing {
			if old.Name == service.name {
				if err := a.store.DeleteExternalStatusCheck(ctx, by, project.ID, old.ID); err != nil {
					return nil, err
				}
			}
		}
		state := demoServiceState{Name: service.name, Secret: auth.NewSecretKey()}
		if state.Listen, err = freeAddress(); err != nil {
			return nil, err
		}
		in := models.ExternalStatusCheckInput{Name: service.name, ExternalURL: "http://" + state.Listen + "/", SharedSecret: state.Secret}
		for _, branch := range service.branches {
			rule, err := a.store.ProtectedBranchByName(ctx, project.ID, branch)
			if err != nil {
				return nil, err
			}
			in.ProtectedBranchIDs = append(in.ProtectedBranchIDs, rule.ID)
		}
		if _, err := a.store.CreateExternalStatusCheck(ctx, by, project.ID, in, false); err != nil {
			return nil, err
		}
		if !service.callback {
			state.Token = auth.NewAccessToken()
			_, err = a.store.CreateProjectToken(ctx, by, models.RoleMaintainer, project.ID, models.AccessTokenInput{
				Name: service.name, Scopes: []string{models.ScopeAPI}, ExpiresAt: a.store.Now().Add(models.MaxTokenLifetime - 24*time.Hour),
				Digest: auth.Digest(state.Token), Role: models.RoleDeveloper,
			})
			if err != nil {
				return nil, err
			}
		}
		states = append(states, state)
	}
	return states, nil
}
