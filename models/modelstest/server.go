package modelstest

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// startLimit is how long a PostgreSQL server may take to start.
const startLimit = 30 * time.Second

// Server is a temporary PostgreSQL server that listens on a unix socket only. It ends
// with the process that started it, even if that process is killed.
type Server struct {
	// DSN is the URL of the administrative database.
	DSN string

	cmd     *exec.Cmd
	dir     *serverFolder
	bin     string // the directory of the programs
	durable bool   // see StartDurableServer
}

// StartServer starts a server on a new data directory. It turns off durability for
// speed.
func StartServer() (*Server, error) {
	return startServer(func(*serverFolder) (string, error) { return postgresPrograms() }, false)
}

// StartDurableServer is StartServer for a server whose commits wait for the disk, as in
// production. Benchmarks use it.
func StartDurableServer() (*Server, error) {
	return startServer(func(*serverFolder) (string, error) { return postgresPrograms() }, true)
}

// StartServerWithout is StartServer for a server on which an extension is not installed.
func StartServerWithout(extension string) (*Server, error) {
	bin, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	return startServer(func(dir *serverFolder) (string, error) { return programsWithout(bin, dir.path, extension) }, false)
}

// startServer starts a server whose programs are in the directory that programs returns.
func startServer(programs func(*serverFolder) (string, error), durable bool) (*Server, error) {
	account, err := serverAccount()
	if err != nil {
		return nil, err
	}
	removeStaleFolders(os.TempDir())
	dir, err := newServerFolder(os.TempDir(), account)
	if err != nil {
		return nil, err
	}
	server := &Server{dir: dir, DSN: serverAddress(dir.socket()), durable: durable}
	if server.bin, err = programs(dir); err == nil {
		err = server.start(account)
	}
	if err != nil {
		dir.remove()
		return nil, err
	}
	return server, nil
}

// Stop ends the server immediately and removes its directory.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGQUIT)
	_ = s.cmd.Wait()
	s.dir.remove()
}

func (s *Server) start(account *syscall.Credential) error {
	initdb := exec.Command(filepath.Join(s.bin, "initdb"), "-D", s.dir.data(), "-U", "postgres",
		"-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	initdb.Dir = s.dir.path
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: account}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return s.startProcess(account)
}

// Restart ends the server with a signal and starts it again on the same data:
// SIGINT ends sessions properly, SIGQUIT is a crash.
func (s *Server) Restart(signal syscall.Signal) error {
	if err := s.cmd.Process.Signal(signal); err != nil {
		return err
	}
	_ = s.cmd.Wait()
	account, err := serverAccount()
	if err != nil {
		return err
	}
	return s.startProcess(account)
}

// startProcess starts postgres and waits until it answers.
func (s *Server) startProcess(account *syscall.Credential) error {
	log, err := os.OpenFile(s.dir.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	args := []string{"-D", s.dir.data(), "-c", "listen_addresses=", "-c", "unix_socket_directories=" + s.dir.socket(),
		"-c", "max_connections=200", "-c", "timezone=UTC"}
	if !s.durable {
		args = append(args, "-F", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "wal_level=minimal", "-c", "max_wal_senders=0")
	}
	s.cmd = exec.Command(filepath.Join(s.bin, "postgres"), args...)
	s.cmd.Dir = s.dir.path
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: account,
		Setpgid:    true, // Ctrl-C in a terminal ends the tests first
		Pdeathsig:  syscall.SIGQUIT,
	}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	if err := s.waitUntilReady(); err != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		text, _ := os.ReadFile(s.dir.log())
		return fmt.Errorf("postgres does not answer: %w\n%s", err, bytes.TrimSpace(text))
	}
	return nil
}

func (s *Server) waitUntilReady() error {
	db, err := sql.Open("pgx", s.DSN)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		// A process that has ended is a zombie until it is waited for.
		var status syscall.WaitStatus
		if pid, _ := syscall.Wait4(s.cmd.Process.Pid, &status, syscall.WNOHANG, nil); pid > 0 {
			return fmt.Errorf("it ended with status %d", status.ExitStatus())
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func serverAddress(socket string) string {
	query := url.Values{"host": {socket}, "sslmode": {"disable"}}
	return "postgres://postgres@/postgres?" + query.Encode()
}

// serverAccount returns the account that runs the server. PostgreSQL refuses to run as
// root, so root uses the account nobody. For other users it returns nil: the server
// runs as the current user.
func serverAccount() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL refuses to run as root: %w", err)
	}
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
