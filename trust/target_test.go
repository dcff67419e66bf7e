package trust_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

func TestGetByOneRequestThenFromCache(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.AddTarget("dir/big", bytes.Repeat([]byte("big"), 1000))
	w.AddTarget("empty", nil)
	w.pack.Inline = []string{"metadata/1.root.json", "metadata/timestamp.json", "metadata/2.snapshot.json", "metadata/2.targets.json"}
	w.publish()
	w.at.reset()
	for i, want := range []int{1, 0, 0} {
		view := w.mustRefresh()
		before := w.at.requests()
		data, _, err := view.Get(t.Context(), "dir/big")
		if err != nil || len(data) != 3000 {
			t.Fatal(err)
		}
		if n := w.at.requests() - before; n != want {
			t.Errorf("round %d: %d requests for the target, want %d", i, n, want)
		}
	}
	view := w.mustRefresh(func(o *trust.Options) { o.CacheDir = "" })
	for range 2 {
		data, _, err := view.Get(t.Context(), "dir/big")
		if err != nil || data[0] != 'b' {
			t.Errorf("the view has changed: %v", err)
		}
		clear(data) // what a caller does to its copy is its own affair
	}
	if data, _, err := w.mustRefresh().Get(t.Context(), "empty"); err != nil || len(data) != 0 {
		t.Errorf("empty file: %q, %v", data, err)
	}
	offline, err := w.client().Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := offline.Get(t.Context(), "dir/big"); err != nil {
		t.Errorf("offline, cached: %v", err)
	}
}

func TestDamagedCacheIsNotBelieved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.AddTarget("file", []byte("hello"))
	w.publish()
	if _, _, err := w.mustRefresh().Get(t.Context(), "file"); err != nil {
		t.Fatal(err)
	}
	var cached string
	err := filepath.WalkDir(w.cache, func(name string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			cached = name
		}
		return err
	})
	if err != nil || cached == "" {
		t.Fatalf("nothing is cached: %v", err)
	}
	for _, junk := range []string{"", "hullo", "hello "} {
		if err := os.WriteFile(cached, []byte(junk), 0o600); err != nil {
			t.Fatal(err)
		}
		if data, _, err := w.mustRefresh().Get(t.Context(), "file"); err != nil || string(data) != "hello" {
			t.Errorf("%q, %v", data, err)
		}
	}
}

func TestSubstitutedTarget(t *testing.T) {
	t.Parallel()
	for _, consistent := range []bool{true, false} {
		w := newWorld(t, tuftest.RepoOptions{NonConsistent: !consistent})
		w.AddTarget("file", []byte("hello"))
		w.Publish()
		files := w.Files()
		for title := range files {
			if strings.HasPrefix(title, "targets/") {
				files[title] = []byte("hullo")
			}
		}
		w.put(files)
		for _, src := range []trust.Source{w.source(), dirSource(t, files)} {
			view := w.mustRefresh(func(o *trust.Options) { o.Source, o.StateDir = src, "" })
			_, _, err := view.Get(t.Context(), "file")
			if e := refused(t, err, trust.ErrMismatch); e.Role != "targets" {
				t.Errorf("evidence %+v", e)
			}
		}
	}
}

func TestListedTargetThatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.AddEntry("targets", "gone", 5, hexHash, nil)
	w.publish()
	view := w.mustRefresh()
	_, _, err := view.Get(t.Context(), "gone")
	refused(t, err, trust.ErrStaleCopy)
	if !errors.Is(err, fetcher.ErrFileNotFound) {
		t.Errorf("error %v", err)
	}
	_, err = view.Files(t.Context())
	refused(t, err, trust.ErrStaleCopy)
	_, _, err = view.Get(t.Context(), "never listed")
	refused(t, err, trust.ErrTargetNotFound)
}

func TestTargetLargerThanTheLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.AddTarget("file", []byte("hello"))
	w.AddEntry("targets", "huge", 10<<30, hexHash, nil)
	w.publish()
	view := w.mustRefresh(func(o *trust.Options) { o.Limits.TargetFile = 4 })
	for _, name := range []string{"file", "huge"} {
		_, _, err := view.Get(t.Context(), name)
		refused(t, err, trust.ErrMalformed)
	}
}

// Paths that could lead elsewhere have an entry, but no file.
func TestPathsThatNameNoFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	odd := []string{"../x", "a/../../x", "/x", "a//x", "a/./x", "a/", ".", "..", `a\x`, "a\x00x"}
	for _, name := range odd {
		w.AddEntry("targets", name, 5, hexHash, nil)
	}
	w.publish()
	view := w.mustRefresh()
	for _, name := range odd {
		if err := lookup(t, view, name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		_, _, err := view.Get(t.Context(), name)
		refused(t, err, trust.ErrMalformed)
	}
}

func TestImageTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	custom := map[string]any{"tufoci": map[string]any{"mediaType": "application/vnd.oci.image.index.v1+json"}}
	w.AddEntry("targets", "images/shop/api:1.4.2", 8112, hexHash, custom)
	w.publish()
	view := w.mustRefresh()
	data, target, err := view.Get(t.Context(), "images/shop/api:1.4.2")
	refused(t, err, trust.ErrImageTarget)
	if data != nil || target == nil || target.Hashes["sha256"] != hexHash || target.Length != 8112 {
		t.Errorf("%q, %+v", data, target)
	}
	if want := `{"tufoci":{"mediaType":"application/vnd.oci.image.index.v1+json"}}`; string(target.Custom) != want {
		t.Errorf("custom %s", target.Custom)
	}
}

func TestLostBlob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	src, err := trust.ParseSource(registry.Host() + "/trust:tuf")
	if err != nil {
		t.Fatal(err)
	}
	w.AddTarget("file", []byte("hello"))
	w.Publish()
	registry.Push("trust", channel, tuftest.Pack(t, w.Files(), tuftest.PackOptions{NoInline: true}))
	at := func(o *trust.Options) { o.Source, o.Client, o.CacheDir = src, plainClient(t), "" }
	view := w.mustRefresh(at)
	registry.DeleteBlob("trust", tuftest.Digest([]byte("hello")))
	if _, _, err := view.Get(t.Context(), "file"); !errors.Is(err, fetcher.ErrLostBlob) {
		t.Errorf("error %v", err)
	}
	registry.DeleteBlob("trust", tuftest.Digest(w.Data("snapshot")))
	if _, err := w.refresh(at, func(o *trust.Options) { o.StateDir = "" }); !errors.Is(err, fetcher.ErrLostBlob) {
		t.Errorf("error %v", err)
	}
}

// A view that was opened before the tag moved goes on: everything that it has yet
// to read is named by hash.
func TestTagMovesUnderAView(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.AddTarget("file", []byte("hello"))
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/file", []byte("x"))
	w.pack.NoInline = true
	w.publish()
	view := w.mustRefresh()
	w.AddTarget("more", []byte("more"))
	w.publish()
	for _, name := range []string{"file", "team/file"} {
		if _, _, err := view.Get(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused(t, lookup(t, view, "more"), trust.ErrTargetNotFound)
}

func TestRolesAndMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{Keys: 3, Threshold: 2})
	w.Delegate("targets", "team", []string{"team/*"}, true)
	w.Delegate("team", "sub", []string{"team/sub*"}, false)
	w.Delegate("targets", "sub", []string{"sub/*"}, false)
	w.AddTargetTo("sub", "sub/file", []byte("x"))
	w.DelegateBins("targets", "images", 2)
	w.publish()
	view := w.mustRefresh()
	roles, err := view.Roles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range roles {
		got = append(got, fmt.Sprintf("%s<%s %d/%d %v", r.Name, strings.Join(r.Delegators, ","), r.Threshold, len(r.KeyIDs), r.Err))
		data, err := view.Metadata(t.Context(), r.Name)
		if err != nil || !bytes.Equal(data, w.Data(r.Name)) || r.SHA256 != tuftest.Digest(data)[7:] || r.Length != int64(len(data)) {
			t.Errorf("metadata of %s: %v", r.Name, err)
		}
	}
	want := []string{
		"root< 2/3 <nil>", "timestamp<root 2/3 <nil>", "snapshot<root 2/3 <nil>", "targets<root 2/3 <nil>",
		"team<targets 2/3 <nil>", "sub<team,targets 2/3 <nil>", "images<targets 2/3 <nil>",
		"images-0<images 2/3 <nil>", "images-1<images 2/3 <nil>",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("roles:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if roles[4].Paths[0] != "team/*" || !roles[4].Terminating || roles[6].Bins != 2 || roles[5].Targets != 1 {
		t.Errorf("roles %+v", roles)
	}
	_, err = view.Metadata(t.Context(), "nobody")
	refused(t, err, trust.ErrTargetNotFound)
}

// An entry of an image without a digest answers nothing.
func TestImageTargetWithoutDigest(t *testing.T) {
	t.Parallel()
	for name, hashes := range map[string]map[string]any{
		"none":  {"sha512": strings.Repeat("0", 128)},
		"short": {"sha256": "00"},
	} {
		w := newWorld(t, tuftest.RepoOptions{})
		w.AddEntry("targets", "images/app:1", 5, strings.Repeat("0", 64), nil)
		w.publish()
		w.Forge("targets", func(signed map[string]any) {
			signed["targets"].(map[string]any)["images/app:1"].(map[string]any)["hashes"] = hashes
		})
		w.out()
		_, target, err := w.mustRefresh().Get(t.Context(), "images/app:1")
		if refused(t, err, trust.ErrMalformed); target != nil {
			t.Errorf("%s: %+v", name, target)
		}
	}
}
