//go:build e2e && linux

package e2e

import (
	"bytes"
	"context"
	"errors"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// launched is set in the launcher.
const launched = "TUFOCI_E2E_LAUNCHER"

// Launcher starts programs and says how much memory they had at most. It is a process
// of its own: the kernel counts the memory that a process had before it became another
// program, so that a large parent would pass for its children.
type Launcher struct{}

// Launch is a program to run.
type Launch struct {
	Args     []string
	Dir      string
	Env      []string
	Stop     time.Duration // after which it is asked to end; 0: never
	Deadline time.Duration // after which it is killed
}

// Landing is what came of it.
type Landing struct {
	Code           int    // -1: killed
	Stdout, Stderr []byte // the end of it
	Said           int    // bytes of standard error
	Took, CPU      time.Duration
	Peak           int64 // of resident memory, in bytes
}

// Run implements the one method of the service.
func (Launcher) Run(l Launch, landing *Landing) error {
	ctx, cancel := context.WithTimeout(context.Background(), l.Deadline)
	defer cancel()
	command := exec.CommandContext(ctx, l.Args[0], l.Args[1:]...)
	command.Dir, command.Env = l.Dir, l.Env
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	start := time.Now()
	if err := command.Start(); err != nil {
		return err
	}
	if l.Stop > 0 {
		timer := time.AfterFunc(l.Stop, func() { _ = command.Process.Signal(syscall.SIGTERM) })
		defer timer.Stop()
	}
	err := command.Wait()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return err
	}
	const kept = 64 << 10
	landing.Code, landing.Took = command.ProcessState.ExitCode(), time.Since(start)
	landing.Stdout, landing.Stderr = tail(stdout.Bytes(), kept), tail(stderr.Bytes(), kept)
	landing.Said = stderr.Len()
	landing.CPU = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	landing.Peak = command.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	return nil
}

func tail(b []byte, n int) []byte { return b[max(len(b)-n, 0):] }

// newLauncher runs the test that calls it again, as a launcher; in that process it
// serves until the other one ends, and returns nil.
func newLauncher(t *testing.T) *rpc.Client {
	t.Helper()
	if os.Getenv(launched) != "" {
		server := rpc.NewServer()
		if err := server.Register(Launcher{}); err != nil {
			t.Fatal(err)
		}
		server.ServeConn(pipes{os.NewFile(3, "in"), os.NewFile(4, "out")})
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in, toIt := good2(os.Pipe())
	fromIt, out := good2(os.Pipe())
	command := exec.Command(program, "-test.run=^"+t.Name()+"$", "-test.count=1")
	command.Env = append(os.Environ(), launched+"=1")
	command.ExtraFiles = []*os.File{in, out}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	out.Close()
	client := rpc.NewClient(pipes{fromIt, toIt})
	t.Cleanup(func() {
		client.Close()
		if err := command.Wait(); err != nil {
			t.Errorf("the launcher: %v", err)
		}
	})
	return client
}

func good2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

// pipes are a connection.
type pipes struct{ in, out *os.File }

func (p pipes) Read(b []byte) (int, error)  { return p.in.Read(b) }
func (p pipes) Write(b []byte) (int, error) { return p.out.Write(b) }
func (p pipes) Close() error                { return errors.Join(p.in.Close(), p.out.Close()) }

// build builds the program that ships, without the race detector, from what is
// tested now.
func build(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tufoci")
	command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, "../cmd/tufoci")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}
