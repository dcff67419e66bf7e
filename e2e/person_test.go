package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/cmd/tufoci/cli"
)

// person is somebody who types tufoci commands: a home with configuration,
// state and cache, a workspace, and a clock. Commands run in process.
type person struct {
	t    testing.TB
	home string
	env  map[string]string
	// now is the person's clock; nil means the real one.
	now func() time.Time
}

func newPerson(t testing.TB) *person {
	t.Helper()
	home := t.TempDir()
	return &person{t: t, home: home, env: map[string]string{
		"HOME":              home,
		"TUFOCI_WORKSPACE":  filepath.Join(home, "workspace"),
		"TUFOCI_PASSPHRASE": "correct horse battery staple",
		"DOCKER_CONFIG":     filepath.Join(home, "docker"),
	}}
}

// at sets the person's clock.
func (p *person) at(now time.Time) *person {
	p.now = func() time.Time { return now }
	return p
}

// file writes a file into the person's home and returns its path.
func (p *person) file(name string, data []byte) string {
	p.t.Helper()
	file := filepath.Join(p.home, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		p.t.Fatal(err)
	}
	return file
}

// outcome is what one command did.
type outcome struct {
	code           int
	stdout, stderr string
}

// run types one command.
func (p *person) run(args ...string) outcome {
	p.t.Helper()
	var stdout, stderr bytes.Buffer
	code := cli.Run(p.t.Context(), args, cli.World{
		Stdout: &stdout,
		Stderr: &stderr,
		LookupEnv: func(name string) (string, bool) {
			value, ok := p.env[name]
			return value, ok
		},
		Now: p.now,
	})
	return outcome{code, stdout.String(), stderr.String()}
}

// must types a command that has to succeed and returns its standard output.
func (p *person) must(args ...string) string {
	p.t.Helper()
	o := p.run(args...)
	if o.code != 0 {
		p.t.Fatalf("tufoci %s: exit %d\n%s%s", strings.Join(args, " "), o.code, o.stdout, o.stderr)
	}
	return o.stdout
}

// fails types a command that has to fail with this exit code and the three
// lines of an error.
func (p *person) fails(code int, args ...string) outcome {
	p.t.Helper()
	o := p.run(args...)
	if o.code != code {
		p.t.Errorf("tufoci %s: exit %d, want %d\n%s%s", strings.Join(args, " "), o.code, code, o.stdout, o.stderr)
	} else if !strings.Contains(o.stderr, "Error: ") {
		p.t.Errorf("tufoci %s: no error message: %q", strings.Join(args, " "), o.stderr)
	}
	return o
}

// decode types a command that has to succeed, with JSON output, into result.
func (p *person) decode(result any, args ...string) {
	p.t.Helper()
	out := p.must(append(args, "--format", "json")...)
	if err := json.Unmarshal([]byte(out), result); err != nil {
		p.t.Fatalf("tufoci %s: %v in %s", strings.Join(args, " "), err, out)
	}
}
