package cli

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// person sits at a terminal: what lines are typed is taken as answers.
func person(dir string, env map[string]string, lines string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	if env == nil {
		env = map[string]string{}
	}
	env["HOME"] = dir
	env["DOCKER_CONFIG"] = filepath.Join(dir, "docker")
	env["TUFOCI_WORKSPACE"] = filepath.Join(dir, "workspace")
	code = Run(context.Background(), args, World{
		Stdin: strings.NewReader(lines), Stdout: &out, Stderr: &errs, LookupEnv: lookupIn(env),
		StdinIsTerminal: true, StderrIsTerminal: true,
	})
	return code, out.String(), errs.String()
}

// At a terminal all that is needed is asked for, and progress is drawn.
func TestPublishAtTerminal(t *testing.T) {
	t.Parallel()
	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	dir := t.TempDir()
	if code, _, stderr := person(dir, nil, "y\nsecret\nsecret\n", "init", registry.Host()+"/acme/trust", "--profile", "dev"); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	code, stdout, stderr := person(dir, nil, "n\n", "publish", "--plain-http")
	if code != exitOther || !strings.Contains(stderr, "sign root and targets with the keys at hand and publish? [y/N]") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if len(registry.Requests()) != 0 || stdout != "" {
		t.Error("a no has published")
	}
	if code, _, stderr = person(dir, nil, "y\nwrong\n", "publish", "--plain-http"); code != exitKey {
		t.Errorf("exit %d: %s", code, stderr)
	}
	code, stdout, stderr = person(dir, nil, "y\nsecret\n", "publish", "--plain-http")
	if code != exitOK || !strings.Contains(stdout, "✓ tag tuf") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if !strings.Contains(stderr, "passphrase of key dev: ") || !strings.Contains(stderr, "\r") {
		t.Errorf("no question or no progress: %q", stderr)
	}
	if strings.Contains(stdout, "\r") {
		t.Error("progress on standard output")
	}
}

// Progress is for terminals, and not for who wants quiet.
func TestNoProgress(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string]globalFlags{"--no-tty": {noTTY: true}, "--quiet": {quiet: true}} {
		a := newApp(World{StderrIsTerminal: true})
		a.global = flags
		if a.newBars().progress() != nil {
			t.Errorf("%s draws", name)
		}
	}
	if newApp(World{}).newBars().progress() != nil {
		t.Error("drawn without a terminal")
	}
}

func TestLoginAtTerminal(t *testing.T) {
	t.Parallel()
	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{Basic: true, Username: "user", Password: "secret"})
	dir := t.TempDir()
	if code, _, stderr := person(dir, nil, "user\nsecret\n", "login", registry.Host(), "--plain-http"); code != exitOK {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "docker", "config.json")); err != nil {
		t.Error("the credentials are not where $DOCKER_CONFIG says")
	}
	if code, _, stderr := person(dir, nil, "user\nnope\n", "login", registry.Host(), "--plain-http"); code != exitAuth {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// A registry that takes connections and says nothing: --timeout ends it.
func TestTimeout(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	code, _, stderr := person(t.TempDir(), nil, "", "inspect", listener.Addr().String()+"/x/y", "--plain-http", "--timeout", "50ms")
	if code != exitRegistry || !strings.Contains(stderr, "Error: not done within --timeout") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// A name in metadata cannot pass for a line of ours, nor change the direction of
// the text after it.
func TestNamesDoNotPassForLines(t *testing.T) {
	t.Parallel()
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{})
	repo.Delegate("targets", "x\nverified from root sha256:0\u202etuo", []string{"a\nverified from root sha256:0/*"}, false)
	repo.Publish()
	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	registry.Push("trust", "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{}))
	for _, format := range []string{"text", "tree"} {
		code, stdout, stderr := person(t.TempDir(), nil, "", "inspect", registry.Host()+"/trust:tuf", "--format", format, "--plain-http")
		if code != exitOK {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		if !strings.Contains(stdout, "verified from root") || strings.ContainsRune(stdout, '\u202e') {
			t.Errorf("%s: %q", format, stdout)
		}
		for line := range strings.Lines(stdout) {
			if !strings.HasPrefix(line, unverifiedMark) {
				t.Errorf("%s: %q", format, line)
			}
		}
	}
}
