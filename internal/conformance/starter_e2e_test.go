//go:build e2e

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// starter builds the program, and returns what starts it as the suite does: with another
// program date, as faketime has it.
func starter(t *testing.T) func(time.Time, []string, *bytes.Buffer) int {
	dir := t.TempDir()
	program := filepath.Join(dir, "conformance")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	stubDate(t, dir)
	return func(at time.Time, args []string, stderr *bytes.Buffer) int {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"), fmt.Sprintf("%s=%d", stubTime, at.Unix()))
		cmd.Stderr = stderr
		err := cmd.Run()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return exit.ExitCode()
		}
		if err != nil {
			fmt.Fprintln(stderr, err)
			return -1
		}
		return 0
	}
}
