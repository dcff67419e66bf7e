package trust_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

const channel = "tuf"

// world is a signed repository, where it is published, and a consumer of it.
type world struct {
	*tuftest.Repo
	t     testing.TB
	at    *counted
	state string
	cache string
	now   time.Time
	// place, if not nil, holds what is put out, and at is not used.
	place *tuftest.Place
	// edit changes what is put out by publish, nil for nothing.
	edit func(files map[string][]byte)
	pack tuftest.PackOptions
}

func newWorld(t testing.TB, o tuftest.RepoOptions) *world {
	t.Helper()
	w := &world{
		Repo: tuftest.NewRepo(t, o), t: t, now: tuftest.Epoch.Add(time.Hour),
		at: &counted{WritableRepository: ociremote.NewMemory()}, state: t.TempDir(), cache: t.TempDir(),
	}
	w.out()
	return w
}

// newWorldIn is newWorld with a source of one kind.
func newWorldIn(t testing.TB, kind tuftest.Kind, o tuftest.RepoOptions) *world {
	t.Helper()
	w := &world{
		Repo: tuftest.NewRepo(t, o), t: t, now: tuftest.Epoch.Add(time.Hour),
		place: tuftest.NewPlace(t, kind), state: t.TempDir(), cache: t.TempDir(),
	}
	w.out()
	return w
}

// publish writes the next version and puts it out.
func (w *world) publish() {
	w.t.Helper()
	w.Publish()
	w.out()
}

// out puts out what the repository has published.
func (w *world) out() {
	w.t.Helper()
	files := w.Files()
	if w.edit != nil {
		w.edit(files)
	}
	w.put(files)
}

func (w *world) put(files map[string][]byte) {
	w.t.Helper()
	if w.place != nil {
		w.place.Put(files, w.pack)
		return
	}
	put(w.t, w.at.WritableRepository, files, w.pack)
}

func put(t testing.TB, to ociremote.WritableRepository, files map[string][]byte, o tuftest.PackOptions) {
	t.Helper()
	bundle := tuftest.Pack(t, files, o)
	for d, data := range bundle.Blobs {
		desc := ocispec.Descriptor{MediaType: "application/octet-stream", Digest: digest.Digest(d), Size: int64(len(data))}
		if err := to.Push(t.Context(), desc, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(bundle.Digest), Size: int64(len(bundle.Manifest))}
	if err := to.PushReference(t.Context(), desc, bytes.NewReader(bundle.Manifest), channel); err != nil {
		t.Fatal(err)
	}
}

func (w *world) source() trust.Source {
	w.t.Helper()
	if w.place == nil {
		return trust.RepositorySource(w.at, channel)
	}
	source, err := trust.ParseSource(w.place.Source())
	if err != nil {
		w.t.Fatal(err)
	}
	return source
}

// client makes a new client on the state directory, pinned to root 1.
func (w *world) client(edits ...func(*trust.Options)) *trust.Client {
	w.t.Helper()
	return w.clientOf(w.RootBytes(), edits...)
}

func (w *world) clientOf(root []byte, edits ...func(*trust.Options)) *trust.Client {
	w.t.Helper()
	o := trust.Options{Source: w.source(), StateDir: w.state, CacheDir: w.cache, Now: func() time.Time { return w.now }}
	for _, edit := range edits {
		edit(&o)
	}
	c, err := trust.New(root, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// refresh refreshes with a new client, as a new process would.
func (w *world) refresh(edits ...func(*trust.Options)) (*trust.View, error) {
	w.t.Helper()
	return w.client(edits...).Refresh(w.t.Context())
}

func (w *world) mustRefresh(edits ...func(*trust.Options)) *trust.View {
	w.t.Helper()
	view, err := w.refresh(edits...)
	if err != nil {
		w.t.Fatal(err)
	}
	return view
}

// stateFiles is the state as it lies on disk.
func (w *world) stateFiles() map[string]string {
	w.t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(w.state, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "lock" {
			return err
		}
		data, err := os.ReadFile(name)
		short, _ := filepath.Rel(w.state, name)
		_, short, _ = strings.Cut(filepath.ToSlash(short), "/")
		files[short] = string(data)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return files
}

// stateFile is the path of one file of the state.
func (w *world) stateFile(name string) string {
	return filepath.Join(w.state, w.client().RootSHA256(), filepath.FromSlash(name))
}

func (w *world) writeState(name string, data []byte) {
	w.t.Helper()
	if err := os.WriteFile(w.stateFile(name), data, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// sameState fails the test if the state is not what it was.
func (w *world) sameState(before map[string]string) {
	w.t.Helper()
	after := w.stateFiles()
	for _, name := range []string{"source.json", "bundle.json"} {
		delete(before, name)
		delete(after, name)
	}
	if !maps.Equal(before, after) {
		w.t.Errorf("the state has changed: files %v, before %v", sorted(after), sorted(before))
	}
}

// refused fails the test unless err is of that kind, and returns its evidence.
func refused(t testing.TB, err, kind error) *trust.VerificationError {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error %v, want %q", err, kind)
	}
	v, ok := errors.AsType[*trust.VerificationError](err)
	if !ok {
		t.Fatalf("error %v has no evidence", err)
	}
	return v
}

func sorted[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	return names
}

// counted is a repository that counts what is asked of it and can fail.
type counted struct {
	ociremote.WritableRepository
	mu        sync.Mutex
	manifests int
	blobs     []digest.Digest
	before    func() // each manifest request
	fail      error  // of each manifest request
}

func (c *counted) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.manifests, c.blobs = 0, nil
}

// requests is the number of all requests since the last reset.
func (c *counted) requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.manifests + len(c.blobs)
}

func (c *counted) count() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.manifests++
	if c.before != nil {
		c.before()
	}
	return c.fail
}

func (c *counted) Resolve(ctx context.Context, name string) (ocispec.Descriptor, error) {
	if err := c.count(); err != nil {
		return ocispec.Descriptor{}, err
	}
	return c.WritableRepository.Resolve(ctx, name)
}

func (c *counted) FetchReference(ctx context.Context, name string) (ocispec.Descriptor, io.ReadCloser, error) {
	if err := c.count(); err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	return c.WritableRepository.FetchReference(ctx, name)
}

func (c *counted) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	c.mu.Lock()
	c.blobs = append(c.blobs, desc.Digest)
	c.mu.Unlock()
	return c.WritableRepository.Fetch(ctx, desc)
}

// dirSource writes files as a classic repository and returns its source.
func dirSource(t testing.TB, files map[string][]byte) trust.Source {
	t.Helper()
	dir := t.TempDir()
	for title, data := range files {
		name := filepath.Join(dir, filepath.FromSlash(title))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	src, err := fetcher.ParseSource("file://" + dir)
	if err != nil {
		t.Fatal(err)
	}
	return src
}
