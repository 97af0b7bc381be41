package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
)

// seedAuthors is how many users open the merge requests of the seed.
const seedAuthors = 10

// seedCommand fills the database with made-up data for measurements.
func seedCommand(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("seed", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	n := flags.Int("merge-requests", 0, "")
	beside := flags.Bool("beside-other-projects", false, "")
	if err := flags.Parse(args); err != nil || flags.NArg() != 0 {
		return errUsage
	}
	if *n < 20 || *n > 100_000_000 {
		return fmt.Errorf("--merge-requests must be a number from 20 to 100000000, such as --merge-requests 100000")
	}
	a, err := openApp(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	foreign, err := a.store.CountForeignProjects(ctx)
	if err != nil {
		return err
	}
	if foreign > 0 && !*beside {
		return fmt.Errorf("the database has %d other projects, and made-up data cannot be removed in one step; "+
			"use an empty database, or --beside-other-projects to seed this one", foreign)
	}
	start := time.Now()
	seeded, err := seedDatabase(ctx, a, *n)
	if err != nil {
		return err
	}
	c := seeded.counts
	fmt.Fprintf(out, "Seeded in %v: %d projects, %d merge requests, %d checks, %d responses, %d deliveries, %d attempts, %d audit events.\n",
		time.Since(start).Round(time.Second/10), c.Projects, c.MergeRequests, c.Checks, c.Responses, c.Deliveries, c.Attempts, c.AuditEvents)
	fmt.Fprintf(out, "The project with the most merge requests: %s/%s\n", a.config.BaseURL, seeded.large.FullPath())
	if seeded.password != "" {
		fmt.Fprintf(out, "One-time password of user %s:\n%s\n", models.SeedNamespace, seeded.password)
	}
	return nil
}

// seeded is what seedDatabase wrote.
type seeded struct {
	owner models.User
	// password is empty if an earlier seed created the owner.
	password string
	large    models.Project
	// last is the iid of the newest merge request of large. It is open, and its branch
	// exists.
	last   int64
	counts models.SeedCounts
}

// seedDatabase writes n merge requests into new projects of the user "seed".
func seedDatabase(ctx context.Context, a *app, n int) (s seeded, err error) {
	in := models.SeedInput{MergeRequests: n}
	for i := range seedAuthors {
		name := models.SeedNamespace
		if i > 0 {
			name += "-" + strconv.Itoa(i)
		}
		user, err := a.store.UserByUsername(ctx, name)
		if models.KindOf(err) == models.KindNotFound {
			user, err = s.createUser(ctx, a, name)
		}
		if err != nil {
			return s, err
		}
		in.Authors = append(in.Authors, user)
	}
	s.owner = in.Authors[0]
	namespace, err := a.store.Namespace(ctx, models.SeedNamespace)
	if err != nil {
		return s, err
	}
	path := "large-" + strconv.FormatInt(time.Now().UnixMilli(), 36)
	in.Large, err = a.store.CreateProject(ctx, s.owner, models.ProjectInput{
		NamespaceID: namespace.ID, Name: "Large", Path: path, Visibility: models.VisibilityPrivate,
	}, true)
	if err != nil {
		return s, err
	}
	s.large, s.last = in.Large, int64(in.LargeMergeRequests())
	repo := a.repos.Repo(s.large.ID)
	base, _, err := repo.BranchTip(ctx, s.large.DefaultBranch)
	if err != nil {
		return s, err
	}
	in.Head = models.Commit{Message: "Add a file\n", AuthorName: s.owner.Name, AuthorEmail: "seed@mergegate.invalid", CommittedAt: a.store.Now()}
	in.Head.SHA, err = repo.WriteCommit(ctx, gitrepo.WriteInput{
		Branch: "topic-" + strconv.FormatInt(s.last, 10), Parent: base, Files: map[string]string{"file.txt": "One line.\n"},
		Message: in.Head.Message, Author: gitrepo.Identity{Name: in.Head.AuthorName, Email: in.Head.AuthorEmail}, When: in.Head.CommittedAt,
	})
	if err != nil {
		return s, err
	}
	s.counts, err = a.store.Seed(ctx, in)
	return s, err
}

// createUser creates a user of the seed. Only the owner gets a password.
func (s *seeded) createUser(ctx context.Context, a *app, name string) (models.User, error) {
	in := models.UserInput{Username: name, Name: name}
	if name == models.SeedNamespace {
		s.password = auth.NewPassword()
		digest, err := auth.HashPassword(ctx, s.password)
		if err != nil {
			return models.User{}, err
		}
		in.PasswordDigest, in.PasswordChangeRequired = digest, true
	}
	return a.store.CreateUser(ctx, models.User{}, in)
}
