package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/webhook"
)

// demoState is the content of demo.json: how to sign in to the demo.
type demoState struct {
	BaseURL string      `json:"base_url"`
	Project demoProject `json:"project"`
	Users   []demoUser  `json:"users"`
}

type demoProject struct {
	ID                int64  `json:"id"`
	PathWithNamespace string `json:"path_with_namespace"`
}

type demoUser struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Role     string `json:"role"`
	Token    string `json:"token"`
}

// demoServiceState is the entry of one service in demo-services.json.
type demoServiceState struct {
	Name   string `json:"name"`
	Listen string `json:"listen"`
	Secret string `json:"secret"`
	Token  string `json:"token"`
}

// demoServices are the two services of the demo: their names, their rules for
// the title of a merge request, and the texts of their answers.
var demoServices = []struct {
	name, rule, passText, failText string
	delay                          time.Duration
	branches                       []string
	// callback services have no access token.
	callback bool
}{
	{
		name: "Licence scan", rule: "fails-with:licence", delay: 8 * time.Second,
		passText: "214 packages scanned, no licence conflicts.",
		failText: "The title mentions a licence, so a person has to review this change.",
	},
	{
		name: "Security sign-off", rule: "passes-with:reviewed", delay: 15 * time.Second, branches: []string{"main", "release/*"}, callback: true,
		passText: "The title says that this change was reviewed.",
		failText: `This change was not reviewed. After a review, add "reviewed" to the title and retry.`,
	},
}

// demoCommand runs the server with a demo project, which the first start
// creates.
func demoCommand(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 0 {
		return errUsage
	}
	c, err := readConfig()
	if err != nil {
		return err
	}
	// The services of the demo run on this machine.
	if c.allow, err = webhook.ParseAllowList(c.OutboundAllow + " 127.0.0.0/8 ::1/128"); err != nil {
		return err
	}
	if err := c.waitForDatabase(ctx); err != nil {
		return err
	}
	a, err := openAppWith(ctx, c)
	if err != nil {
		return err
	}
	defer a.close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s, err := startServer(ctx, a)
	if err != nil {
		return err
	}
	state, services, err := loadDemo(ctx, a)
	if err != nil {
		stop()
		return errors.Join(err, s.wait())
	}
	var children sync.WaitGroup
	for i, service := range services {
		children.Go(func() { runDemoService(ctx, a, i, service) })
	}
	err = openDemoMergeRequest(ctx, a, state, services)
	if err == nil {
		printDemo(out, c, state, services)
		err = s.wait()
	} else {
		stop()
		err = errors.Join(err, s.wait())
	}
	stop()
	children.Wait()
	return err
}

// loadDemo reads the files of the demo. If they or the project are missing, it
// creates the demo.
func loadDemo(ctx context.Context, a *app) (demoState, []demoServiceState, error) {
	var state demoState
	var services []demoServiceState
	read := func(name string, into any) error {
		content, err := os.ReadFile(filepath.Join(a.config.Data, name))
		if err != nil {
			return err
		}
		return json.Unmarshal(content, into)
	}
	err := errors.Join(read("demo-services.json", &services), read("demo.json", &state))
	if err == nil {
		_, err = a.store.Project(ctx, state.Project.ID)
	}
	if err == nil {
		if state.BaseURL == a.config.BaseURL {
			return state, services, nil
		}
		state.BaseURL = a.config.BaseURL
		return state, services, writeDemoFile(a.config, "demo.json", state)
	}
	if !errors.Is(err, os.ErrNotExist) && models.KindOf(err) != models.KindNotFound {
		return state, nil, fmt.Errorf("read the files of the demo in %s: %w", a.config.Data, err)
	}
	// This is the first start, or the first start was aborted. seedDemo uses what
	// exists.
	if state, services, err = seedDemo(ctx, a); err != nil {
		return state, nil, fmt.Errorf("create the demo: %w", err)
	}
	if err := writeDemoFile(a.config, "demo-services.json", services); err != nil {
		return state, nil, err
	}
	return state, services, writeDemoFile(a.config, "demo.json", state)
}

func writeDemoFile(c config, name string, v any) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writePrivate(filepath.Join(c.Data, name), append(content, '\n'))
}

// freeAddress returns a loopback address with a free port.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// runDemoService runs a service of the demo as a child process until ctx ends,
// and restarts it when it exits.
func runDemoService(ctx context.Context, a *app, i int, state demoServiceState) {
	log := a.config.logger().With("service", state.Name)
	// Pdeathsig stops the child when the thread that started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	program, err := os.Executable()
	if err != nil {
		log.Error("demo service not started", "error", err)
		return
	}
	for ctx.Err() == nil {
		settings := demoServices[i]
		cmd := exec.CommandContext(ctx, program, "demo-service")
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 5 * time.Second
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
		cmd.Stderr = os.Stderr
		for name, value := range map[string]string{
			"NAME": state.Name, "LISTEN": state.Listen, "SECRET": state.Secret, "TOKEN": state.Token, "API": a.config.BaseURL,
			"RULE": settings.rule, "DELAY": settings.delay.String(), "PASS_TEXT": settings.passText, "FAIL_TEXT": settings.failText,
		} {
			cmd.Env = append(cmd.Env, demoServicePrefix+name+"="+value)
		}
		err := cmd.Run()
		if ctx.Err() != nil {
			return
		}
		log.Error("demo service exited, restarting", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(3 * time.Second):
		}
	}
}

// openDemoMergeRequest opens the merge request of the demo as soon as the
// services listen. It does nothing if the project has a merge request.
func openDemoMergeRequest(ctx context.Context, a *app, state demoState, services []demoServiceState) error {
	counts, err := a.store.CountMergeRequests(ctx, models.MergeRequestFilter{ProjectIDs: []int64{state.Project.ID}})
	if err != nil || len(counts) > 0 {
		return err
	}
	for _, service := range services {
		if err := awaitListener(ctx, service.Listen); err != nil {
			return err
		}
	}
	author, err := a.store.UserByUsername(ctx, demoAuthor)
	if err != nil {
		return err
	}
	_, err = a.store.CreateMergeRequest(ctx, author, state.Project.ID, demoMergeRequest)
	return err
}

// awaitListener waits until a server listens on address, at most ten seconds.
func awaitListener(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no server listens on %s: %w", address, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// printDemo prints the addresses and the users of the demo.
func printDemo(out io.Writer, c config, state demoState, services []demoServiceState) {
	fmt.Fprintf(out, "\nMergegate runs at %s\n\n", c.BaseURL)
	fmt.Fprintf(out, "  project        %s/%s\n", c.BaseURL, state.Project.PathWithNamespace)
	fmt.Fprintf(out, "  merge request  %s/%s/-/merge_requests/1\n", c.BaseURL, state.Project.PathWithNamespace)
	fmt.Fprintf(out, "  services       %s\n\n", services[0].Name+" and "+services[1].Name)
	fmt.Fprintf(out, "  %-12s %-14s %s\n", "role", "user name", "password")
	for _, user := range state.Users {
		fmt.Fprintf(out, "  %-12s %-14s %s\n", user.Role, user.Username, user.Password)
	}
	fmt.Fprintf(out, "\nAccess tokens are in %s. Press Ctrl-C to stop.\n\n", filepath.Join(c.Data, "demo.json"))
}
