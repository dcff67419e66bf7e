package publish_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

// sigstore is the repository of Sigstore as it was served one day: its
// directory, its files by title, the oldest root that can be parsed, and the
// time at which all of it was valid.
func sigstore(t *testing.T) (dir string, files map[string][]byte, root []byte, at time.Time) {
	t.Helper()
	dir = tuftest.SharedFixture(t, "sigstore")
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	files = map[string][]byte{}
	for _, part := range []string{"metadata", "targets"} {
		err := fs.WalkDir(os.DirFS(dir), part, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files[name] = read(name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(string(read("reference-time"))))
	if err != nil {
		t.Fatal(err)
	}
	return dir, files, read("initial_root.json"), at
}

func TestMirrorSigstore(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	dir, files, root, at := sigstore(t)
	for name, destination := range destinations(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dst, done := destination(t)
			view := dirView(t, root, dir, trust.Options{AsOf: at})
			result := mirror(t, view, dst, publish.MirrorOptions{Now: time.Now})
			if !slices.Equal(result.CarriedRoots, []int64{1, 2, 3, 4}) || len(result.SkippedRoles) != 4 || result.Targets != 12 {
				t.Errorf("carried roots %v, skipped roles %q, %d targets", result.CarriedRoots, result.SkippedRoles, result.Targets)
			}
			if result.Plan.Size >= 40<<10 {
				t.Errorf("the manifest has %d bytes, want less than 40 KiB", result.Plan.Size)
			}
			read := done()
			wantFiles(t, read, channel, files)

			copied, err := refresh(t.Context(), root, trust.Options{Source: trust.RepositorySource(read, channel), AsOf: at})
			if err != nil {
				t.Fatal(err)
			}
			if got := copied.Status().Root.Version; got != 15 {
				t.Errorf("the consumer reached root v%d, want v15", got)
			}
			wantAllTargets(t.Context(), t, copied, 12)
		})
	}
}

// wantAllTargets reads every target of a view.
func wantAllTargets(ctx context.Context, t *testing.T, view *trust.View, n int) {
	t.Helper()
	targets, err := view.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(targets) != n {
		t.Errorf("%d targets, want %d", len(targets), n)
	}
	for _, target := range targets {
		if _, _, err := view.Get(ctx, target.Path); err != nil {
			t.Errorf("target %q: %v", target.Path, err)
		}
	}
}
