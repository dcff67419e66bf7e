//go:build e2e && linux

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/notationsign"
)

// Registries of the story: outside at an address of a documentation network, which
// only the outside has, inside on loopback.
const (
	outsideHost = "192.0.2.1:5000"
	insideHost  = "127.0.0.1:5000"
)

// insider types commands of bin/tufoci inside.
type insider struct {
	*network
	t    testing.TB
	home string
}

func (p *insider) run(args ...string) outcome {
	p.t.Helper()
	command := exec.CommandContext(p.t.Context(), binary(p.t), args...)
	command.Env = []string{"HOME=" + p.home, "DOCKER_CONFIG=" + p.home}
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := p.start(command); err != nil {
		p.t.Fatal(err)
	}
	_ = command.Wait() // the exit code says it
	return outcome{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func (p *insider) exits(code int, args ...string) outcome {
	p.t.Helper()
	o := p.run(args...)
	if o.code != code {
		p.t.Fatalf("tufoci %s: exit %d, want %d\n%s%s", strings.Join(args, " "), o.code, code, o.stdout, o.stderr)
	}
	return o
}

// TestAirGap carries images and their trust into a network without a way out, twice.
func TestAirGap(t *testing.T) {
	t.Parallel()
	if !runApart(t) {
		return
	}
	if err := raise(netip.MustParseAddr(strings.Split(outsideHost, ":")[0])); err != nil {
		t.Fatal(err)
	}
	startDistributionAt(t, tool(t, "registry"), outsideHost, (*exec.Cmd).Start)
	inside := &insider{newNetwork(t), t, t.TempDir()}
	startDistributionAt(t, tool(t, "registry"), insideHost, inside.start)
	then := time.Now().Add(-8 * 24 * time.Hour)
	outside := newOutsider(t, then)
	carried := t.TempDir()
	first, second := filepath.Join(carried, "first.tar"), filepath.Join(carried, "second.tar")

	// There is no way out.
	if err := dial(outsideHost); err != nil {
		t.Fatalf("outside: %v", err)
	}
	if err := inside.in(func() error { return dial(outsideHost) }); !errors.Is(err, syscall.ENETUNREACH) {
		t.Fatalf("a connection from inside: %v", err)
	}

	// Eight days ago: publish, save.
	outside.release("1.4.2")
	old := outsideHost + "/shop/api:1.4.2"
	save := []string{"mirror", "save", outsideHost + "/acme/trust", "--root", outside.rootFile(), "--plain-http"}
	outside.fails(20, append(save, "-o", first, "--image", old, "--valid-until", stamp(then.Add(15*24*time.Hour)))...)
	if _, err := os.Stat(first); err == nil {
		t.Error("what was refused was written")
	}
	outside.must(append(save, "-o", first, "--image", old, "--valid-until", stamp(then.Add(5*24*time.Hour)))...)

	// Today, inside: the timestamp ended yesterday.
	load := func(file string) []string {
		return []string{"mirror", "load", file, insideHost + "/acme/trust", "--root", outside.rootFile(), "--images-to", insideHost, "--plain-http", "--max-stale", "15d"}
	}
	inside.exits(0, load(first)...)
	trust := []string{
		"trust", "add", "acme", insideHost + "/acme/trust", "--root", outside.rootFile(), "--plain-http",
		"--map", insideHost + "=" + outsideHost, "--scope", outsideHost + "/**",
	}
	image := func(tag string) []string { return []string{"verify", insideHost + "/shop/api:" + tag, "--plain-http"} }
	inside.exits(20, trust...)
	inside.exits(0, append(trust, "--max-stale", "15d")...)
	if o := inside.exits(0, append(image("1.4.2"), "--format", "json")...); !strings.Contains(o.stdout, `"stale": true`) || !strings.Contains(o.stderr, "WARNING") {
		t.Errorf("stale without a word: %s%s", o.stdout, o.stderr)
	}
	inside.exits(20, append(image("1.4.2"), "--max-stale", "1h")...)
	inside.exits(50, "verify", old, "--plain-http") // where it came from

	// Outside, today: another root, another CA, a revocation.
	outside.goTo(time.Now())
	outside.must("key", "generate", "root-b")
	outside.must("role", "set", "root", "--add-key", "root-b")
	outside.authority("ca-2")
	outside.must("revoke", "image", "shop/api:1.4.2", "--reason", "CVE-2026-1234", "--plain-http")
	outside.release("1.4.3")
	outside.must(append(save, "-o", second, "--image", outsideHost+"/shop/api:1.4.3", "--valid-until", stamp(time.Now().Add(5*24*time.Hour)))...)

	// Inside again.
	inside.exits(0, image("1.4.2")...)
	inside.exits(0, load(second)...)
	inside.exits(0, image("1.4.3")...)
	inside.exits(24, image("1.4.2")...)
	inside.exits(21, load(first)...)
	inside.exits(0, image("1.4.3")...)
	inside.exits(24, image("1.4.2")...)
	var updated struct {
		Trusts []struct {
			Stale bool `json:"stale"`
			Roles []struct {
				Role    string `json:"role"`
				Version int64  `json:"version"`
			} `json:"roles"`
		} `json:"trusts"`
	}
	o := inside.exits(0, "trust", "update", "acme", "--plain-http", "--format", "json")
	if err := json.Unmarshal([]byte(o.stdout), &updated); err != nil {
		t.Fatal(err)
	}
	if now := updated.Trusts[0]; now.Stale || now.Roles[0].Role != "root" || now.Roles[0].Version != 2 {
		t.Errorf("the trust is not that of the second delivery: %+v", now)
	}
}

func dial(address string) error {
	connection, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err == nil {
		connection.Close()
	}
	return err
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// outsider publishes trust and images outside.
type outsider struct {
	*person
	now   time.Time // of the publisher, and of who signs
	ca    string    // name of the authority
	leaf  *notationsign.Identity
	since time.Time // certificates are valid
}

// newOutsider has published nothing.
func newOutsider(t testing.TB, now time.Time) *outsider {
	t.Helper()
	p := &outsider{person: newPerson(t), since: now.Add(-time.Hour)}
	p.goTo(now)
	p.must("init", outsideHost+"/acme/trust", "--profile", "dev", "-y")
	p.must("policy", "set", "notation", p.file("trustpolicy.json", []byte(signedPolicy)))
	p.authority("ca-1")
	return p
}

// goTo sets the clock.
func (p *outsider) goTo(now time.Time) {
	p.now = now
	p.at(now)
}

// authority trusts an authority, and its CRL, instead of the one before.
func (p *outsider) authority(name string) {
	p.t.Helper()
	if p.ca != "" {
		p.must("cert", "rm", "-t", "ca", "-s", "acme", p.ca+".pem")
		p.must("crl", "rm", p.ca)
	}
	p.ca = name
	ca, err := notationsign.NewRoot(notationsign.CertificateOptions{Name: name, NotBefore: p.since})
	if err != nil {
		p.t.Fatal(err)
	}
	url := newCRLURL(name)
	if p.leaf, err = ca.Leaf(notationsign.CertificateOptions{Name: "ci", NotBefore: p.since, CRLURLs: []string{url}}); err != nil {
		p.t.Fatal(err)
	}
	crl, err := ca.CRL(notationsign.CRLOptions{Number: 1, ThisUpdate: p.since, NextUpdate: p.now.Add(6 * 24 * time.Hour)})
	if err != nil {
		p.t.Fatal(err)
	}
	certificate := p.file(name+".pem", ca.PEM())
	p.must("cert", "add", "-t", "ca", "-s", "acme", certificate)
	p.must("crl", "add", p.file(name+".crl", crl), "--cert", certificate, "--url", url)
}

// release makes an image, signs it and publishes that it may run.
func (p *outsider) release(tag string) {
	p.t.Helper()
	images := repository(p.t, outsideHost, "shop/api")
	index, err := notationsign.PushIndex(p.t.Context(), images, []byte(tag), tag)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := notationsign.Sign(p.t.Context(), images, index, p.leaf, notationsign.Options{SigningTime: p.now}); err != nil {
		p.t.Fatal(err)
	}
	p.must("image", "add", outsideHost+"/shop/api:"+tag, "--plain-http")
	p.must("publish", "-y", "--plain-http")
}
