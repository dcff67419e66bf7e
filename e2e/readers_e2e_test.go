//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// pull fetches a published tag with oras into a directory and serves it with
// a plain file server.
func pull(t testing.TB, reference string) (dir, url string) {
	t.Helper()
	dir = t.TempDir()
	do(t, tool(t, "oras"), "pull", "--plain-http", "--no-tty", "-o", dir, reference)
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return dir, server.URL
}

// readByGoTUF verifies a served directory with go-tuf's own client over its
// own http fetcher.
func readByGoTUF(t testing.TB, root []byte, url string, now time.Time, targets map[string][]byte, images map[string]string) {
	t.Helper()
	cfg, err := config.New(url+"/metadata", root)
	if err != nil {
		t.Fatal(err)
	}
	cfg.RemoteTargetsURL = url + "/targets"
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = t.TempDir(), t.TempDir()
	client, err := updater.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	client.UnsafeSetRefTime(now)
	if err := client.Refresh(); err != nil {
		t.Fatalf("go-tuf: %v", err)
	}
	for name, want := range targets {
		info, err := client.GetTargetInfo(name)
		if err != nil {
			t.Errorf("go-tuf: %s: %v", name, err)
			continue
		}
		if _, data, err := client.DownloadTarget(info, "", ""); err != nil || string(data) != string(want) {
			t.Errorf("go-tuf: %s: %d bytes, error %v", name, len(data), err)
		}
	}
	for name, want := range images {
		info, err := client.GetTargetInfo(name)
		if err != nil || "sha256:"+info.Hashes["sha256"].String() != want {
			t.Errorf("go-tuf: %s: %v, error %v", name, info, err)
		}
	}
}

// readByTUFJS verifies a served directory with tuf-js.
func readByTUFJS(t testing.TB, root []byte, url string, now time.Time, targets map[string][]byte, images map[string]string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join("tufjs", "node_modules", "tuf-js")); err != nil {
		need(t, "tuf-js", "`make e2e` installs it with npm ci")
	}
	file := filepath.Join(t.TempDir(), "root.json")
	if err := os.WriteFile(file, root, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{filepath.Join("tufjs", "verify.mjs"), file, url, "--as-of", now.UTC().Format(time.RFC3339)}
	args = append(args, slices.Collect(maps.Keys(targets))...)
	args = append(args, slices.Collect(maps.Keys(images))...)
	var read struct {
		Targets map[string]string `json:"targets"`
	}
	out := do(t, tool(t, "node"), args...)
	if err := json.Unmarshal([]byte(out), &read); err != nil {
		t.Fatalf("tuf-js: %v in %s", err, out)
	}
	for name, want := range targets {
		if sum := sha256.Sum256(want); read.Targets[name] != hex.EncodeToString(sum[:]) {
			t.Errorf("tuf-js: %s differs", name)
		}
	}
	for name, want := range images {
		if "sha256:"+read.Targets[name] != want {
			t.Errorf("tuf-js: %s has sha256:%s, want %s", name, read.Targets[name], want)
		}
	}
}

// TestLayoutReadByOthers proves the layout itself, as a second implementation
// writes it: oras makes a classic repository of it.
func TestLayoutReadByOthers(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]tuftest.KeyType{"ed25519": tuftest.Ed25519, "P-256": tuftest.ECDSAP256, "RSA": tuftest.RSA} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := tuftest.NewRepo(t, tuftest.RepoOptions{KeyType: kind})
			targets := map[string][]byte{"a.txt": []byte("a"), "dir/b.txt": []byte("b"), "team/c.txt": []byte("c")}
			repo.AddTarget("a.txt", targets["a.txt"])
			repo.AddTarget("dir/b.txt", targets["dir/b.txt"])
			repo.Delegate("targets", "team", []string{"team/*"}, true)
			repo.AddTargetTo("team", "team/c.txt", targets["team/c.txt"])
			repo.RotateKey("root")
			repo.Publish()
			registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
			registry.Push("acme/trust", "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{}))
			dir, url := pull(t, registry.Host()+"/acme/trust:tuf")
			if got, want := tuftest.ReadFiles(t, dir), repo.Files(); len(got) != len(want) {
				t.Errorf("%d files pulled, want %d", len(got), len(want))
			}
			readByGoTUF(t, repo.RootBytes(), url, repo.Now(), targets, nil)
			readByTUFJS(t, repo.RootBytes(), url, repo.Now(), targets, nil)
		})
	}
}

// TestPublishedReadByOthers lets them read what tufoci makes.
func TestPublishedReadByOthers(t *testing.T) {
	t.Parallel()
	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	made := publishEverything(t, registry.Host())
	_, url := pull(t, registry.Host()+"/acme/trust:tuf")
	root := readFile(t, made.publisher.rootFile())
	readByGoTUF(t, root, url, time.Now(), made.files, made.images)
	readByTUFJS(t, root, url, time.Now(), made.files, made.images)
}

// published is a repository that the command line made.
type published struct {
	publisher *person
	// files are the targets with bytes, images the digests of image entries.
	files  map[string][]byte
	images map[string]string
}

// publishEverything makes and publishes a repository that uses what the
// command line offers: every type of key, a delegation, bins, a second root.
func publishEverything(t testing.TB, host string) *published {
	t.Helper()
	p := newPublisher(t, host)
	files := map[string][]byte{"hello.txt": []byte("hello\n"), "dir/sub/file.bin": []byte("deep\n"), "charts/app.tgz": []byte("chart\n")}
	for _, kind := range []string{"ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-3072"} {
		p.must("key", "generate", kind, "--type", kind)
	}
	p.must("role", "add", "charts", "--path", "charts/*", "--key", "ecdsa-p256")
	p.must("role", "add", "images", "--bins", "8", "--key", "ecdsa-p256", "--bin-key", "ed25519")
	p.must("target", "add", "hello.txt", p.file("hello.txt", files["hello.txt"]))
	p.must("target", "add", "dir/sub/file.bin", p.file("file.bin", files["dir/sub/file.bin"]))
	p.must("target", "add", "charts/app.tgz", p.file("app.tgz", files["charts/app.tgz"]), "--role", "charts")
	images := map[string]string{}
	var entries strings.Builder
	for i := range 20 {
		name, digest := fmt.Sprintf("images/shop/api:1.%d", i), tuftest.Digest(fmt.Append(nil, i))
		images[name] = digest
		fmt.Fprintf(&entries, `{"path":%q,"length":1234,"hashes":{"sha256":%q},"custom":{"tufoci":{"mediaType":"application/vnd.oci.image.index.v1+json"}}}`+"\n",
			name, strings.TrimPrefix(digest, "sha256:"))
	}
	p.must("target", "add", "--from-file", p.file("entries.jsonl", []byte(entries.String())))
	p.must("publish", "-y", "--plain-http")
	for role, key := range map[string]string{"root": "rsa-3072", "targets": "ecdsa-p256", "snapshot": "ecdsa-p384", "timestamp": "rsa-3072"} {
		p.must("role", "set", role, "--add-key", key)
	}
	p.must("publish", "-y", "--plain-http")
	return &published{p, files, images}
}

// trusted pins the repository's first root for a source and gets every target
// from there.
func (r *published) trusted(t testing.TB, source string, flags ...string) {
	t.Helper()
	consumer := newPerson(t)
	consumer.must(append([]string{"trust", "add", "acme", source, "--root", r.publisher.rootFile()}, flags...)...)
	consumer.must(append([]string{"trust", "update", "acme"}, flags...)...)
	for name, want := range r.files {
		if got := consumer.must(append([]string{"get", "acme", name}, flags...)...); got != string(want) {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	const image = "images/shop/api:1.4"
	if got := consumer.must(append([]string{"get", "acme", image}, flags...)...); got != r.images[image]+"\n" {
		t.Errorf("%s = %q, want %q", image, got, r.images[image])
	}
}

func readFile(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
