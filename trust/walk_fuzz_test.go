package trust_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// choices is a source of random numbers of which each is chosen by one byte, as far as there are some: so a fuzzer makes
// graphs, and keeps what it liked of one.
type choices struct {
	left []byte
	then *rand.PCG
}

func (c *choices) Uint64() uint64 {
	if len(c.left) == 0 {
		return c.then.Uint64()
	}
	chosen := uint64(c.left[0])
	c.left = c.left[1:]
	return chosen<<56 | 0x00_80_80_80_80_80_80_80
}

// The walk over delegations finds what go-tuf's finds, in any graph: every name, and every role that cannot be read.
func FuzzWalk(f *testing.F) {
	tuftest.Sequential(f)
	f.Add([]byte{})
	for seed := range byte(4) {
		f.Add([]byte{seed << 6, 0x10, 0x80, seed << 5, 0xff, 0x20, seed, 0x90, 0x40, 0xe0, 0xa0})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 512 {
			return
		}
		repo, lookups := randomRepo(t, rand.New(&choices{data, rand.NewPCG(1, 2)}))
		w := &world{Repo: repo, t: t, now: tuftest.Epoch.Add(time.Hour), at: &counted{WritableRepository: ociremote.NewMemory()}}
		w.out()
		view := w.mustRefresh(func(o *trust.Options) { o.StateDir, o.CacheDir = "", "" })
		slices.Sort(lookups)
		lookups = slices.Compact(lookups)
		for _, name := range lookups {
			if got, want := ours(t, view, name), goTUF(t, w.RootBytes(), w.Files(), w.now, name); got != want {
				t.Errorf("%q: %d, go-tuf: %d", name, got, want)
			}
		}
		listed(t, view, lookups)
	})
}
