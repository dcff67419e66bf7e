//go:build e2e

package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/tufoci/tufoci/cmd/tufoci/cli"
	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
)

// until waits for something that takes a refresh or two.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 600 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: not within 30 seconds", what)
}

// serves runs tufoci serve until the test ends, which it has to survive.
func (p *person) serves(args ...string) (url string) {
	p.t.Helper()
	var stdout, stderr tuftest.Console
	ctx, interrupt := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	line := append([]string{"serve", "--plain-http", "--listen", "127.0.0.1:0", "--interval", "1s"}, args...)
	go func() {
		ended <- cli.Run(ctx, line, cli.World{
			Stdout: &stdout, Stderr: &stderr, Now: p.now,
			LookupEnv: func(name string) (string, bool) { value, ok := p.env[name]; return value, ok },
		})
	}()
	p.t.Cleanup(func() {
		interrupt()
		if code := <-ended; code != 0 {
			p.t.Errorf("tufoci %s: exit %d\n%s", strings.Join(line, " "), code, stderr.String())
		}
	})
	until(p.t, "tufoci serve", func() bool {
		url = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(stdout.String())
		return url != ""
	})
	return url
}

// plainClient is go-tuf as it is, with its own fetcher and its own cache.
type plainClient struct {
	t    testing.TB
	root []byte
	url  string
	dir  string
}

// read refreshes and gets a target file.
func (c *plainClient) read(name string) (timestamp int64, data []byte) {
	c.t.Helper()
	cfg, err := config.New(c.url, c.root) // target files are below it, in targets/
	if err != nil {
		c.t.Fatal(err)
	}
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = c.dir, c.dir
	client, err := updater.New(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := client.Refresh(); err != nil {
		c.t.Fatalf("go-tuf: %v", err)
	}
	info, err := client.GetTargetInfo(name)
	if err != nil {
		c.t.Fatalf("go-tuf: %s: %v", name, err)
	}
	if _, data, err = client.DownloadTarget(info, filepath.Join(c.dir, "file"), ""); err != nil {
		c.t.Fatalf("go-tuf: %s: %v", name, err)
	}
	return client.GetTrustedMetadataSet().Timestamp.Signed.Version, data
}

// TestServedToOthers lets TUF clients that know no registries read from tufoci serve:
// delegations, files in directories, through a publish and a rotation of root.
func TestServedToOthers(t *testing.T) {
	t.Parallel()
	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	p := newPublisher(t, registry.Host())
	files := map[string][]byte{"hello.txt": []byte("hello\n"), "dir/sub/file.bin": []byte("deep\n"), "charts/app.tgz": []byte("chart\n")}
	p.must("key", "generate", "team")
	p.must("role", "add", "charts", "--path", "charts/*", "--key", "team")
	p.must("target", "add", "hello.txt", p.file("hello.txt", files["hello.txt"]))
	p.must("target", "add", "dir/sub/file.bin", p.file("file.bin", files["dir/sub/file.bin"]))
	p.must("target", "add", "charts/app.tgz", p.file("app.tgz", files["charts/app.tgz"]), "--role", "charts")
	p.must("publish", "-y", "--plain-http")
	root := readFile(t, p.rootFile())

	consumer := newPerson(t)
	consumer.trusts(registry.Host()+"/acme/trust", p.rootFile())
	url := consumer.serves("acme")
	plain := &plainClient{t, root, url, t.TempDir()}
	if version, data := plain.read("charts/app.tgz"); version != 1 || string(data) != "chart\n" {
		t.Errorf("timestamp v%d, %q", version, data)
	}
	readByGoTUF(t, root, url, time.Now(), files, nil)
	readByTUFJS(t, root, url, time.Now(), files, nil)

	files["charts/app.tgz"] = []byte("next chart\n")
	p.must("target", "add", "charts/app.tgz", p.file("app.tgz", files["charts/app.tgz"]), "--role", "charts")
	p.must("publish", "-y", "--plain-http")
	p.must("key", "generate", "next")
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		p.must("role", "set", role, "--add-key", "next")
	}
	p.must("publish", "-y", "--plain-http")
	until(t, "the new root", func() bool { return status(t, url+"/2.root.json") == http.StatusOK })
	if version, data := plain.read("charts/app.tgz"); version != 3 || string(data) != "next chart\n" {
		t.Errorf("timestamp v%d, %q", version, data)
	}
	readByGoTUF(t, root, url, time.Now(), files, nil)
	readByTUFJS(t, root, url, time.Now(), files, nil)
}

func status(t testing.TB, url string) int {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	return r.StatusCode
}

// TestServedToCosign lets cosign initialise itself from a trust repository that
// carries what it needs.
func TestServedToCosign(t *testing.T) {
	t.Parallel()
	cosign := tool(t, "cosign")
	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	p := newPublisher(t, registry.Host())
	files := map[string][]byte{"trusted_root.json": sigstoreRoot(t), "signing_config.v0.2.json": sigstoreConfig(t)}
	for name, data := range files {
		p.must("target", "add", name, p.file(name, data))
	}
	p.must("publish", "-y", "--plain-http")
	url := newPerson(t).serves(registry.Host()+"/acme/trust", "--root", p.rootFile())

	home := t.TempDir()
	command := exec.CommandContext(t.Context(), cosign, "initialize", "--mirror", url, "--root", p.rootFile())
	command.Env = append(os.Environ(), "HOME="+home)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if strings.Contains(string(out), "Could not fetch") { // it goes on without
		t.Errorf("cosign: %s", out)
	}
	found := map[string]string{}
	err = filepath.WalkDir(filepath.Join(home, ".sigstore"), func(file string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found[filepath.Base(file)] = string(readFile(t, file))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if found[name] != string(data) {
			t.Errorf("cosign has no %s, or another one", name)
		}
	}
}

// sigstoreRoot is a trusted root of Sigstore's format, with one authority.
func sigstoreRoot(t testing.TB) []byte {
	t.Helper()
	ca, err := notationsign.NewRoot(notationsign.CertificateOptions{Name: "ca"})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(ca.PEM())
	return encode(t, map[string]any{
		"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		"certificateAuthorities": []any{map[string]any{
			"subject":   map[string]any{"organization": "acme", "commonName": "ca"},
			"uri":       "https://fulcio.example",
			"certChain": map[string]any{"certificates": []any{map[string]any{"rawBytes": base64.StdEncoding.EncodeToString(block.Bytes)}}},
			"validFor":  map[string]any{"start": "2024-01-01T00:00:00Z"},
		}},
	})
}

// sigstoreConfig is a signing config of Sigstore's format.
func sigstoreConfig(t testing.TB) []byte {
	t.Helper()
	service := func(name string) []any {
		return []any{map[string]any{
			"url": fmt.Sprintf("https://%s.example", name), "majorApiVersion": 1, "operator": "acme",
			"validFor": map[string]any{"start": "2024-01-01T00:00:00Z"},
		}}
	}
	return encode(t, map[string]any{
		"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
		"caUrls":    service("fulcio"), "oidcUrls": service("oidc"), "rekorTlogUrls": service("rekor"),
		"rekorTlogConfig": map[string]any{"selector": "ANY"},
		"tsaConfig":       map[string]any{"selector": "ANY"},
	})
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
