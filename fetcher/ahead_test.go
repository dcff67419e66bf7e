package fetcher_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
)

// A source that lists very many large roots, and sends the one that is asked for
// slowly, makes nobody hold all others: 4 MiB are read ahead, in the order of their
// versions, and more as they are asked for, each once.
func TestReadAheadIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, roots = 512 << 10, 20
		files := signed(t, 1).Files()
		name := func(version int) string { return fmt.Sprintf("metadata/%d.root.json", version) }
		for version := 2; version <= roots+1; version++ {
			data := make([]byte, size)
			data[0] = byte(version)
			files[name(version)] = data
		}
		repo := newSlowRepository(t, tuftest.Pack(t, files, tuftest.PackOptions{NoInline: true}))
		repo.only = digest.FromBytes(files[name(2)])
		v, err := fetcher.Open(t.Context(), fetcher.FromRepository(repo, "tuf"), fetcher.Options{})
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = v.File(t.Context(), name(2), plenty) }()
		synctest.Wait()
		read := repo.counts()
		for version := 2; version <= roots+1; version++ {
			want := 0
			if version <= 2+(4<<20)/size {
				want = 1
			}
			if n := read[digest.FromBytes(files[name(version)])]; n != want {
				t.Errorf("root v%d was read %d times, want %d", version, n, want)
			}
		}
		close(repo.open)
		for version := 2; version <= roots+1; version++ {
			wantFileOf(t, v, name(version), size)
			synctest.Wait()
			if ahead, want := repo.count()-version+1, min((4<<20)/size, roots+1-version); ahead != want {
				t.Errorf("%d roots beyond v%d were read, want %d", ahead, version, want)
			}
		}
		if n := repo.count(); n != roots {
			t.Errorf("%d reads, want %d", n, roots)
		}
	})
}

// A file that alone is larger is read when it is asked for, and nothing waits for it.
func TestReadAheadLeavesOutLargeFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := signed(t, 1).Files()
		files["metadata/1.large.json"] = make([]byte, 4<<20+1)
		repo := newSlowRepository(t, tuftest.Pack(t, files, tuftest.PackOptions{NoInline: true}))
		close(repo.open)
		v, err := fetcher.Open(t.Context(), fetcher.FromRepository(repo, "tuf"), fetcher.Options{})
		if err != nil {
			t.Fatal(err)
		}
		v.Prefetch(t.Context(), "metadata/1.large.json", "metadata/1.root.json")
		synctest.Wait()
		if n := repo.count(); n != 1 {
			t.Errorf("%d reads, want that of the root", n)
		}
	})
}

// What failed takes no room from what comes after it.
func TestReadAheadForgetsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := signed(t, 1).Files()
		const a, b = "metadata/1.a.json", "metadata/1.b.json"
		files[a], files[b] = make([]byte, 3<<20), make([]byte, 3<<20+1)
		repo := newSlowRepository(t, tuftest.Pack(t, files, tuftest.PackOptions{NoInline: true}))
		v, err := fetcher.Open(t.Context(), fetcher.FromRepository(repo, "tuf"), fetcher.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		v.Prefetch(ctx, a)
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(repo.open)
		v.Prefetch(t.Context(), b)
		synctest.Wait()
		if n := repo.counts()[digest.FromBytes(files[b])]; n != 1 {
			t.Errorf("%d reads, want 1", n)
		}
	})
}

// A panic while something is read ahead, which nobody could recover from, is an error
// for whoever asks for it.
func TestReadAheadPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := signed(t, 1).Files()
		repo := panickingRepository{newSlowRepository(t, tuftest.Pack(t, files, tuftest.PackOptions{NoInline: true}))}
		v, err := fetcher.Open(t.Context(), fetcher.FromRepository(repo, "tuf"), fetcher.Options{})
		if err != nil {
			t.Fatal(err)
		}
		const title = "metadata/1.root.json"
		v.Prefetch(t.Context(), title)
		synctest.Wait()
		if data, err := v.File(t.Context(), title, plenty); err == nil || errors.Is(err, fetcher.ErrFileNotFound) {
			t.Errorf("%d bytes, %v", len(data), err)
		}
	})
}

type panickingRepository struct{ *slowRepository }

func (panickingRepository) Fetch(context.Context, ocispec.Descriptor) (io.ReadCloser, error) {
	panic("a fault of a library")
}
