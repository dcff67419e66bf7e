//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// binary is bin/tufoci, as `make build` makes it.
func binary(t testing.TB) string {
	t.Helper()
	file, err := filepath.Abs(filepath.Join("..", "bin", "tufoci"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		need(t, "bin/tufoci", "`make build` makes it")
	}
	return file
}

// runBinary runs the binary in an empty home, without a terminal and without
// tufoci's variables, and returns what it printed and what it left behind.
func runBinary(t testing.TB, args ...string) (stdout string, left []string) {
	t.Helper()
	home := t.TempDir()
	command := exec.CommandContext(t.Context(), binary(t), args...)
	command.Dir = home
	command.Env = []string{"HOME=" + home, "TMPDIR=" + home, "PATH=" + os.Getenv("PATH")}
	var out, diagnostics bytes.Buffer
	command.Stdout, command.Stderr = &out, &diagnostics
	if err := command.Run(); err != nil {
		t.Fatalf("tufoci %v: %v\n%s%s", args, err, out.String(), diagnostics.String())
	}
	entries, err := os.ReadDir(home)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	return out.String(), left
}

func TestBinaryKnowsItsVersion(t *testing.T) {
	t.Parallel()
	out, _ := runBinary(t, "version", "--format", "json")
	var printed struct {
		Version  string `json:"version"`
		Revision string `json:"revision"`
	}
	if err := json.Unmarshal([]byte(out), &printed); err != nil {
		t.Fatal(err)
	}
	if printed.Version == "" || printed.Version == "devel" || printed.Revision == "" {
		t.Errorf("version %+v: not that of git", printed)
	}
}

// TestDemo runs the whole story with nothing but the binary, and nothing stays
// behind.
func TestDemo(t *testing.T) {
	t.Parallel()
	start := time.Now()
	if _, left := runBinary(t, "demo"); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	t.Logf("the demo took %s", time.Since(start).Round(time.Millisecond))
}
