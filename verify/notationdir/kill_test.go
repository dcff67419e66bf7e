package notationdir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/trust"
)

var errKilled = errors.New("killed")

// killAt returns a step that ends the work at the n-th step, and counts.
func killAt(n int) (step func(string, string) error, count *int) {
	count = new(int)
	return func(string, string) error {
		*count++
		if *count >= n {
			return errKilled
		}
		return nil
	}, count
}

// content is the tree without what differs from run to run: times, and when stores
// were retired.
func (w *world) content() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for path := range w.tree() {
		rel := must(filepath.Rel(filepath.Dir(w.o.Config), path))
		info := must(os.Lstat(path))
		if info.IsDir() {
			out[rel] = "directory"
			continue
		}
		out[rel] = string(must(os.ReadFile(path)))
	}
	return out
}

// A sync that dies at any step leaves the old generation or the new one to readers
// of both versions. The next sync ends where one that never died does, and one of a
// later generation takes nothing that is left for somebody else's.
func TestKilledSync(t *testing.T) {
	t.Parallel()
	withCRL := func(in Input, number int64) Input {
		in.Set.CRLs = inputOf(in.Trust, 1, revocationList("ca", 0, notationsign.CRLOptions{Number: number}, listURL)...).Set.CRLs
		return in
	}
	first := withCRL(input("acme", 1, 0, 1), 1)
	second := withCRL(input("acme", 2, 1, 2), 2)
	second.Set.Stores[material.StoreCA]["other"] = second.Set.Stores[material.StoreCA]["ca"]
	third, beta := input("acme", 3, 3), input("beta", 1, 4)
	for name, c := range map[string]struct {
		mode    PolicyMode
		prepare func(w *world)
		act     func(w *world) error
		old     []int // nil: refused
		new     []int
		between bool // certificates of both may be seen, in place
	}{
		"first": {prepare: func(*world) {}, act: syncOf(first), new: []int{0, 1}},
		"rotation": {
			prepare: func(w *world) { w.sync(first) },
			act:     syncOf(second), old: []int{0, 1}, new: []int{1, 2},
		},
		"removal": {
			prepare: func(w *world) { w.sync(first); w.sync(second); w.pass(2 * time.Hour) },
			act:     syncOf(second), old: []int{1, 2}, new: []int{1, 2},
		},
		"merge": {
			mode:    PolicyMerge,
			prepare: func(w *world) { w.sync(beta); w.sync(first) },
			act:     syncOf(second), old: []int{0, 1}, new: []int{1, 2},
		},
		"replace": {
			mode:    PolicyReplace,
			prepare: func(w *world) { w.write(policyFile, string(policy("mine=ca:mine=*"))); w.write(policyFileOCI, "{}") },
			act:     syncOf(second), new: []int{1, 2},
		},
		"close": {
			prepare: func(w *world) { w.sync(first) },
			act: func(w *world) error {
				_, err := Close(w.t.Context(), "acme", "stale", w.o)
				return err
			},
			old: []int{0, 1},
		},
		"plain": {
			mode: PolicyNone,
			prepare: func(w *world) {
				for _, file := range []string{policyFile, policyFileOCI} {
					w.write(file, string(policy("mine=ca:ca=acme.example/shop/api")))
				}
				w.sync(first)
			},
			act: syncOf(second), old: []int{0, 1}, new: []int{1, 2}, between: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prepared := newWorld(t).with(c.mode)
			c.prepare(prepared)
			clean := prepared.copied()
			if err := c.act(clean); err != nil {
				t.Fatal(err)
			}
			want := clean.content()
			for n := 1; ; n++ {
				w := prepared.copied()
				var count *int
				w.o.step, count = killAt(n)
				err := c.act(w)
				w.o.step = nil
				if *count < n {
					if err != nil || n < 5 {
						t.Errorf("%d steps, %v", n-1, err)
					}
					t.Logf("%d steps", n-1)
					break
				}
				if !errors.Is(err, errKilled) {
					t.Fatalf("killed at step %d: %v", n, err)
				}
				got, err := w.trustsEach("acme.example/shop/api")
				for _, g := range got {
					if !slices.Equal(g, c.old) && !slices.Equal(g, c.new) && !c.between {
						t.Errorf("killed at step %d, a reader trusts %v: %v", n, g, err)
					}
				}
				later := w.copied()
				if err := syncOf(third)(later); err != nil {
					t.Errorf("killed at step %d, a later sync: %v", n, err)
				}
				later.expect("acme.example/shop/api", 3)
				if err := c.act(w); err != nil {
					t.Fatalf("killed at step %d, the next sync: %v", n, err)
				}
				w.expect("acme.example/shop/api", c.new...)
				if name == "merge" {
					w.expect("beta.example/shop/api", 4)
				}
				compareContent(t, n, want, w.content())
			}
		})
	}
}

// copied is a world of the same files, time and options.
func (w *world) copied() *world {
	w.t.Helper()
	c := newWorld(w.t).with(w.o.Policy)
	*c.clock = w.now()
	if err := os.CopyFS(filepath.Dir(c.o.Config), os.DirFS(filepath.Dir(w.o.Config))); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func syncOf(in Input) func(w *world) error {
	return func(w *world) error {
		_, err := Sync(w.t.Context(), in, w.o)
		return err
	}
}

// trustsEach is what readers of each version trust; nil where they refuse.
func (w *world) trustsEach(repository string) (each [][]int, err error) {
	for version := 1; version <= 2; version++ {
		certs, e := readAnchors(w.t.Context(), w.o.Config, version, repository)
		err = errors.Join(err, e)
		each = append(each, numbers(certs))
	}
	return each, err
}

func compareContent(t *testing.T, n int, want, got map[string]string) {
	t.Helper()
	for path := range want {
		if got[path] != want[path] {
			t.Errorf("killed at step %d: %s is %.200q, want %.200q", n, path, got[path], want[path])
		}
	}
	for path := range got {
		if want[path] == "" && got[path] != "" {
			t.Errorf("killed at step %d: %s is left", n, path)
		}
	}
}

// Syncs at once take turns, and the older view does not win.
func TestConcurrentSyncs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var group sync.WaitGroup
	for version := range int64(12) {
		group.Go(func() {
			_, err := Sync(t.Context(), input("acme", version, int(version)%3), w.o)
			if err != nil && !errors.Is(err, trust.ErrRollback) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	w.expect("acme.example/shop/api", 11%3)
}

func TestLockedSyncEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sync(input("acme", 1, 0))
	unlock := must(newSession(w.o).lock(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Sync(ctx, input("acme", 2, 0), w.o); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	unlock()
	w.sync(input("acme", 2, 0))
}

// Readers with notation's own code see one generation or the other, whole, through
// many rotations.
func TestReadersThroughRotations(t *testing.T) {
	t.Parallel()
	const readers, rotations = 4, 40
	w := newWorld(t)
	generations := [][]int{{0, 1}, {2, 3}}
	w.sync(input("acme", 0, generations[0]...))
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var reads atomic.Int64
	for i := range readers {
		group.Go(func() {
			for ctx.Err() == nil {
				certs, err := readAnchors(t.Context(), w.o.Config, 1+i%2, "acme.example/shop/api")
				if got := numbers(certs); err != nil || !slices.ContainsFunc(generations, func(g []int) bool { return slices.Equal(g, got) }) {
					t.Errorf("a reader saw %v: %v", got, err)
					return
				}
				reads.Add(1)
			}
		})
	}
	for n := int64(1); n <= rotations; n++ {
		w.sync(input("acme", n, generations[n%2]...))
	}
	stop()
	group.Wait()
	if reads.Load() < readers {
		t.Errorf("%d reads are too few to say anything", reads.Load())
	}
}

func TestUnified(t *testing.T) {
	t.Parallel()
	numbered := func(n int) (text string) {
		for i := range n {
			text += fmt.Sprintln(i)
		}
		return text
	}
	for _, c := range []struct{ from, to, want string }{
		{"a\n", "a\n", ""},
		{"", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b\n"},
		{"a\nb\n", "", "@@ -1,2 +0,0 @@\n-a\n-b\n"},
		{numbered(9), strings.Replace(numbered(9), "4\n", "x\n", 1), "@@ -2,7 +2,7 @@\n 1\n 2\n 3\n-4\n+x\n 5\n 6\n 7\n"},
		{
			numbered(20), strings.NewReplacer("\n2\n", "\n", "\n17\n", "\n17\ny\n").Replace(numbered(20)),
			"@@ -1,6 +1,5 @@\n 0\n 1\n-2\n 3\n 4\n 5\n@@ -16,5 +15,6 @@\n 15\n 16\n 17\n+y\n 18\n 19\n",
		},
		{numbered(9), strings.NewReplacer("2\n", "", "6\n", "").Replace(numbered(9)), "@@ -1,9 +1,7 @@\n 0\n 1\n-2\n 3\n 4\n 5\n-6\n 7\n 8\n"},
	} {
		want := c.want
		if want != "" {
			want = "--- p\n+++ p\n" + want
		}
		if got := unified("p", []byte(c.from), []byte(c.to)); got != want {
			t.Errorf("from %q to %q:\n%s\nwant\n%s", c.from, c.to, got, want)
		}
	}
}
