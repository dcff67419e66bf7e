package publish_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// now is when everything in these tests happens.
var now = tuftest.Epoch.Add(time.Hour)

func clock() time.Time { return now }

const channel = ociremote.DefaultChannel

// foreign is the manifest of an image: its config is "{}", it has no layers.
var foreign = []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}`)

// warnings collects what is said through a Warn option.
type warnings struct {
	mu    sync.Mutex
	lines []string
}

func (w *warnings) add(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, s)
}

func (w *warnings) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "\n")
}

// remote opens a repository of a test registry.
func remote(t testing.TB, g *tuftest.Registry, repository string) ociremote.WritableRepository {
	t.Helper()
	return open(t, ociremote.Reference{Kind: ociremote.KindRegistry, Host: g.Host(), Repository: repository, Tag: channel})
}

func open(t testing.TB, ref ociremote.Reference) ociremote.WritableRepository {
	t.Helper()
	client, err := ociremote.NewClient(ociremote.Options{PlainHTTP: true, Retries: -1, RegistryConfig: filepath.Join(t.TempDir(), "config.json")})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := client.Repository(t.Context(), ref, true)
	if err != nil {
		t.Fatal(err)
	}
	return repo.(ociremote.WritableRepository)
}

// store puts a packed bundle into a repository.
func store(t testing.TB, repo ociremote.WritableRepository, tag string, b *tuftest.Bundle) {
	t.Helper()
	for d, data := range b.Blobs {
		desc := ocispec.Descriptor{MediaType: "application/octet-stream", Digest: digest.Digest(d), Size: int64(len(data))}
		if err := repo.Push(t.Context(), desc, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	storeManifest(t, repo, tag, b.Manifest)
}

func storeManifest(t testing.TB, repo ociremote.WritableRepository, tag string, manifest []byte) {
	t.Helper()
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(manifest), Size: int64(len(manifest))}
	if err := repo.PushReference(t.Context(), desc, bytes.NewReader(manifest), tag); err != nil {
		t.Fatal(err)
	}
}

// memory is a repository in memory with the files of a TUF repository under
// the channel tag.
func memory(t testing.TB, r *tuftest.Repo) ociremote.WritableRepository {
	t.Helper()
	repo := ociremote.NewMemory()
	store(t, repo, channel, tuftest.Pack(t, r.Files(), tuftest.PackOptions{}))
	return repo
}

// directory writes files by title below a new directory.
func directory(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for title, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(title))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// refresh is a consumer that starts from root.
func refresh(ctx context.Context, root []byte, o trust.Options) (*trust.View, error) {
	if o.Now == nil {
		o.Now = clock
	}
	client, err := trust.New(root, o)
	if err != nil {
		return nil, err
	}
	return client.Refresh(ctx)
}

// see is refresh of the channel of a repository, which must succeed.
func see(t testing.TB, root []byte, repo ociremote.Repository) *trust.View {
	t.Helper()
	view, err := refresh(t.Context(), root, trust.Options{Source: trust.RepositorySource(repo, channel)})
	if err != nil {
		t.Fatalf("consumer: %v", err)
	}
	return view
}

// wantTarget checks the bytes of one target.
func wantTarget(t testing.TB, view *trust.View, name, want string) {
	t.Helper()
	got, _, err := view.Get(t.Context(), name)
	if err != nil {
		t.Fatalf("target %q: %v", name, err)
	}
	if string(got) != want {
		t.Errorf("target %q is %q, want %q", name, got, want)
	}
}

// wantErr checks that err is one of the targets.
func wantErr(t testing.TB, err error, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error is %v, want one that is %v", err, target)
	}
}

// tagsOf lists the tags of a repository.
func tagsOf(t testing.TB, repo ociremote.WritableRepository) []string {
	t.Helper()
	var all []string
	err := repo.Tags(t.Context(), "", func(tags []string) error {
		all = append(all, tags...)
		return nil
	})
	if err != nil && !errors.Is(err, ociremote.ErrNotFound) {
		t.Fatal(err)
	}
	return all
}

// wantTags checks which tags a repository has.
func wantTags(t testing.TB, repo ociremote.WritableRepository, want ...string) {
	t.Helper()
	if got := tagsOf(t, repo); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("tags are %q, want %q", got, want)
	}
}

// bundle reads what a tag names.
func bundle(t testing.TB, repo ociremote.Repository, tag string) *ociremote.Bundle {
	t.Helper()
	b, err := ociremote.FetchBundle(t.Context(), repo, tag, ociremote.Known{})
	if err != nil {
		t.Fatalf("tag %q: %v", tag, err)
	}
	return b
}

// wantFiles checks that a tag names a bundle of exactly these files.
func wantFiles(t testing.TB, repo ociremote.Repository, tag string, want map[string][]byte) {
	t.Helper()
	got := map[string][]byte{}
	for _, f := range bundle(t, repo, tag).Files {
		data, err := ociremote.FetchBlob(t.Context(), repo, f.Descriptor, 1<<20)
		if err != nil {
			t.Fatalf("%s: %v", f.Title, err)
		}
		got[f.Title] = data
	}
	for _, title := range slices.Sorted(maps.Keys(want)) {
		if data, ok := got[title]; !ok {
			t.Errorf("%s is missing", title)
		} else if !bytes.Equal(data, want[title]) {
			t.Errorf("%s has other bytes", title)
		}
		delete(got, title)
	}
	for title := range got {
		t.Errorf("%s should not be there", title)
	}
}

// writes are the requests that change a registry.
func writes(g *tuftest.Registry) []tuftest.Request {
	return slices.DeleteFunc(g.Requests(), func(r tuftest.Request) bool { return r.Method == "GET" || r.Method == "HEAD" })
}

// refuse lets a registry refuse requests whose path ends so.
func refuse(g *tuftest.Registry, suffix string) {
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, suffix) {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}
