package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// readingRoot is the environment variable that makes the test binary a process that runs
// git in the repositories of this folder.
const readingRoot = "MERGEGATE_TEST_READING_ROOT"

// readUntilKilled runs a git process that holds the lease of a repository and reads file
// 3, and prints a line when it runs. It ends with an error if git does.
func readUntilKilled(root string) {
	s, err := New(root, Options{})
	if err != nil {
		panic(err)
	}
	c := s.Repo(1).command("cat-file", "--batch-check")
	c.stdin, c.writes = os.NewFile(3, "input"), true
	cmd := s.process(context.Background(), c)
	cmd.Stdout = os.Stdout
	if err := s.start(context.Background(), cmd, c); err != nil {
		panic(err)
	}
	_ = cmd.Wait()
	os.Exit(1)
}

// git ends with the process that started it, even while its input stays open.
func TestProcess_ParentKilled_Ends(t *testing.T) {
	s := newStore(t, Options{})
	input, ask, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	defer ask.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), readingRoot+"="+s.root)
	cmd.ExtraFiles = []*os.File{input}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := ask.WriteString("HEAD\n"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 100)
	if n, err := answers.Read(answer); !bytes.Contains(answer[:n], []byte("HEAD")) {
		t.Fatalf("git answers %q, %v", answer[:n], err)
	}
	lease, err := s.openLease(1)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	take := func() error { return syscall.Flock(int(lease.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
	if err := take(); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Fatalf("git does not hold the lease: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // fails because of the signal
	for end := time.Now().Add(time.Minute); take() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("git runs on after its parent was killed")
		}
	}
}
