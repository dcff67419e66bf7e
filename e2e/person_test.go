package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
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
	environ := []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range p.env {
		environ = append(environ, name+"="+value)
	}
	code := cli.Run(p.t.Context(), args, cli.World{
		Environ: environ,
		Stdout:  &stdout,
		Stderr:  &stderr,
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

// newPublisher is a person with a dev workspace for acme/trust on a registry.
func newPublisher(t testing.TB, host string) *person {
	t.Helper()
	p := newPerson(t)
	p.must("init", host+"/acme/trust", "--profile", "dev", "-y")
	return p
}

// rootFile is the first root in a publisher's workspace: the usual pin.
func (p *person) rootFile() string {
	return filepath.Join(p.env["TUFOCI_WORKSPACE"], ".tufoci", "base", "1.root.json")
}

// stage puts a new version of a file that consumers watch into the
// next publish.
func (p *person) stage(version int) {
	p.t.Helper()
	p.must("target", "add", "watched.txt", p.file("watched.txt", []byte(strconv.Itoa(version))))
}

// watched is the version of that file that a consumer gets.
func (p *person) watched(host string) int {
	p.t.Helper()
	out := p.must("get", "acme", "watched.txt", "--plain-http")
	version, err := strconv.Atoi(out)
	if err != nil {
		p.t.Fatalf("watched.txt from %s: %v", host, err)
	}
	return version
}

// trusts pins a root for a repository.
func (p *person) trusts(repository, root string) {
	p.t.Helper()
	p.must("trust", "add", "acme", repository, "--root", root, "--plain-http")
}
