package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/mergegate/mergegate/models"
)

// administration is what the commands that administer an installation need. They
// run in the process of the command or, with SQLite and a running server, in the
// server, which owns the database.
type administration struct {
	store   *models.Store
	baseURL string
	out     io.Writer
}

// adminActions are the commands by name.
var adminActions = map[string]func(a administration, ctx context.Context, args []string) error{
	"user create":         administration.createUser,
	"user list":           administration.listUsers,
	"user edit":           administration.editUser,
	"user block":          administration.blockUser,
	"user unblock":        administration.unblockUser,
	"user delete":         administration.deleteUser,
	"user reset-password": administration.resetPassword,
	"namespace create":    administration.createNamespace,
	"namespace list":      administration.listNamespaces,
	"namespace delete":    administration.deleteNamespace,
}

// adminCommand returns the command with a name of adminActions. It works beside a
// running server: on PostgreSQL directly, on SQLite through the server's socket.
func adminCommand(name string) func(ctx context.Context, args []string, out io.Writer) error {
	return func(ctx context.Context, args []string, out io.Writer) error {
		if known, _, _ := findCommand(strings.Fields(name)); !known.knowsOptions(args) {
			return errUsage
		}
		c, err := readConfig()
		if err != nil {
			return err
		}
		if !c.postgres() {
			done, err := askServer(ctx, c.adminSocket(), adminRequest{name, args}, out)
			if done || err != nil {
				return err
			}
		}
		a, err := openAppWith(ctx, c)
		if err != nil {
			return err
		}
		defer a.close()
		return adminActions[name](administration{a.store, c.BaseURL, out}, ctx, args)
	}
}

// parseFlags parses the options of a command, before and after its argument. It
// returns the argument if the command wants one, and errUsage for wrong arguments.
func parseFlags(flags *flag.FlagSet, args []string, wantArgument bool) (string, error) {
	flags.SetOutput(io.Discard)
	var found []string
	for {
		if err := flags.Parse(args); err != nil {
			return "", errUsage
		}
		if flags.NArg() == 0 {
			break
		}
		found, args = append(found, flags.Arg(0)), flags.Args()[1:]
	}
	switch {
	case !wantArgument && len(found) == 0:
		return "", nil
	case wantArgument && len(found) == 1:
		return found[0], nil
	}
	return "", errUsage
}

// adminSocket is the path of the socket for commands. It is in the data folder,
// which only its owner may enter.
func (c config) adminSocket() string { return filepath.Join(c.Data, "admin.sock") }

type adminRequest struct {
	Command string   `json:"command"`
	Args    []string `json:"args"`
}

type adminAnswer struct {
	Output string `json:"output"`
	// Error is empty after success. Usage reports wrong arguments.
	Error string `json:"error"`
	Usage bool   `json:"usage"`
}

// adminTime limits one command in the server. Hashing a password may wait for
// sign-ins.
const adminTime = 30 * time.Second

// maxAdminRequest limits the arguments of a command, in bytes.
const maxAdminRequest = 64 << 10

// askServer runs a command in the server that listens on the socket. done is false
// if none listens.
func askServer(ctx context.Context, socket string, request adminRequest, out io.Writer) (done bool, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return false, nil // no server, or one that is starting: the lock of the data folder decides
	}
	defer conn.Close()
	body, err := json.Marshal(request)
	if err != nil {
		return true, err
	}
	client := http.Client{Timeout: adminTime, Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://server/", bytes.NewReader(body))
	if err != nil {
		return true, err
	}
	response, err := client.Do(r)
	if err != nil {
		return true, fmt.Errorf("ask the running server: %w", err)
	}
	defer response.Body.Close()
	var answer adminAnswer
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return true, fmt.Errorf("ask the running server: status %d: %w", response.StatusCode, err)
	}
	if _, err := io.WriteString(out, answer.Output); err != nil {
		return true, err
	}
	switch {
	case answer.Usage:
		return true, errUsage
	case answer.Error != "":
		return true, errors.New(answer.Error)
	}
	return true, nil
}

// listenAdmin opens the socket for commands. It returns nil if its path is too
// long: then the commands ask to stop the server first.
func (c config) listenAdmin(log *slog.Logger) net.Listener {
	listener, err := listenPrivate(c.adminSocket())
	if err != nil {
		log.Warn("no socket for the commands user and namespace", "error", err)
		return nil
	}
	return listener
}

// adminServer answers askServer.
func adminServer(a *app, log *slog.Logger) *http.Server {
	handle := func(w http.ResponseWriter, r *http.Request) {
		var request adminRequest
		var answer adminAnswer
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAdminRequest)).Decode(&request); err != nil {
			answer.Error = "the request cannot be read: " + err.Error()
		} else if action := adminActions[request.Command]; action == nil {
			answer.Error = "the running server does not know this command; it may be of another version"
		} else {
			var out bytes.Buffer
			err := action(administration{a.store, a.config.BaseURL, &out}, r.Context(), request.Args)
			answer = adminAnswer{Output: out.String(), Usage: errors.Is(err, errUsage)}
			if err != nil {
				answer.Error = err.Error()
			}
			log.Info("command executed", "command", request.Command, "failed", err != nil)
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			log.Error("answering a command failed", "error", err)
		}
	}
	return &http.Server{
		Handler: http.HandlerFunc(handle), ReadTimeout: 10 * time.Second, WriteTimeout: adminTime,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
