package trust_test

import (
	"errors"
	"maps"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// An inventory and its files are the repository, but for the roots below the pin,
// which are asked for apart; a role that cannot be verified is left out with all
// that a lookup finds only through it.
func TestInventory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.pack.NoInline = true
	w.RotateKey("root")
	w.publish()
	w.AddTarget("dir/file", []byte("hello"))
	w.AddEntry("targets", "images/app:1", 99, hexHash, nil)
	w.Delegate("targets", "team", []string{"team/*"}, true)
	w.AddTargetTo("team", "team/file", []byte("team"))
	w.Delegate("targets", "late", []string{"late/*", "team/*"}, false)
	w.AddTargetTo("late", "late/file", []byte("late"))
	w.AddTargetTo("late", "team/other", []byte("found through team alone"))
	w.publish()
	w.SetExpiry("late", w.now.Add(time.Minute))
	w.publish()
	now := w.now
	client := w.clientOf(w.Roots()[1], func(o *trust.Options) {
		o.StateDir, o.CacheDir, o.Now = "", "", func() time.Time { return now }
	})
	view, err := client.Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := contents(t, view)
	want := w.Files()
	delete(want, "metadata/1.root.json")
	delete(want, titleOf("team/other", "found through team alone"))
	if !maps.Equal(got, texts(want)) {
		t.Errorf("files %q, want %q", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	others := func(d digest.Digest) bool { return d != digest.FromString("hello") }
	if n := len(slices.DeleteFunc(slices.Clone(w.at.blobs), others)); n != 2 {
		t.Errorf("a target file was read %d times for two, so the view keeps it", n)
	}
	carried, err := view.CarriedRoots(t.Context())
	if err != nil || len(carried) != 1 || carried[0].Version != 1 || !carried[0].Unverified {
		t.Errorf("carried %+v, %v", carried, err)
	}

	now = w.now.Add(2 * time.Minute)
	if view, err = client.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	late := w.Title("late")
	delete(want, late)
	delete(want, titleOf("late/file", "late"))
	if got = contents(t, view, late); !maps.Equal(got, texts(want)) {
		t.Errorf("files %q, want %q", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	if err := view.Usable(); err != nil {
		t.Error(err)
	}
}

// contents reads everything in an inventory, whose missing roles must be these.
func contents(t *testing.T, view *trust.View, missing ...string) map[string]string {
	t.Helper()
	inv, err := view.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var titles []string
	for _, m := range inv.Missing {
		titles = append(titles, m.Title)
		if !errors.Is(m.Err, trust.ErrExpired) {
			t.Errorf("%s: %v", m.Title, m.Err)
		}
	}
	if !slices.Equal(titles, missing) {
		t.Errorf("missing %q, want %q", titles, missing)
	}
	got := map[string]string{}
	for _, f := range inv.Metadata {
		if f.Expires.IsZero() || f.Digest.String() != tuftest.Digest(f.Data) {
			t.Errorf("%+v", f)
		}
		got[f.Title] = string(f.Data)
	}
	for _, f := range inv.Targets {
		for range 2 { // the view keeps nothing
			data, err := view.ReadTarget(t.Context(), f)
			if err != nil || int64(len(data)) != f.Length || f.Digest.String() != tuftest.Digest(data) {
				t.Errorf("%q: %q, %v", f.Titles, data, err)
			}
			got[f.Titles[0]] = string(data)
		}
	}
	return got
}

func titleOf(name, content string) string {
	dir, base := path.Split(name)
	return "targets/" + dir + tuftest.Digest([]byte(content))[len("sha256:"):] + "." + base
}

func texts(files map[string][]byte) map[string]string {
	out := map[string]string{}
	for title, data := range files {
		out[title] = string(data)
	}
	return out
}

// What is longer than the limit of target files could not be passed on: it is not listed
// as if it could.
func TestInventoryWithinTheLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.AddTarget("small", []byte("x"))
	w.AddTarget("large", []byte("more than that"))
	w.publish()
	inv, err := w.mustRefresh(func(o *trust.Options) { o.Limits.TargetFile = 5 }).Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.Targets) != 1 || inv.Targets[0].Path != "small" {
		t.Errorf("%+v", inv.Targets)
	}
}
