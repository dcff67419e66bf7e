package fetcher_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

// goTUF is an ordinary go-tuf program, except for the fetcher and the clock.
type goTUF struct {
	dir     string
	root    []byte
	fetcher *fetcher.Fetcher
}

func (g *goTUF) updater(t *testing.T) *updater.Updater {
	t.Helper()
	cfg, err := config.New("https://unused.example", g.root)
	if err != nil {
		t.Fatal(err)
	}
	cfg.LocalMetadataDir = filepath.Join(g.dir, "metadata")
	cfg.LocalTargetsDir = filepath.Join(g.dir, "targets")
	g.fetcher.Configure(cfg)
	up, err := updater.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	up.UnsafeSetRefTime(tuftest.Epoch)
	return up
}

func getTarget(t *testing.T, up *updater.Updater, name string) (string, error) {
	t.Helper()
	info, err := up.GetTargetInfo(name)
	if err != nil {
		return "", err
	}
	_, data, err := up.DownloadTarget(info, "", "")
	return string(data), err
}

// places writes a repository to every kind of source.
func places(t *testing.T, files map[string][]byte) map[string]fetcher.Source {
	t.Helper()
	b := tuftest.Pack(t, files, tuftest.PackOptions{})
	bare := tuftest.Pack(t, files, tuftest.PackOptions{NoInline: true})
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	g.Push(repository, "tuf", b)
	g.Push(repository, "bare", bare)
	split, layout := t.TempDir(), t.TempDir()
	writeFiles(t, split, files)
	writeFiles(t, layout, layoutFiles(t, b, "tuf"))
	flat := map[string][]byte{}
	for title, data := range files {
		flat[strings.TrimPrefix(title, "metadata/")] = data
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// As a server of objects does it: the path as it was sent is the name.
		data, ok := flat[strings.TrimPrefix(r.URL.EscapedPath(), "/tuf/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(web.Close)

	sources := map[string]fetcher.Source{"memory": fetcher.FromRepository(memory(t, b, "tuf"), "tuf")}
	for name, text := range map[string]string{
		"registry": g.Host() + "/" + repository,
		"bare":     g.Host() + "/" + repository + ":bare",
		"digest":   g.Host() + "/" + repository + "@" + b.Digest,
		"layout":   "oci-layout:" + layout,
		"archive":  "oci-archive:" + archiveOf(t, layout),
		"http":     web.URL + "/tuf",
		"dir":      "file://" + split,
	} {
		src, err := fetcher.ParseSource(text)
		if err != nil {
			t.Fatal(err)
		}
		sources[name] = src
	}
	return sources
}

// layoutFiles are the files of an OCI layout directory that holds a bundle.
func layoutFiles(t *testing.T, b *tuftest.Bundle, tag string) map[string][]byte {
	t.Helper()
	index, err := json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{{
			MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(b.Digest), Size: int64(len(b.Manifest)),
			Annotations: map[string]string{ocispec.AnnotationRefName: tag},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`), "index.json": index}
	blob := func(d string, data []byte) { files["blobs/"+strings.Replace(d, ":", "/", 1)] = data }
	blob(b.Digest, b.Manifest)
	for d, data := range b.Blobs {
		blob(d, data)
	}
	return files
}

func archiveOf(t *testing.T, dir string) string {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bundle.tar")
	writeFiles(t, "", map[string][]byte{file: buf.Bytes()})
	return file
}

func memory(t *testing.T, b *tuftest.Bundle, tag string) ociremote.WritableRepository {
	t.Helper()
	repo := ociremote.NewMemory()
	push(t, repo, b, tag)
	return repo
}

func push(t *testing.T, repo ociremote.WritableRepository, b *tuftest.Bundle, tag string) {
	t.Helper()
	for d, data := range b.Blobs {
		desc := ocispec.Descriptor{MediaType: "application/octet-stream", Digest: digest.Digest(d), Size: int64(len(data))}
		if err := repo.Push(t.Context(), desc, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(b.Digest), Size: int64(len(b.Manifest))}
	if err := repo.PushReference(t.Context(), desc, bytes.NewReader(b.Manifest), tag); err != nil {
		t.Fatal(err)
	}
}

// go-tuf gets the same from every kind of source, with and without consistent
// snapshots, and with odd names of roles.
func TestGoTUF(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{false, true} {
		repo := tuftest.NewRepo(t, tuftest.RepoOptions{NonConsistent: plain})
		repo.AddTarget("hello.txt", []byte("hello"))
		repo.AddTarget("dir/sub/empty", []byte{})
		for i, role := range []string{"a/b", "../evil", "?", "#x y", "ünïcode", "5.role"} {
			dir := fmt.Sprintf("role%d/", i)
			repo.Delegate("targets", role, []string{dir + "*"}, false)
			repo.AddTargetTo(role, dir+"file", []byte(role))
		}
		repo.RotateKey("root")
		repo.Publish()
		repo.RotateKey("timestamp")
		repo.Publish()
		for name, src := range places(t, repo.Files()) {
			t.Run(fmt.Sprintf("%s, consistent %v", name, !plain), func(t *testing.T) {
				t.Parallel()
				f := fetcher.New(t.Context(), src, options(t, fetcher.Options{}))
				if f.View() != nil {
					t.Error("a view before the first request")
				}
				client := &goTUF{dir: t.TempDir(), root: repo.RootBytes(), fetcher: f}
				up := client.updater(t)
				if err := up.Refresh(); err != nil {
					t.Fatal(err)
				}
				if v := up.GetTrustedMetadataSet().Root.Signed.Version; v != 3 {
					t.Errorf("root version %d", v)
				}
				wants := map[string]string{"hello.txt": "hello", "dir/sub/empty": ""}
				for i, role := range []string{"a/b", "../evil", "?", "#x y", "ünïcode", "5.role"} {
					wants[fmt.Sprintf("role%d/file", i)] = role
				}
				for target, want := range wants {
					if got, err := getTarget(t, up, target); got != want || err != nil {
						t.Errorf("%s: %q, %v", target, got, err)
					}
				}
				if f.View().Source() != src {
					t.Error("another source")
				}
			})
		}
	}
}

// A refresh over a bundle is one request. A fetcher that is kept resolves the tag
// again for each refresh, and reads no blob a second time.
func TestFetcherKept(t *testing.T) {
	t.Parallel()
	repo := signed(t, 2)
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{ETag: true})
	g.Push(repository, "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{Inline: []string{"metadata/timestamp.json"}}))
	client := &goTUF{dir: t.TempDir(), root: repo.RootBytes()}
	client.fetcher = fetcher.New(t.Context(), source(t, g), options(t, fetcher.Options{}))
	for i, want := range []struct {
		publish          bool
		manifests, blobs int
		unchanged        bool
	}{
		{false, 1, 4, false}, // root 2, snapshot, targets, the target
		{false, 1, 0, true},
		{true, 1, 2, false}, // a new snapshot, new targets
		{false, 1, 0, true},
	} {
		if want.publish {
			repo.AddTarget("more.txt", []byte("hello"))
			repo.Publish()
			g.Push(repository, "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{Inline: []string{"metadata/timestamp.json"}}))
		}
		g.Reset()
		up := client.updater(t)
		if err := up.Refresh(); err != nil {
			t.Fatal(err)
		}
		if got, err := getTarget(t, up, "hello.txt"); got != "hello" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if v := up.GetTrustedMetadataSet().Timestamp.Signed.Version; v != repo.Version("timestamp") {
			t.Errorf("refresh %d: timestamp version %d, published is %d", i, v, repo.Version("timestamp"))
		}
		manifests, blobs := asked(g)
		if manifests != want.manifests || blobs != want.blobs || client.fetcher.View().Unchanged() != want.unchanged {
			t.Errorf("refresh %d: %d manifests, %d blobs, unchanged %v; want %+v", i, manifests, blobs, client.fetcher.View().Unchanged(), want)
		}
	}
}

// What begins a refresh, and so a resolution of the tag.
func TestFetcherResolutions(t *testing.T) {
	t.Parallel()
	repo := signed(t, 4)
	files := repo.Files()
	files["targets/lost"] = []byte("lost")
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	g.Push(repository, "tuf", tuftest.Pack(t, files, tuftest.PackOptions{Inline: []string{
		"metadata/1.root.json", "metadata/2.root.json", "metadata/3.root.json", "metadata/4.root.json", "metadata/timestamp.json",
	}}))
	g.DeleteBlob(repository, tuftest.Digest([]byte("lost")))
	f := fetcher.New(t.Context(), source(t, g), options(t, fetcher.Options{}))
	for _, step := range []struct {
		name string
		want int // resolutions
	}{
		{"2.root.json", 1},
		{"4.root.json", 0},
		{"5.root.json", 0}, // absent: the search ends
		{"timestamp.json", 0},
		{"timestamp.json", 0},
		{"targets/none", 0},
		{"5.root.json", 1}, // the refresh had ended
		{"5.root.json", 1}, // not later than the one before
		{"6.root.json", 0},
		{"4.root.json", 1},
		{"9.targets.json", 0}, // fails
		{"5.root.json", 1},
		{"targets/lost", 1}, // the second chance of a lost blob
		{"6.root.json", 1},
	} {
		g.Reset()
		_, _ = f.DownloadFile(f.BaseURL()+"/"+step.name, plenty, 0)
		if manifests, _ := asked(g); manifests != step.want {
			t.Errorf("%s: %d resolutions, want %d", step.name, manifests, step.want)
		}
	}
}

// After the bundle moved under a refresh, the next refresh succeeds.
func TestFetcherMoved(t *testing.T) {
	t.Parallel()
	l := newLossy(t)
	client := &goTUF{dir: t.TempDir(), root: l.repo.RootBytes()}
	client.fetcher = fetcher.New(t.Context(), source(t, l.Registry), options(t, fetcher.Options{}))
	snapshot := tuftest.Digest(l.repo.Data("snapshot"))
	var once sync.Once
	l.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, snapshot) {
			once.Do(func() { l.replace(t) })
		}
		next.ServeHTTP(w, r)
	})
	err := client.updater(t).Refresh()
	wantIs(t, err, fetcher.ErrMoved)
	wantIs(t, err, &tuf.ErrDownload{})
	if is404(err) {
		t.Error("404")
	}
	up := client.updater(t)
	if err := up.Refresh(); err != nil {
		t.Fatal(err)
	}
	if v := up.GetTrustedMetadataSet().Timestamp.Signed.Version; v != l.repo.Version("timestamp") {
		t.Errorf("timestamp version %d, published is %d", v, l.repo.Version("timestamp"))
	}
}

// A URL that names no file is refused before anything is asked.
func TestFetcherBadURL(t *testing.T) {
	t.Parallel()
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	f := fetcher.New(t.Context(), source(t, g), options(t, fetcher.Options{}))
	for _, name := range []string{"", "targets/", "targets/../x", "a/b.json", "..", "x\n.json"} {
		_, err := f.DownloadFile(f.BaseURL()+"/"+name, plenty, 0)
		wantIs(t, err, fetcher.ErrInvalidName)
	}
	if n := len(g.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// go-tuf's fetcher has no context: the one of New ends all requests.
func TestFetcherContext(t *testing.T) {
	t.Parallel()
	repo := signed(t, 1)
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	g.Push(repository, "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := fetcher.New(ctx, source(t, g), options(t, fetcher.Options{}))
	_, err := f.DownloadFile(f.BaseURL()+"/2.root.json", plenty, 0)
	if !errors.Is(err, context.Canceled) || is404(err) {
		t.Error(err)
	}
}

func TestFetcherURLs(t *testing.T) {
	t.Parallel()
	memory := fetcher.FromRepository(nil, "tuf")
	registry, err := fetcher.ParseSource("127.0.0.1:5000/acme/trust:prod")
	if err != nil {
		t.Fatal(err)
	}
	web, err := fetcher.ParseSource("https://tuf.example/repo")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		src  fetcher.Source
		base string
		want string
	}{
		{memory, "", "tufoci://memory"},
		{registry, "", "oci://127.0.0.1:5000/acme/trust"},
		{web, "", "https://tuf.example/repo"},
		{registry, "https://tuf-repo-cdn.sigstore.dev/", "https://tuf-repo-cdn.sigstore.dev"},
	} {
		f := fetcher.New(t.Context(), test.src, fetcher.Options{BaseURL: test.base})
		cfg, err := config.New(f.BaseURL(), []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if cfg.RemoteTargetsURL != test.want+"/targets" {
			t.Errorf("config.New makes %q of %q", cfg.RemoteTargetsURL, f.BaseURL())
		}
		f.Configure(cfg)
		if cfg.Fetcher != f || cfg.RemoteMetadataURL != test.want || cfg.RemoteTargetsURL != test.want+"/targets" {
			t.Errorf("%+v", cfg)
		}
	}
}
