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

// demoState is demo.json: how to get into the demo.
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

// demoServiceState is what the demo keeps of one of its services, in
// demo-services.json.
type demoServiceState struct {
	Name   string `json:"name"`
	Listen string `json:"listen"`
	Secret string `json:"secret"`
	Token  string `json:"token"`
}

// demoServices are the two services of the demo: what they are called, how
// they judge, and what they say.
var demoServices = []struct {
	name, rule, passText, failText string
	delay                          time.Duration
	branches                       []string
}{
	{
		name: "Licence scan", rule: "fails-with:licence", delay: 8 * time.Second,
		passText: "214 packages scanned, no licence conflicts.",
		failText: "The title mentions a licence: a person has to look at this change.",
	},
	{
		name: "Security sign-off", rule: "passes-with:reviewed", delay: 15 * time.Second, branches: []string{"main", "release/*"},
		passText: "The title says that somebody has reviewed this change.",
		failText: `Nobody has reviewed this change. Once somebody has, put "reviewed" into the title and retry.`,
	},
}

// demoCommand serves with a demo project, made at the first start.
func demoCommand(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 0 {
		return errUsage
	}
	c, err := readConfig()
	if err != nil {
		return err
	}
	// Here the services live on this machine.
	if c.allow, err = webhook.ParseAllowList(c.OutboundAllow + " 127.0.0.0/8 ::1/128"); err != nil {
		return err
	}
	if err := c.waitForDatabase(ctx); err != nil {
		return err
	}
	o, err := openConfigured(ctx, c)
	if err != nil {
		return err
	}
	defer o.close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s, err := startServer(ctx, o)
	if err != nil {
		return err
	}
	state, services, err := loadDemo(ctx, o)
	if err != nil {
		stop()
		return errors.Join(err, s.wait())
	}
	var children sync.WaitGroup
	for i, service := range services {
		children.Go(func() { runDemoService(ctx, o, i, service) })
	}
	err = openDemoMergeRequest(ctx, o, state, services)
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

// loadDemo reads what an earlier start kept, or makes the demo.
func loadDemo(ctx context.Context, o *core) (demoState, []demoServiceState, error) {
	var state demoState
	var services []demoServiceState
	read := func(name string, into any) error {
		content, err := os.ReadFile(filepath.Join(o.config.Data, name))
		if err != nil {
			return err
		}
		return json.Unmarshal(content, into)
	}
	err := errors.Join(read("demo-services.json", &services), read("demo.json", &state))
	if err == nil {
		_, err = o.store.Project(ctx, state.Project.ID)
	}
	if err == nil {
		if state.BaseURL == o.config.BaseURL {
			return state, services, nil
		}
		state.BaseURL = o.config.BaseURL
		return state, services, keepDemo(o.config, "demo.json", state)
	}
	if !errors.Is(err, os.ErrNotExist) && models.KindOf(err) != models.KindNotFound {
		return state, nil, fmt.Errorf("the demo's files in %s cannot be read: %w", o.config.Data, err)
	}
	// Nothing there, or the first start was cut off: made anew, from whatever
	// exists.
	if state, services, err = seedDemo(ctx, o); err != nil {
		return state, nil, fmt.Errorf("make the demo: %w", err)
	}
	if err := keepDemo(o.config, "demo-services.json", services); err != nil {
		return state, nil, err
	}
	return state, services, keepDemo(o.config, "demo.json", state)
}

func keepDemo(c config, name string, v any) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writePrivate(filepath.Join(c.Data, name), append(content, '\n'))
}

// freeAddress is a loopback address with a free port.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// runDemoService keeps a demo service running, in a process of its own, until
// ctx ends.
func runDemoService(ctx context.Context, o *core, i int, state demoServiceState) {
	log := o.config.logger().With("service", state.Name)
	// The child is told to end with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	program, err := os.Executable()
	if err != nil {
		log.Error("the demo service cannot be started", "error", err)
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
			"NAME": state.Name, "LISTEN": state.Listen, "SECRET": state.Secret, "TOKEN": state.Token, "API": o.config.BaseURL,
			"RULE": settings.rule, "DELAY": settings.delay.String(), "PASS_TEXT": settings.passText, "FAIL_TEXT": settings.failText,
		} {
			cmd.Env = append(cmd.Env, demoServicePrefix+name+"="+value)
		}
		err := cmd.Run()
		if ctx.Err() != nil {
			return
		}
		log.Error("the demo service ended and is started again", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(3 * time.Second):
		}
	}
}

// openDemoMergeRequest opens the demo's merge request, once, after its services
// have begun to listen.
func openDemoMergeRequest(ctx context.Context, o *core, state demoState, services []demoServiceState) error {
	counts, err := o.store.CountMergeRequests(ctx, state.Project.ID)
	if err != nil || len(counts) > 0 {
		return err
	}
	for _, service := range services {
		if err := awaitListener(ctx, service.Listen); err != nil {
			return err
		}
	}
	author, err := o.store.UserByUsername(ctx, demoAuthor)
	if err != nil {
		return err
	}
	_, err = o.store.CreateMergeRequest(ctx, author, state.Project.ID, demoMergeRequest)
	return err
}

// awaitListener waits until somebody listens, ten seconds at most.
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
			return fmt.Errorf("nobody listens on %s: %w", address, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// printDemo tells the way in.
func printDemo(out io.Writer, c config, state demoState, services []demoServiceState) {
	fmt.Fprintf(out, "\nMergegate is at %s\n\n", c.BaseURL)
	fmt.Fprintf(out, "  project        %s/%s\n", c.BaseURL, state.Project.PathWithNamespace)
	fmt.Fprintf(out, "  merge request  %s/%s/-/merge_requests/1\n", c.BaseURL, state.Project.PathWithNamespace)
	fmt.Fprintf(out, "  services       %s\n\n", services[0].Name+" and "+services[1].Name)
	fmt.Fprintf(out, "  %-12s %-14s %s\n", "role", "user name", "password")
	for _, user := range state.Users {
		fmt.Fprintf(out, "  %-12s %-14s %s\n", user.Role, user.Username, user.Password)
	}
	fmt.Fprintf(out, "\nAccess tokens are in %s. Ctrl-C stops.\n\n", filepath.Join(c.Data, "demo.json"))
}
