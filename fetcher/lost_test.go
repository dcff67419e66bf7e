package fetcher_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

// lossy is a registry whose bundle is not inlined.
type lossy struct {
	*tuftest.Registry
	repo *tuftest.Repo
}

func newLossy(t *testing.T) *lossy {
	t.Helper()
	l := &lossy{tuftest.NewRegistry(t, tuftest.RegistryOptions{ETag: true}), signed(t, 2)}
	l.push(t, l.repo.Files())
	return l
}

func (l *lossy) push(t *testing.T, files map[string][]byte) {
	t.Helper()
	l.Push(repository, "tuf", tuftest.Pack(t, files, tuftest.PackOptions{NoInline: true}))
}

func (l *lossy) lose(data []byte) { l.DeleteBlob(repository, tuftest.Digest(data)) }

// replace publishes a new version and loses what only the old one had.
func (l *lossy) replace(t *testing.T) {
	t.Helper()
	old := l.repo.Files()
	l.repo.Publish()
	l.push(t, l.repo.Files())
	for title, data := range old {
		if string(l.repo.Files()[title]) != string(data) {
			l.lose(data)
		}
	}
}

// The tag has not moved: one more resolution, then an error.
func TestLostBlob(t *testing.T) {
	t.Parallel()
	l := newLossy(t)
	v := open(t, l.Registry, fetcher.Options{})
	l.lose(l.repo.Data("snapshot"))
	_, err := v.File(t.Context(), l.repo.Title("snapshot"), plenty)
	wantIs(t, err, fetcher.ErrLostBlob)
	if errors.Is(err, fetcher.ErrFileNotFound) || errors.Is(err, fetcher.ErrMoved) || errors.Is(err, ociremote.ErrBlobNotFound) {
		t.Errorf("also %v", err)
	}
	if manifests, _ := asked(l.Registry); manifests != 2 {
		t.Errorf("the tag was resolved %d times, want 2", manifests)
	}
	known := slices.ContainsFunc(l.Requests(), func(r tuftest.Request) bool { return r.Status == http.StatusNotModified })
	if !known {
		t.Error("the second resolution did not say which bundle is known")
	}
	// Whoever asks again later may be lucky.
	l.PutBlob(repository, l.repo.Data("snapshot"))
	if _, err := v.File(t.Context(), l.repo.Title("snapshot"), plenty); err != nil {
		t.Errorf("after the blob came back: %v", err)
	}
}

// For go-tuf it is no 404, whichever file is lost.
func TestLostBlobIsNot404(t *testing.T) {
	t.Parallel()
	l := newLossy(t)
	l.lose(l.repo.Data("root"))
	f := fetcher.New(t.Context(), source(t, l.Registry), options(t, fetcher.Options{}))
	_, err := f.DownloadFile(f.BaseURL()+"/2.root.json", plenty, 0)
	wantIs(t, err, fetcher.ErrLostBlob)
	if is404(err) {
		t.Error("404")
	}
}

func TestLostBlobTagGone(t *testing.T) {
	t.Parallel()
	l := newLossy(t)
	v := open(t, l.Registry, fetcher.Options{})
	l.lose(l.repo.Data("snapshot"))
	l.DeleteTag(repository, "tuf")
	_, err := v.File(t.Context(), l.repo.Title("snapshot"), plenty)
	wantIs(t, err, fetcher.ErrLostBlob)
	if errors.Is(err, ociremote.ErrNotFound) || errors.Is(err, fetcher.ErrNoRepository) {
		t.Error(err)
	}
}

func TestLostBlobResolutionFails(t *testing.T) {
	t.Parallel()
	l := newLossy(t)
	v := open(t, l.Registry, fetcher.Options{})
	l.lose(l.repo.Data("snapshot"))
	l.PutManifest(repository, "tuf", image(l.Registry))
	_, err := v.File(t.Context(), l.repo.Title("snapshot"), plenty)
	wantIs(t, err, ociremote.ErrForeign)
}

// A digest does not move: nothing is resolved again.
func TestLostBlobOfDigest(t *testing.T) {
	t.Parallel()
	l := newLossy(t)
	src, err := fetcher.ParseSource(l.Host() + "/" + repository + "@" + l.Digest(repository, "tuf"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := fetcher.Open(t.Context(), src, options(t, fetcher.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	l.replace(t)
	l.Reset()
	_, err = v.File(t.Context(), "metadata/timestamp.json", plenty)
	wantIs(t, err, fetcher.ErrLostBlob)
	if manifests, _ := asked(l.Registry); manifests != 0 {
		t.Errorf("%d manifests asked for", manifests)
	}
}

// The tag moved before anything but roots was handed out: the view goes on with
// the new bundle, and says so.
func TestLostBlobStartOver(t *testing.T) {
	t.Parallel()
	l := newLossy(t)
	var warnings []string
	v := open(t, l.Registry, fetcher.Options{Warn: func(s string) { warnings = append(warnings, s) }})
	if _, err := v.File(t.Context(), "metadata/2.root.json", plenty); err != nil {
		t.Fatal(err)
	}
	if _, err := v.File(t.Context(), "metadata/3.root.json", plenty); !errors.Is(err, fetcher.ErrFileNotFound) {
		t.Fatal(err)
	}
	// What was not handed out does not count.
	next := fmt.Sprintf("metadata/%d.snapshot.json", l.repo.Version("snapshot")+1)
	wantError(t, v, next, plenty, fetcher.ErrFileNotFound)
	wantError(t, v, "metadata/timestamp.json", 10, fetcher.ErrLimit)
	answer(http.StatusBadRequest)(l.Registry)
	if _, err := v.File(t.Context(), "metadata/timestamp.json", plenty); err == nil {
		t.Fatal("no error")
	}
	l.Intercept(nil)
	l.replace(t)
	if _, err := v.File(t.Context(), "metadata/timestamp.json", plenty); err != nil {
		t.Fatal(err)
	}
	wantAll(t, v, l.repo.Files())
	if d := v.Bundle().Descriptor.Digest.String(); d != l.Digest(repository, "tuf") || v.Unchanged() || len(warnings) != 1 {
		t.Errorf("bundle %s, unchanged %v, warnings %q", d, v.Unchanged(), warnings)
	}
}

// The second lost blob of a view is the end, even if the tag has moved again.
func TestLostBlobTwice(t *testing.T) {
	t.Parallel()
	l := newLossy(t)
	v := open(t, l.Registry, fetcher.Options{})
	l.replace(t)
	if _, err := v.File(t.Context(), "metadata/timestamp.json", plenty); err != nil {
		t.Fatal(err)
	}
	snapshot := l.repo.Title("snapshot")
	l.replace(t)
	l.Reset()
	_, err := v.File(t.Context(), snapshot, plenty)
	wantIs(t, err, fetcher.ErrLostBlob)
	if manifests, _ := asked(l.Registry); manifests != 0 {
		t.Error("resolved the tag a third time")
	}
}

// What was handed out does not fit the new bundle: the refresh has to begin
// again, and can at once, with the second chance used up.
func TestLostBlobMoved(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before string // asked for first
		change func(t *testing.T, l *lossy)
	}{
		"after the timestamp":              {"metadata/timestamp.json", func(t *testing.T, l *lossy) { l.replace(t) }},
		"after a root was reported absent": {"metadata/3.root.json", func(t *testing.T, l *lossy) { l.repo.RotateKey("root"); l.replace(t) }},
		"after a root that is another now": {"metadata/2.root.json", func(t *testing.T, l *lossy) {
			l.repo.Forge("root", func(signed map[string]any) { signed["x"] = "other" })
			l.replace(t)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLossy(t)
			v := open(t, l.Registry, fetcher.Options{})
			if _, err := v.File(t.Context(), test.before, plenty); err != nil && !errors.Is(err, fetcher.ErrFileNotFound) {
				t.Fatal(err)
			}
			snapshot, old := l.repo.Title("snapshot"), v.Bundle().Descriptor.Digest
			test.change(t, l)
			_, err := v.File(t.Context(), snapshot, plenty)
			wantIs(t, err, fetcher.ErrMoved)
			moved, ok := errors.AsType[*fetcher.MovedError](err)
			if !ok || moved.From != old || moved.To.String() != l.Digest(repository, "tuf") || moved.Title != snapshot {
				t.Fatalf("%+v", moved)
			}
			if v.Bundle().Descriptor.Digest != old {
				t.Error("the view changed its bundle nevertheless")
			}
			// Asked again, the view says the same, without another request.
			l.Reset()
			_, err = v.File(t.Context(), snapshot, plenty)
			wantIs(t, err, fetcher.ErrMoved)
			if manifests, _ := asked(l.Registry); manifests != 0 {
				t.Errorf("%d more resolutions", manifests)
			}
			if _, err := moved.View.File(t.Context(), "metadata/timestamp.json", plenty); err != nil {
				t.Error(err)
			}
			if manifests, _ := asked(l.Registry); manifests != 0 {
				t.Errorf("the new view resolved the tag %d times", manifests)
			}
			if moved.View.Source() != v.Source() || moved.View.Bundle().Descriptor.Digest != moved.To {
				t.Error("another source or bundle")
			}
			snapshot = l.repo.Title("snapshot")
			l.replace(t)
			_, err = moved.View.File(t.Context(), snapshot, plenty)
			wantIs(t, err, fetcher.ErrLostBlob)
		})
	}
}

// A bundle with the same timestamp, packed anew, may be read on.
func TestLostBlobSameTimestamp(t *testing.T) {
	t.Parallel()
	l := newLossy(t)
	v := open(t, l.Registry, fetcher.Options{})
	if _, err := v.File(t.Context(), "metadata/timestamp.json", plenty); err != nil {
		t.Fatal(err)
	}
	files := maps.Clone(l.repo.Files())
	files["targets/more"] = []byte("more")
	l.push(t, files)
	l.lose(l.repo.Data("snapshot"))
	l.Push(repository, "tuf", tuftest.Pack(t, files, tuftest.PackOptions{})) // the snapshot is inlined now
	l.lose(l.repo.Data("snapshot"))
	if _, err := v.File(t.Context(), l.repo.Title("snapshot"), plenty); err != nil {
		t.Fatal(err)
	}
	wantAll(t, v, files)
}

// Several readers that lose their files at the same time start over once.
func TestLostBlobConcurrently(t *testing.T) {
	t.Parallel()
	l := newLossy(t)
	v := open(t, l.Registry, fetcher.Options{})
	l.replace(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { wantAll(t, v, map[string][]byte{"metadata/timestamp.json": l.repo.Data("timestamp")}) })
	}
	wg.Wait()
	if manifests, _ := asked(l.Registry); manifests != 2 {
		t.Errorf("the tag was resolved %d times, want 2", manifests)
	}
}

// A file of the old bundle that arrives once the view reads another one is not handed
// out beside the files of that.
func TestLateFileOfTheOldBundle(t *testing.T) {
	t.Parallel()
	l := newLossy(t)
	title, late := l.repo.Title("snapshot"), "/blobs/"+tuftest.Digest(l.repo.Data("snapshot"))
	asked, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	l.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !strings.HasSuffix(r.URL.Path, late) {
			next.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		once.Do(func() { close(asked) })
		<-release
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
	v := open(t, l.Registry, fetcher.Options{})
	got := make(chan error)
	go func() {
		_, err := v.File(t.Context(), title, plenty)
		got <- err
	}()
	<-asked
	l.replace(t)
	_, err := v.File(t.Context(), "metadata/timestamp.json", plenty)
	close(release)
	if err != nil {
		t.Error(err)
	}
	wantIs(t, <-got, fetcher.ErrFileNotFound)
}

// The manifest that is read when the view starts over counts in what it may read.
func TestSecondManifestCounts(t *testing.T) {
	t.Parallel()
	l := newLossy(t)
	first := int64(len(tuftest.Pack(t, l.repo.Files(), tuftest.PackOptions{NoInline: true}).Manifest))
	old := int64(len(l.repo.Data("timestamp")))
	v := open(t, l.Registry, fetcher.Options{Limits: fetcher.Limits{Total: first + 2*old + 100}})
	l.replace(t)
	_, err := v.File(t.Context(), "metadata/timestamp.json", plenty)
	wantIs(t, err, fetcher.ErrLimit)
}
