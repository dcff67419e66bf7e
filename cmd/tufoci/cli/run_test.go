package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// typed runs one command line without terminal and environment.
func typed(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Run(ctx, args, World{Stdout: &out, Stderr: &errs})
	return code, out.String(), errs.String()
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"nope", "version extra", "version --nope", "trust", "trust nope", "get", "get one", "get a b --format tree",
		"get a b --as-of 2026-01-01T00:00:00Z", "get acme b --root x", "version --timeout nope", "version --format yaml",
		"target add one", "target add one two --from-file x", "reset", "reset --all x", "completion nope",
		"login x --password a --password-stdin", "get a b --cert-file x", "role add x", "role add images --bins 4 --key k",
		"init x --threshold root=0", "init x --expires root=never", "init x --key root",
		"mirror copy reg/a reg/b@sha256:0000000000000000000000000000000000000000000000000000000000000000 --root x",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := typed(t.Context(), append(strings.Fields(line), "--config", t.TempDir()+"/trust.yaml")...)
			if code != exitUsage || stdout != "" {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
			if !strings.HasPrefix(stderr, "Error: ") || strings.Contains(stderr, "Usage:") {
				t.Errorf("stderr %q", stderr)
			}
		})
	}
}

func TestErrorAsJSON(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--format", "json", "nope"},
		{"version", "--format=json", "--nope"},
	} {
		code, stdout, stderr := typed(t.Context(), args...)
		var doc struct {
			SchemaVersion int
			Warnings      []string
			Error         *errorReport
		}
		if err := json.Unmarshal([]byte(stdout), &doc); err != nil {
			t.Fatalf("%v: %v: %q", args, err, stdout)
		}
		if code != exitUsage || doc.SchemaVersion != 1 || doc.Warnings == nil || doc.Error == nil || doc.Error.ExitCode != code || doc.Error.What == "" {
			t.Errorf("%v: exit %d, %q", args, code, stdout)
		}
		if !strings.HasPrefix(stderr, "Error: ") {
			t.Errorf("stderr %q", stderr)
		}
	}
}

// A signal ends a command that waits for a registry.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		if conn, err := listener.Accept(); err == nil {
			interrupt()
			conn.Close()
		}
	}()
	code, _, stderr := typed(ctx, "login", listener.Addr().String(), "--plain-http", "-u", "a", "-p", "b",
		"--registry-config", filepath.Join(t.TempDir(), "config.json"))
	if code != exitInterrupted || !strings.Contains(stderr, "Error: interrupted") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestFlagsWinOverVariables(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	w := World{Stdout: &out, Stderr: &errs, LookupEnv: lookupIn(map[string]string{"TUFOCI_FORMAT": "json"})}
	if code := Run(t.Context(), []string{"version"}, w); code != exitOK || !strings.HasPrefix(out.String(), "{") {
		t.Errorf("exit %d: %s", code, out.String())
	}
	out.Reset()
	if code := Run(t.Context(), []string{"version", "--format", "text"}, w); code != exitOK || !strings.HasPrefix(out.String(), "tufoci ") {
		t.Errorf("exit %d: %s", code, out.String())
	}
	w.LookupEnv = lookupIn(map[string]string{"TUFOCI_TIMEOUT": "soon"})
	if code := Run(t.Context(), []string{"version"}, w); code != exitUsage || !strings.Contains(errs.String(), "TUFOCI_TIMEOUT") {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}

func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, stdout, _ := typed(t.Context(), "completion", shell); code != exitOK || !strings.Contains(stdout, "tufoci") {
			t.Errorf("%s: exit %d", shell, code)
		}
	}
	// What the scripts call.
	if code, stdout, _ := typed(t.Context(), "__complete", "trust", ""); code != exitOK || !strings.Contains(stdout, "update") {
		t.Errorf("exit %d: %s", code, stdout)
	}
}
