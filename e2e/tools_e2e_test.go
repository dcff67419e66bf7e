//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// need ends a test for want of a program: skipped on a desk, failed in CI.
func need(t testing.TB, what, remedy string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: %s", what, remedy)
	}
	t.Skipf("%s is missing: %s", what, remedy)
}

// tool returns the path of a foreign program: built from e2e/tools, or
// installed.
func tool(t testing.TB, name string) string {
	t.Helper()
	built, err := filepath.Abs(filepath.Join("..", "bin", "tools", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(built); err == nil {
		return built
	}
	installed, err := exec.LookPath(name)
	if err != nil {
		need(t, name, "`make tools` builds the programs of e2e/tools, skopeo and docker-registry are Debian packages")
	}
	return installed
}

// do runs a foreign program that has to succeed, and returns what it printed.
func do(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := attempt(t, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// attempt runs a foreign program in a home of its own, and returns what it
// printed; the error has all of that too.
func attempt(t testing.TB, name string, args ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	home := t.TempDir()
	command.Env = append(os.Environ(), "HOME="+home, "DOCKER_CONFIG="+home, "XDG_RUNTIME_DIR="+home, "NO_COLOR=1")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// distribution configures the reference registry, of version 2 and 3 alike.
const distribution = `version: 0.1
log: {level: info}
storage:
  filesystem: {rootdirectory: %DIR%}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
http:
  addr: %ADDRESS%
  secret: test
`

var listening = regexp.MustCompile(`listening on ([0-9.]+:\d+)`)

// startDistribution runs a registry of the distribution project as a process
// and returns its host. The process ends with the test.
func startDistribution(t testing.TB, program string) string {
	t.Helper()
	return startDistributionAt(t, program, "127.0.0.1:0", (*exec.Cmd).Start)
}

// startDistributionAt has it listen on an address, and the process started by start.
func startDistributionAt(t testing.TB, program, address string, start func(*exec.Cmd) error) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "config.yml")
	config := strings.NewReplacer("%DIR%", filepath.Join(dir, "data"), "%ADDRESS%", address).Replace(distribution)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "serve", file)
	command.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout = command.Stderr
	if err := start(command); err != nil {
		t.Fatal(err)
	}
	host := make(chan string, 1)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if found := listening.FindStringSubmatch(lines.Text()); found != nil {
				select {
				case host <- found[1]:
				default:
				}
			}
		}
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-drained
		_ = command.Wait()
	})
	select {
	case address := <-host:
		return address
	case <-drained:
		t.Fatalf("%s ended before it listened", program)
	case <-time.After(time.Minute):
		t.Fatalf("%s did not say where it listens", program)
	}
	return ""
}

// counter is a proxy in front of a registry that counts what passes.
type counter struct {
	host        string
	mu          sync.Mutex
	seen        []string // "GET /v2/... 200"
	connections atomic.Int64
}

// count puts a counter in front of a host.
func count(t testing.TB, host string) *counter {
	t.Helper()
	c := &counter{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: host})
			r.Out.Host = r.In.Host // so that upload locations come through here
		},
		ModifyResponse: func(answer *http.Response) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.seen = append(c.seen, answer.Request.Method+" "+answer.Request.URL.Path+" "+answer.Status[:3])
			return nil
		},
	}
	server := httptest.NewUnstartedServer(proxy)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			c.connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c.host = server.Listener.Addr().String()
	return c
}

// take returns what passed since the last time.
func (c *counter) take() (seen []string, connections int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen, c.seen = c.seen, nil
	return seen, int(c.connections.Swap(0))
}
