package publish_test

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/publish"
)

// repository is where the workspaces of these tests publish, on any registry.
const repository = "acme/trust"

// privateKey is the one key of every workspace here. It is not encrypted, since
// opening an encrypted one takes long on purpose.
var privateKey = sync.OnceValue(func() string {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
})

func env(name string) (string, bool) { return privateKey(), name == "TEST_KEY" }

// template is a new workspace of profile dev, which is copied for each author.
var template = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tufoci-publish-")
	if err != nil {
		return "", err
	}
	templateDir = dir
	keys := map[string][]string{}
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		keys[role] = []string{"env:TEST_KEY"}
	}
	ws, err := metadata.Init(dir, metadata.InitOptions{
		Repository: "registry.example.com/" + repository, Profile: "dev", Keys: keys, Now: clock, Env: env,
		RenewWithin: map[string]time.Duration{"snapshot": 24 * time.Hour}, // later than the timestamp
	})
	if err != nil {
		return "", err
	}
	if _, err := ws.AddTarget("hello.txt", []byte("hello"), metadata.TargetOptions{}); err != nil {
		return "", err
	}
	return dir, ws.Close()
})

var templateDir string

func TestMain(m *testing.M) {
	os.Exit(tuftest.InMemory(func() int {
		defer func() {
			_ = os.RemoveAll(templateDir)
			_ = os.RemoveAll(officeDir)
			_ = os.RemoveAll(templateDir + "-weeks")
		}()
		return m.Run()
	}))
}

// author is a person with a workspace.
type author struct {
	t   testing.TB
	ws  *metadata.Workspace
	now time.Time
}

// newAuthor has a workspace that has published nothing, with one target staged.
func newAuthor(t testing.TB) *author {
	t.Helper()
	dir, err := template()
	if err != nil {
		t.Fatal(err)
	}
	return openAuthor(t, dir, now)
}

// openAuthor opens a copy of a workspace.
func openAuthor(t testing.TB, dir string, at time.Time) *author {
	t.Helper()
	a := &author{t: t, now: at}
	copied := filepath.Join(t.TempDir(), "workspace")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	ws, err := metadata.Open(copied, metadata.OpenOptions{Now: a.clock, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	a.ws = ws
	return a
}

func (a *author) clock() time.Time { return a.now }

// twin is another person with a copy of the workspace.
func (a *author) twin() *author {
	a.t.Helper()
	return openAuthor(a.t, a.ws.Dir(), a.now)
}

// stage adds a target to a role, "" being targets.
func (a *author) stage(role, name, content string) {
	a.t.Helper()
	if _, err := a.ws.AddTarget(name, []byte(content), metadata.TargetOptions{Role: role}); err != nil {
		a.t.Fatal(err)
	}
}

// delegate adds a role that may sign below its name, with the key of root. Zero
// is the life of the profile.
func (a *author) delegate(name string, life time.Duration) {
	a.t.Helper()
	root, err := a.ws.Role("root")
	if err != nil {
		a.t.Fatal(err)
	}
	err = a.ws.AddDelegation(metadata.DelegationOptions{Name: name, Paths: []string{name + "/*"}, Keys: []string{root.Keys[0].Name}, Expires: life})
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *author) try(ctx context.Context, g *tuftest.Registry, o publish.Options) (*publish.Result, error) {
	a.t.Helper()
	if o.Now == nil {
		o.Now = a.clock
	}
	return publish.Publish(ctx, a.ws, remote(a.t, g, repository), o)
}

func (a *author) publish(g *tuftest.Registry) *publish.Result {
	a.t.Helper()
	result, err := a.try(a.t.Context(), g, publish.Options{})
	if err != nil {
		a.t.Fatal(err)
	}
	return result
}

// root1 is what a consumer pins.
func (a *author) root1() []byte {
	a.t.Helper()
	root, err := a.ws.Root1()
	if err != nil {
		a.t.Fatal(err)
	}
	return root
}

// files is the content of a workspace, to be compared.
func (a *author) files() map[string]string {
	a.t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(a.ws.Dir()), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(a.ws.Dir(), name))
		files[name] = string(data)
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return files
}

// registry is a new registry without anything.
func registry(t testing.TB) *tuftest.Registry {
	t.Helper()
	return tuftest.NewRegistry(t, tuftest.RegistryOptions{})
}

// duplicate is a new registry that holds what another one holds.
func duplicate(t testing.TB, g *tuftest.Registry) *tuftest.Registry {
	t.Helper()
	to := registry(t)
	duplicateTo(t, g, to, repository)
	return to
}

// duplicateTo copies a repository from one registry to another.
func duplicateTo(t testing.TB, g, to *tuftest.Registry, repository string) {
	t.Helper()
	for _, tag := range g.Tags(repository) {
		manifest, _ := g.Manifest(repository, tag)
		var m ocispec.Manifest
		if err := json.Unmarshal(manifest, &m); err != nil {
			t.Fatal(err)
		}
		for _, desc := range append(m.Layers, m.Config) {
			data, ok := g.Blob(repository, desc.Digest.String())
			if !ok {
				t.Fatalf("tag %s: blob %s is missing", tag, desc.Digest)
			}
			to.PutBlob(repository, data)
		}
		to.PutManifest(repository, tag, manifest)
	}
}

// published is a registry and an author after the first publish, which made
// timestamp v1.
func published(t testing.TB) (*tuftest.Registry, *author) {
	t.Helper()
	g, a := registry(t), newAuthor(t)
	a.delegate("team", 0)
	a.publish(g)
	return g, a
}

// content is what a consumer reads under a name, "" if it is not there.
func content(t testing.TB, g *tuftest.Registry, a *author, name string) string {
	t.Helper()
	view := see(t, a.root1(), remote(t, g, repository))
	data, _, err := view.Get(t.Context(), name)
	if err != nil {
		return ""
	}
	return string(data)
}
