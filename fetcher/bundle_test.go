package fetcher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

const (
	repository = "acme/trust"
	plenty     = 1 << 20 // bytes: more than any file of the tests has
)

// signed returns a repository with that many roots, a target and a delegation.
func signed(t *testing.T, roots int) *tuftest.Repo {
	t.Helper()
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{})
	repo.AddTarget("hello.txt", []byte("hello"))
	repo.Delegate("targets", "team", []string{"team/*"}, false)
	repo.AddTargetTo("team", "team/tool", []byte("tool"))
	for range roots - 1 {
		repo.RotateKey("root")
		repo.Publish()
	}
	if roots == 1 {
		repo.Publish()
	}
	return repo
}

func source(t *testing.T, g *tuftest.Registry) fetcher.Source {
	t.Helper()
	src, err := fetcher.ParseSource(g.Host() + "/" + repository)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func options(t *testing.T, o fetcher.Options) fetcher.Options {
	t.Helper()
	client, err := ociremote.NewClient(ociremote.Options{PlainHTTP: true, RegistryConfig: emptyConfig(t), Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.HTTP().CloseIdleConnections)
	o.Client = client
	return o
}

func open(t *testing.T, g *tuftest.Registry, o fetcher.Options) *fetcher.View {
	t.Helper()
	v, err := fetcher.Open(t.Context(), source(t, g), options(t, o))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// asked counts the requests to a registry by method and what they are for.
func asked(g *tuftest.Registry) (manifests, blobs int) {
	for _, r := range g.Requests() {
		switch {
		case strings.Contains(r.Path, "/manifests/"):
			manifests++
		case strings.Contains(r.Path, "/blobs/"):
			blobs++
		}
	}
	return manifests, blobs
}

// askedFor returns how often each file was asked for, by title.
func askedFor(g *tuftest.Registry, files map[string][]byte) map[string]int {
	counts := map[string]int{}
	for title, data := range files {
		for _, r := range g.Requests() {
			if strings.HasSuffix(r.Path, "/blobs/"+tuftest.Digest(data)) {
				counts[title]++
			}
		}
	}
	return counts
}

func wantAll(t *testing.T, v *fetcher.View, files map[string][]byte) {
	t.Helper()
	for title, want := range files {
		data, err := v.File(t.Context(), title, plenty)
		if err != nil || string(data) != string(want) {
			t.Errorf("%s: %d bytes, %v; want %d bytes", title, len(data), err, len(want))
		}
	}
}

// A cold start with 15 roots is one request.
func TestBundleInline(t *testing.T) {
	t.Parallel()
	repo := signed(t, 15)
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	g.Push(repository, "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{}))
	v := open(t, g, fetcher.Options{})
	wantAll(t, v, repo.Files())
	if n := len(g.Requests()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	if want := slices.Sorted(maps.Keys(repo.Files())); !slices.Equal(v.Titles(), want) {
		t.Errorf("titles %q, want %q", v.Titles(), want)
	}
	if v.Bundle().Descriptor.Digest.String() != g.Digest(repository, "tuf") || v.Unchanged() {
		t.Error("another bundle")
	}
}

// What is not inlined is read once each, however often and by however many it is
// asked for, over one connection where one is enough.
func TestBundleBlobsOnce(t *testing.T) {
	t.Parallel()
	repo := signed(t, 3)
	files := repo.Files()
	files["targets/a/copy"] = []byte("hello") // the bytes of another file
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	g.Push(repository, "tuf", tuftest.Pack(t, files, tuftest.PackOptions{NoInline: true}))
	v := open(t, g, fetcher.Options{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { wantAll(t, v, files) })
	}
	wg.Wait()
	wantAll(t, v, files)
	manifests, blobs := asked(g)
	if manifests != 1 || blobs != len(files)-1 {
		t.Errorf("%d manifests, %d blobs, want 1 and %d", manifests, blobs, len(files)-1)
	}
}

// Blobs of the local store are not asked for, unless they are damaged.
func TestBundleHave(t *testing.T) {
	t.Parallel()
	repo := signed(t, 3)
	files := repo.Files()
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	g.Push(repository, "tuf", tuftest.Pack(t, files, tuftest.PackOptions{NoInline: true}))
	damaged := repo.Title("snapshot")
	v := open(t, g, fetcher.Options{Have: func(d digest.Digest, size int64) []byte {
		for title, data := range files {
			if tuftest.Digest(data) == d.String() {
				if size != int64(len(data)) {
					t.Errorf("%s: size %d, want %d", title, size, len(data))
				}
				if title == damaged {
					return []byte(strings.Repeat("x", len(data)))
				}
				return data
			}
		}
		return nil
	}})
	wantAll(t, v, files)
	if got := askedFor(g, files); !maps.Equal(got, map[string]int{damaged: 1}) {
		t.Errorf("asked for %v, want only the damaged %s", got, damaged)
	}
}

// gate holds requests for blobs until it is opened, and counts them.
type gate struct {
	open chan struct{}

	mu      sync.Mutex
	arrived *sync.Cond
	waiting int
	most    int
}

func newGate(g *tuftest.Registry) *gate {
	gt := &gate{open: make(chan struct{})}
	gt.arrived = sync.NewCond(&gt.mu)
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			gt.enter()
			<-gt.open
			gt.leave()
		}
		next.ServeHTTP(w, r)
	})
	return gt
}

func (gt *gate) enter() {
	gt.mu.Lock()
	defer gt.mu.Unlock()
	gt.waiting++
	gt.most = max(gt.most, gt.waiting)
	gt.arrived.Broadcast()
}

func (gt *gate) leave() {
	gt.mu.Lock()
	defer gt.mu.Unlock()
	gt.waiting--
}

// wait returns when n requests are held; the test's deadline ends it otherwise.
func (gt *gate) wait(n int) {
	gt.mu.Lock()
	defer gt.mu.Unlock()
	for gt.waiting < n {
		gt.arrived.Wait()
	}
}

func (gt *gate) maximum() int {
	gt.mu.Lock()
	defer gt.mu.Unlock()
	return gt.most
}

// When a root is not inlined, all later ones are read at the same time, at most
// five ahead. Older ones, which the caller has, are not.
func TestReadAheadRoots(t *testing.T) {
	t.Parallel()
	repo := signed(t, 12)
	files := repo.Files()
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	g.Push(repository, "tuf", tuftest.Pack(t, files, tuftest.PackOptions{NoInline: true}))
	v := open(t, g, fetcher.Options{})
	gt := newGate(g)
	done := make(chan error)
	go func() {
		_, err := v.File(t.Context(), "metadata/4.root.json", plenty)
		done <- err
	}()
	gt.wait(6) // 4, and five of 5 to 12
	close(gt.open)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for n := 5; n <= 12; n++ {
		if _, err := v.File(t.Context(), fmt.Sprintf("metadata/%d.root.json", n), plenty); err != nil {
			t.Error(err)
		}
	}
	if most := gt.maximum(); most > 6 {
		t.Errorf("%d requests at the same time", most)
	}
	want := map[string]int{}
	for n := 4; n <= 12; n++ {
		want[fmt.Sprintf("metadata/%d.root.json", n)] = 1
	}
	if got := askedFor(g, files); !maps.Equal(got, want) {
		t.Errorf("asked for %v\nwant      %v", got, want)
	}
}

// With a local store, snapshot and targets that it lacks are read together with
// the timestamp; target files and delegated roles never are.
func TestReadAheadTopLevel(t *testing.T) {
	repo := signed(t, 2)
	files := repo.Files()
	timestamp, snapshot, targets := repo.Title("timestamp"), repo.Title("snapshot"), repo.Title("targets")
	for _, test := range []struct {
		name    string
		have    func(digest.Digest, int64) []byte
		request string
		want    []string
	}{
		{"empty store", func(digest.Digest, int64) []byte { return nil }, timestamp, []string{timestamp, snapshot, targets}},
		{"targets in the store", func(d digest.Digest, _ int64) []byte {
			if d.String() == tuftest.Digest(files[targets]) {
				return files[targets]
			}
			return nil
		}, timestamp, []string{timestamp, snapshot}},
		{"no store", nil, timestamp, []string{timestamp}},
		{"no store, but the snapshot is new", nil, snapshot, []string{snapshot, targets}},
		{"no such snapshot", nil, "metadata/99.snapshot.json", nil},
		{"targets", nil, targets, []string{targets}},
		{"a delegated role", nil, repo.Title("team"), []string{repo.Title("team")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := newSlowRepository(t, tuftest.Pack(t, files, tuftest.PackOptions{NoInline: true}))
				v, err := fetcher.Open(t.Context(), fetcher.FromRepository(slow, "tuf"), fetcher.Options{Have: test.have})
				if err != nil {
					t.Fatal(err)
				}
				go func() { _, _ = v.File(t.Context(), test.request, plenty) }()
				synctest.Wait()
				want := map[digest.Digest]int{}
				for _, title := range test.want {
					want[digest.FromBytes(files[title])] = 1
				}
				if got := slow.counts(); !maps.Equal(got, want) {
					t.Errorf("asked for %v, want %v", got, want)
				}
				close(slow.open)
				synctest.Wait()
			})
		})
	}
}

// slowRepository holds reads of blobs until it is opened, and counts them.
type slowRepository struct {
	ociremote.Repository
	open chan struct{}
	hang bool          // manifests never arrive
	only digest.Digest // the one read that is held; "": all are

	mu      sync.Mutex
	fetched map[digest.Digest]int
}

func newSlowRepository(t *testing.T, b *tuftest.Bundle) *slowRepository {
	t.Helper()
	return &slowRepository{Repository: memory(t, b, "tuf"), open: make(chan struct{}), fetched: map[digest.Digest]int{}}
}

func (s *slowRepository) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	s.mu.Lock()
	s.fetched[desc.Digest]++
	s.mu.Unlock()
	if s.only != "" && s.only != desc.Digest {
		return s.Repository.Fetch(ctx, desc)
	}
	select {
	case <-s.open:
		return s.Repository.Fetch(ctx, desc)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *slowRepository) FetchReference(ctx context.Context, name string) (ocispec.Descriptor, io.ReadCloser, error) {
	if s.hang {
		<-ctx.Done()
		return ocispec.Descriptor{}, nil, ctx.Err()
	}
	return s.Repository.FetchReference(ctx, name)
}

func (s *slowRepository) counts() map[digest.Digest]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.fetched)
}

func (s *slowRepository) count() int {
	n := 0
	for _, times := range s.counts() {
		n += times
	}
	return n
}

// However much is asked for, only so many files are read ahead at a time, each
// once, and none that is there already or that nobody could ask for.
func TestPrefetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := signed(t, 1).Files()
		titles := []string{"metadata/timestamp.json", "metadata/9.absent.json", "no title", "metadata/1.big.json"}
		for i := range 6 {
			title := fmt.Sprintf("metadata/1.role%d.json", i)
			files[title] = fmt.Appendf(nil, `{"role":%d}`, i)
			titles = append(titles, title)
		}
		files["metadata/1.big.json"] = make([]byte, 100_000)
		b := tuftest.Pack(t, files, tuftest.PackOptions{Inline: []string{"metadata/timestamp.json"}})
		repo := newSlowRepository(t, b)
		limits := fetcher.Limits{Concurrency: 2, Targets: 5000, Total: int64(len(b.Manifest)) + 5000}
		v, err := fetcher.Open(t.Context(), fetcher.FromRepository(repo, "tuf"), fetcher.Options{Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		v.Prefetch(t.Context(), titles...)
		v.Prefetch(t.Context(), titles...)
		synctest.Wait()
		if n := repo.count(); n != 2 {
			t.Errorf("%d reads at the same time, want 2", n)
		}
		close(repo.open)
		synctest.Wait()
		for i := range 6 {
			title := fmt.Sprintf("metadata/1.role%d.json", i)
			if data, err := v.File(t.Context(), title, 100); string(data) != string(files[title]) || err != nil {
				t.Errorf("%s: %q, %v", title, data, err)
			}
		}
		if n := repo.count(); n != 6 {
			t.Errorf("%d reads, want 6", n)
		}
	})
}

// Reading ahead ends with its context; whoever asks then reads for itself.
func TestPrefetchCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := signed(t, 1).Files()
		b := tuftest.Pack(t, files, tuftest.PackOptions{NoInline: true})
		repo := newSlowRepository(t, b)
		v, err := fetcher.Open(t.Context(), fetcher.FromRepository(repo, "tuf"), fetcher.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		v.Prefetch(ctx, v.Titles()...)
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(repo.open)
		wantAll(t, v, files)
	})
}

// An unchanged bundle costs one request without a body.
func TestKnown(t *testing.T) {
	t.Parallel()
	for _, etag := range []bool{true, false} {
		t.Run(fmt.Sprintf("etag %v", etag), func(t *testing.T) {
			t.Parallel()
			repo := signed(t, 2)
			g := tuftest.NewRegistry(t, tuftest.RegistryOptions{ETag: etag})
			g.Push(repository, "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{}))
			b := open(t, g, fetcher.Options{}).Bundle()
			known := fetcher.Options{
				Known:       ociremote.Known{Digest: b.Descriptor.Digest, ETag: b.ETag, Size: b.Descriptor.Size},
				KnownBundle: b.Manifest,
			}
			g.Reset()
			v := open(t, g, known)
			if !v.Unchanged() || v.Bundle().Descriptor.Digest != b.Descriptor.Digest || v.Bundle().ETag != b.ETag {
				t.Errorf("unchanged %v, bundle %+v", v.Unchanged(), v.Bundle().Descriptor)
			}
			requests := g.Requests()
			if len(requests) != 1 || etag && requests[0].Status != http.StatusNotModified {
				t.Errorf("%d requests, the first with status %d", len(requests), requests[0].Status)
			}
			wantAll(t, v, repo.Files())
			if len(g.Requests()) != 1 {
				t.Error("the inline layer of the known bundle was not used")
			}

			// Bytes that are not those of the digest are not used.
			damaged := known
			damaged.KnownBundle = append(slices.Clone(b.Manifest), '\n')
			if v := open(t, g, damaged); v.Unchanged() {
				t.Error("a damaged known bundle was used")
			}

			repo.Publish()
			g.Push(repository, "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{}))
			g.Reset()
			v = open(t, g, known)
			if v.Unchanged() || len(g.Requests()) != 1 {
				t.Errorf("after a change: unchanged %v, %d requests", v.Unchanged(), len(g.Requests()))
			}
			wantAll(t, v, repo.Files())
		})
	}
}

// The 404 rule: everything but a root that a bundle lacks is an error of its own.
func TestBundle404(t *testing.T) {
	t.Parallel()
	repo := signed(t, 2)
	good := tuftest.Pack(t, repo.Files(), tuftest.PackOptions{})
	for _, test := range []struct {
		name  string
		setUp func(g *tuftest.Registry)
		want  error // nil: any that is none of the others
	}{
		{"nothing there", func(*tuftest.Registry) {}, fetcher.ErrNoRepository},
		{"another tag", func(g *tuftest.Registry) { g.Push(repository, "other", good) }, fetcher.ErrNoRepository},
		{"tag deleted", func(g *tuftest.Registry) {
			g.Push(repository, "tuf", good)
			g.DeleteTag(repository, "tuf")
		}, fetcher.ErrNoRepository},
		{"401", answer(401), nil},
		{"403", answer(403), nil},
		{"400", answer(400), nil},
		{"410", answer(410), nil},
		{"429", answer(429), nil},
		{"500", answer(500), nil},
		{"503", answer(503), nil},
		{"connection cut", func(g *tuftest.Registry) {
			g.Push(repository, "tuf", good)
			g.KillAt(1, tuftest.Before)
		}, nil},
		{"answer cut in the middle", func(g *tuftest.Registry) {
			g.Push(repository, "tuf", good)
			g.KillAt(1, tuftest.Mid)
		}, nil},
		{"redirect to nowhere", answer(302), nil},
		{"a login page", func(g *tuftest.Registry) {
			g.Intercept(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = io.WriteString(w, "<html>please log in</html>")
			})
		}, nil},
		{"an empty answer", func(g *tuftest.Registry) {
			g.Intercept(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
				w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			})
		}, nil},
		{"an image", func(g *tuftest.Registry) {
			g.PutManifest(repository, "tuf", image(g))
		}, ociremote.ErrForeign},
		{"a file that the inline layer lies about", func(g *tuftest.Registry) {
			files := maps.Clone(repo.Files())
			files["metadata/2.root.json"] = []byte("{}")
			lie := tuftest.InlineLayer(t, files, []string{"metadata/2.root.json"})
			g.Push(repository, "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{InlineLayer: lie}))
		}, ociremote.ErrMalformed},
		{"a root of the middle missing", func(g *tuftest.Registry) {
			files := signed(t, 4).Files()
			delete(files, "metadata/3.root.json")
			g.Push(repository, "tuf", tuftest.Pack(t, files, tuftest.PackOptions{}))
		}, fetcher.ErrRootGap},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
			test.setUp(g)
			f := fetcher.New(t.Context(), source(t, g), options(t, fetcher.Options{}))
			_, err := f.DownloadFile(f.BaseURL()+"/3.root.json", plenty, 0)
			switch {
			case err == nil || is404(err) || errors.Is(err, fetcher.ErrFileNotFound):
				t.Errorf("%v", err)
			case test.want != nil:
				wantIs(t, err, test.want)
			case errors.Is(err, fetcher.ErrNoRepository):
				t.Errorf("%v", err)
			}
			if errors.Is(err, ociremote.ErrNotFound) {
				t.Error("the registry's own not found travels on")
			}
		})
	}

	// What a readable bundle lacks.
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	g.Push(repository, "tuf", good)
	for name, missing := range map[string]bool{
		"3.root.json": true, "300.root.json": true,
		"timestamp.json":  false, // there
		"9.snapshot.json": false, "9.targets.json": false, "9.team.json": false, "targets/none": false, "root.json": false,
	} {
		f := fetcher.New(t.Context(), source(t, g), options(t, fetcher.Options{}))
		_, err := f.DownloadFile(f.BaseURL()+"/"+name, plenty, 0)
		if is404(err) != missing {
			t.Errorf("%s: %v", name, err)
		}
		if name != "timestamp.json" && !errors.Is(err, fetcher.ErrFileNotFound) {
			t.Errorf("%s: %v, want ErrFileNotFound", name, err)
		}
	}
}

func answer(status int) func(*tuftest.Registry) {
	return func(g *tuftest.Registry) {
		g.Intercept(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(status) })
	}
}

func image(g *tuftest.Registry) []byte {
	config := []byte(`{"architecture":"amd64","os":"linux"}`)
	manifest, _ := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": map[string]any{
			"mediaType": "application/vnd.oci.image.config.v1+json", "digest": g.PutBlob(repository, config), "size": len(config),
		},
		"layers": []any{},
	})
	return manifest
}

func TestBundleNowhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, text := range []string{"oci-layout:" + dir + "/none", "oci-archive:" + dir + "/none.tar"} {
		src, err := fetcher.ParseSource(text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = fetcher.Open(t.Context(), src, options(t, fetcher.Options{}))
		wantIs(t, err, fetcher.ErrNoRepository)
	}
}

// Refused credentials are told as such.
func TestBundleAuth(t *testing.T) {
	t.Parallel()
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{Basic: true})
	g.Push(repository, "tuf", tuftest.Pack(t, signed(t, 1).Files(), tuftest.PackOptions{}))
	_, err := fetcher.Open(t.Context(), source(t, g), options(t, fetcher.Options{}))
	if auth, ok := errors.AsType[*ociremote.AuthError](err); !ok || auth.Status != http.StatusUnauthorized {
		t.Errorf("%v, want an AuthError", err)
	}
}

// Sizes are in the manifest: what is too long is not asked for.
func TestBundleTooLong(t *testing.T) {
	t.Parallel()
	repo := signed(t, 2)
	files := repo.Files()
	files["targets/big"] = make([]byte, 5000)
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	g.Push(repository, "tuf", tuftest.Pack(t, files, tuftest.PackOptions{Inline: []string{"metadata/timestamp.json"}}))
	v := open(t, g, fetcher.Options{Limits: fetcher.Limits{TargetFile: 6000, Timestamp: 100, Total: int64(len(g.Requests()))}})
	for title, max := range map[string]int64{
		"targets/big": 4999, "metadata/timestamp.json": plenty, "metadata/2.root.json": 10,
		repo.Title("snapshot"): -1, repo.Title("targets"): 10 << 30,
	} {
		wantError(t, v, title, max, fetcher.ErrLimit)
	}
	if _, blobs := asked(g); blobs != 0 {
		t.Errorf("%d blobs asked for", blobs)
	}
	if _, err := v.File(t.Context(), "targets/big", 5000); err != nil {
		t.Error(err)
	}
}

func TestBundleTotal(t *testing.T) {
	t.Parallel()
	repo := signed(t, 1)
	files := repo.Files()
	files["targets/a"], files["targets/b"] = make([]byte, 5000), make([]byte, 5001)
	b := tuftest.Pack(t, files, tuftest.PackOptions{})
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	g.Push(repository, "tuf", tuftest.Pack(t, files, tuftest.PackOptions{NoInline: true}))
	v := open(t, g, fetcher.Options{Limits: fetcher.Limits{Total: int64(len(b.Manifest)) + 6000}})
	if _, err := v.File(t.Context(), "targets/a", plenty); err != nil {
		t.Error(err)
	}
	wantError(t, v, "targets/b", plenty, fetcher.ErrLimit)
	_, err := fetcher.Open(t.Context(), source(t, g), options(t, fetcher.Options{Limits: fetcher.Limits{Total: 100}}))
	wantIs(t, err, fetcher.ErrLimit)
	_, err = fetcher.Open(t.Context(), source(t, g), options(t, fetcher.Options{Limits: fetcher.Limits{Root: -1}}))
	wantIs(t, err, fetcher.ErrLimit)
}

// A registry that drips fails soon, with an error of its own, for a manifest as
// for a blob.
func TestBundleDrip(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"/manifests/", "/blobs/"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			repo := signed(t, 1)
			g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
			g.Push(repository, "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{NoInline: true}))
			g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if strings.Contains(r.URL.Path, what) {
					w = &dripper{ResponseWriter: w, ctx: r.Context()}
				}
				next.ServeHTTP(w, r)
			})
			limits := fetcher.Limits{MinThroughput: 1000, StallWindow: 50 * time.Millisecond}
			v, err := fetcher.Open(t.Context(), source(t, g), options(t, fetcher.Options{Limits: limits}))
			if err == nil {
				_, err = v.File(t.Context(), "metadata/timestamp.json", plenty)
			}
			wantIs(t, err, fetcher.ErrTooSlow)
			if errors.Is(err, fetcher.ErrFileNotFound) || errors.Is(err, fetcher.ErrNoRepository) {
				t.Error(err)
			}
		})
	}
}

// dripper sends a byte every 20 ms.
type dripper struct {
	http.ResponseWriter
	ctx context.Context
}

func (d *dripper) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.ResponseWriter.Write(p[i : i+1]); err != nil {
			return i, err
		}
		_ = http.NewResponseController(d.ResponseWriter).Flush()
		select {
		case <-time.After(20 * time.Millisecond):
		case <-d.ctx.Done():
			return i, d.ctx.Err()
		}
	}
	return len(p), nil
}

// A registry that does not answer at all ends with the operation, or with the
// caller's own context.
func TestBundleHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := newSlowRepository(t, tuftest.Pack(t, signed(t, 1).Files(), tuftest.PackOptions{NoInline: true}))
		src := fetcher.FromRepository(slow, "tuf")
		o := fetcher.Options{Limits: fetcher.Limits{Operation: time.Minute}}
		start := time.Now()
		v, err := fetcher.Open(t.Context(), src, o)
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, v, "metadata/timestamp.json", plenty, fetcher.ErrTimeout)
		slow.hang = true
		_, err = fetcher.Open(t.Context(), src, o)
		wantIs(t, err, fetcher.ErrTimeout)
		if took := time.Since(start); took != 2*time.Minute {
			t.Errorf("took %v, want a minute each", took)
		}

		slow.hang = false
		if v, err = fetcher.Open(t.Context(), src, o); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = v.File(ctx, "metadata/timestamp.json", plenty)
		wantIs(t, err, context.DeadlineExceeded)
		if errors.Is(err, fetcher.ErrTimeout) {
			t.Errorf("the caller's own deadline became %v", err)
		}
	})
}

// A blob of other bytes is damage, not a lost blob.
func TestBundleDamagedBlob(t *testing.T) {
	t.Parallel()
	repo := signed(t, 1)
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	g.Push(repository, "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{NoInline: true}))
	v := open(t, g, fetcher.Options{})
	size := len(repo.Data("timestamp"))
	g.Intercept(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		_, _ = w.Write(make([]byte, size))
	})
	_, err := v.File(t.Context(), "metadata/timestamp.json", plenty)
	wantIs(t, err, ociremote.ErrMalformed)
	if manifests, _ := asked(g); manifests != 1 || errors.Is(err, fetcher.ErrLostBlob) {
		t.Errorf("%d manifests, %v", manifests, err)
	}
}
