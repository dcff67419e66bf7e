package fetcher_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
)

// A view in the place of another one has what that has left of its total, and does not
// read again what that has read.
func TestTotalWithTheViewBefore(t *testing.T) {
	t.Parallel()
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	files := signed(t, 1).Files()
	files["targets/a"] = make([]byte, 5000)
	old := tuftest.Pack(t, files, tuftest.PackOptions{NoInline: true})
	files["targets/b"] = make([]byte, 5001)
	replaced := tuftest.Pack(t, files, tuftest.PackOptions{NoInline: true})
	for tooFew, want := range map[int]error{0: nil, 1: fetcher.ErrLimit} {
		g.Push(repository, "tuf", old)
		o := options(t, fetcher.Options{Limits: fetcher.Limits{Total: int64(len(old.Manifest) + 5000 + len(replaced.Manifest) + 5001 - tooFew)}})
		var err error
		if o.Before, err = fetcher.Open(t.Context(), source(t, g), o); err != nil {
			t.Fatal(err)
		}
		wantFileOf(t, o.Before, "targets/a", 5000)
		g.Push(repository, "tuf", replaced)
		v, err := fetcher.Open(t.Context(), source(t, g), o)
		if err != nil {
			t.Fatal(err)
		}
		wantFileOf(t, v, "targets/a", 5000)
		if _, err := v.File(t.Context(), "targets/b", plenty); !errors.Is(err, want) {
			t.Errorf("%d too few: %v", tooFew, err)
		}
	}
	if n := askedFor(g, files)["targets/a"]; n != 2 {
		t.Errorf("a was asked for %d times, want once in each round", n)
	}
}

// So it is with the time that it may wait.
func TestOperationWithTheViewBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := newSlowRepository(t, tuftest.Pack(t, signed(t, 1).Files(), tuftest.PackOptions{NoInline: true}))
		src := fetcher.FromRepository(slow, "tuf")
		o := fetcher.Options{Limits: fetcher.Limits{Operation: time.Minute}}
		var err error
		if o.Before, err = fetcher.Open(t.Context(), src, o); err != nil {
			t.Fatal(err)
		}
		wantError(t, o.Before, "metadata/timestamp.json", plenty, fetcher.ErrTimeout)
		slow.hang = true
		start := time.Now()
		_, err = fetcher.Open(t.Context(), src, o)
		wantIs(t, err, fetcher.ErrTimeout)
		if took := time.Since(start); took > 0 {
			t.Errorf("it waited for %v more", took)
		}
	})
}
