//go:build e2e

package e2e

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// cell is an image of tufoci without a container: a root directory with the binary,
// certificate authorities, a root to trust and an empty /tmp, and a user who owns nothing.
type cell struct {
	t    *testing.T
	dir  string
	args []string
	env  []string
}

const nobody = 65532 // as in the Dockerfile

func (c *cell) put(name string, data []byte, mode os.FileMode) {
	c.t.Helper()
	file := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(file, data, mode); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cell) command(args ...string) (command *exec.Cmd, stdout, stderr *tuftest.Console) {
	stdout, stderr = new(tuftest.Console), new(tuftest.Console)
	return &exec.Cmd{
		Path: "/tufoci", Args: append(append([]string{"tufoci"}, c.args...), args...), Env: c.env, Dir: "/", Stdout: stdout, Stderr: stderr,
		SysProcAttr: &syscall.SysProcAttr{Chroot: c.dir, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}},
	}, stdout, stderr
}

// The static binary refreshes a repository in a registry with TLS from where there is
// nothing else: no shell, no libc, no home, no name service, and leaves nothing behind.
func TestRefreshInEmptyRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		need(t, "the right to change the root directory", "run it as root")
	}
	registry := startDistribution(t, tool(t, "registry"))
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: registry})
			r.SetXForwarded() // the registry names itself as it was reached
			r.Out.Host = r.In.Host
		},
	})
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.StartTLS()
	t.Cleanup(front.Close)
	publisher := newPublisher(t, registry)
	publisher.stage(1)
	publisher.must("publish", "-y", "--plain-http")

	c := &cell{t: t, dir: t.TempDir()}
	if err := os.Chmod(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(c.dir, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(c.dir, "tmp"), 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	c.put("tufoci", readFile(t, binary(t)), 0o755)
	c.put("trust/1.root.json", readFile(t, publisher.rootFile()), 0o444)
	authorities := filepath.Join("etc", "ssl", "certs", "ca-certificates.crt")
	c.put(authorities, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}), 0o444)
	c.env = []string{
		"ONLINE_KEY=" + string(readFile(t, filepath.Join(publisher.env["TUFOCI_WORKSPACE"], ".tufoci", "keys", "dev.pem"))),
		"TUFOCI_PASSPHRASE=" + publisher.env["TUFOCI_PASSPHRASE"],
	}
	c.args = []string{
		"refresh", "example.com/acme/trust", "--root", "/trust/1.root.json", "--key", "env:ONLINE_KEY",
		"--resolve", "example.com:443:" + front.Listener.Addr().String(),
	}

	command, stdout, stderr := c.command("--force")
	if err := command.Run(); err != nil || !strings.Contains(stdout.String(), "timestamp v1 -> v2") || stderr.String() != "" {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	daemon, _, stderr := c.command("--every", "1h", "--listen", "127.0.0.1:0")
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if strings.Contains(stderr.String(), "next run in") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := daemon.Wait(); daemon.ProcessState.ExitCode() != 130 || !strings.Contains(stderr.String(), "timestamp v2 expires in") {
		t.Errorf("the daemon ended with %v\n%s", err, stderr)
	}

	if left, err := os.ReadDir(filepath.Join(c.dir, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (error %v)", left, err)
	}

	// It was the file of the image that vouched for the registry.
	if err := os.Remove(filepath.Join(c.dir, authorities)); err != nil {
		t.Fatal(err)
	}
	command, _, stderr = c.command("--force", "--timeout", "10s")
	if err := command.Run(); err == nil || !strings.Contains(stderr.String(), "certificate") {
		t.Errorf("without authorities: %v\n%s", err, stderr)
	}
}

// systemd takes the units of deploy/.
func TestSystemdUnits(t *testing.T) {
	t.Parallel()
	program := tool(t, "systemd-analyze")
	dir := t.TempDir()
	units, err := filepath.Glob(filepath.Join("..", "deploy", "systemd", "*"))
	if err != nil || len(units) != 3 {
		t.Fatalf("units %v (error %v)", units, err)
	}
	args := []string{"verify", "--man=no"}
	for _, unit := range units {
		// It looks for the program too.
		data := bytes.ReplaceAll(readFile(t, unit), []byte("/usr/local/bin/tufoci"), []byte("/bin/sh"))
		file := filepath.Join(dir, filepath.Base(unit))
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
