package trust_test

import (
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// partialWorld has images in several roles, reserved files, and files that no image
// needs.
func partialWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, tuftest.RepoOptions{})
	w.RotateKey("root")
	w.AddTarget("notation/x509/ca/acme/ca.pem", []byte("a certificate"))
	w.AddTarget("revocations.json", []byte(`{"version":1,"images":[],"certificates":[]}`))
	w.AddTarget("tufoci/any", []byte("anything"))
	w.AddTarget("large", []byte("a file that no image needs"))
	w.AddEntry("targets", "images/base:1", 99, hexHash, nil)
	w.Delegate("targets", "revocations", []string{"revocations/*"}, false)
	w.AddTargetTo("revocations", "revocations/1.json", []byte(`{"version":1,"images":[],"certificates":[]}`))
	// The walk of images/shop/api:1 visits first and shop, which do not list it.
	w.Delegate("targets", "first", []string{"images/shop/*"}, false)
	w.Delegate("targets", "shop", []string{"images/shop/*"}, false)
	w.Delegate("shop", "api", []string{"images/shop/api:*"}, true)
	w.AddEntry("api", "images/shop/api:1", 99, hexHash, nil)
	w.AddEntry("shop", "images/shop/web:1", 99, hexHash, nil)
	w.Delegate("targets", "other", []string{"images/other/*"}, false)
	w.Delegate("other", "deep", []string{"images/other/*"}, false)
	w.AddEntry("deep", "images/other/x:1", 99, hexHash, nil)
	w.publish()
	return w
}

// always are the files that every partial set has.
var always = []string{
	"metadata/1.root.json", "metadata/2.root.json", "metadata/2.snapshot.json", "metadata/2.targets.json", "metadata/timestamp.json",
	"revocations", "notation/x509/ca/acme/ca.pem", "revocations.json", "tufoci/any", "revocations/1.json",
}

func TestFilesFor(t *testing.T) {
	t.Parallel()
	w := partialWorld(t)
	view := w.mustRefresh()
	whole := w.Files()
	for _, test := range []struct {
		names, roles, want []string
	}{
		{nil, nil, nil},
		{[]string{"images/base:1"}, nil, nil},
		{[]string{"images/shop/api:1"}, nil, []string{"first", "shop", "api"}},
		{[]string{"images/shop/web:1"}, nil, []string{"first", "shop"}},
		{[]string{"images/shop/web:1"}, []string{"api", "gone", "targets", "root"}, []string{"first", "shop", "api"}},
		// A role comes with those that lead to it, wherever it is now.
		{[]string{"images/base:1"}, []string{"deep"}, []string{"other", "deep"}},
	} {
		set, err := view.FilesFor(t.Context(), test.names, test.roles)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{}
		for _, name := range append(slices.Clone(always), test.want...) {
			if strings.HasPrefix(name, "metadata/") {
				want[name] = true
			} else {
				want[w.titleOf(name)] = true
			}
		}
		got := map[string]bool{}
		for _, f := range set.Files {
			got[f.Title] = true
			if string(whole[f.Title]) != string(f.Data) {
				t.Errorf("%v: %s has other bytes", test.names, f.Title)
			}
		}
		if !maps.Equal(got, want) || len(got) != len(set.Files) {
			t.Errorf("%v with %v: files %v\nwant %v", test.names, test.roles, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
	if roles, err := view.Visited(t.Context(), "images/shop/api:1"); err != nil || !slices.Equal(roles, []string{"targets", "first", "shop", "api"}) {
		t.Errorf("visited are %q (%v)", roles, err)
	}
	_, err := view.FilesFor(t.Context(), []string{"images/shop/api:2"}, nil)
	if !errors.Is(err, trust.ErrTargetNotFound) {
		t.Errorf("a name that nothing lists: %v", err)
	}
}

// titleOf is the title of a role's file, or of that of a target.
func (w *world) titleOf(name string) string {
	w.t.Helper()
	if slices.Contains(w.Roles(), name) {
		return w.Title(name)
	}
	for title := range w.Files() {
		dir, base := path.Split(title)
		if _, plain, _ := strings.Cut(base, "."); dir+plain == "targets/"+name {
			return title
		}
	}
	w.t.Fatalf("no file of %q", name)
	return ""
}

// TestFilesForAnswerAsTheWhole: a client that has nothing but the files gets the
// same answers as one that has all.
func TestFilesForAnswerAsTheWhole(t *testing.T) {
	t.Parallel()
	w := partialWorld(t)
	set, err := w.mustRefresh().FilesFor(t.Context(), []string{"images/shop/api:1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range set.Files {
		files[f.Title] = f.Data
	}
	repo := ociremote.NewMemory()
	put(t, repo, files, tuftest.PackOptions{NoInline: true})
	view, err := w.client(func(o *trust.Options) {
		o.Source, o.StateDir, o.CacheDir = trust.RepositorySource(repo, channel), "", ""
	}).Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if target, err := view.Lookup(t.Context(), "images/shop/api:1"); err != nil || target.Role != "api" {
		t.Errorf("lookup: %+v, %v", target, err)
	}
	if _, err := view.Revocations(t.Context()); err != nil {
		t.Errorf("revocations: %v", err)
	}
	reserved, err := view.Reserved(t.Context())
	if err != nil || len(reserved) != 4 {
		t.Errorf("reserved names: %v, %v", reserved, err)
	}
	for _, target := range reserved {
		if _, _, err := view.Get(t.Context(), target.Path); err != nil {
			t.Errorf("%s: %v", target.Path, err)
		}
	}
}

// TestFilesForNeedEveryRole: without a role that a client needs there is no set.
func TestFilesForNeedEveryRole(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"first", "revocations"} {
		w := partialWorld(t)
		w.pack = tuftest.PackOptions{NoInline: true}
		w.edit = func(files map[string][]byte) { delete(files, "metadata/1."+role+".json") }
		w.out()
		view, err := w.refresh(func(o *trust.Options) { o.StateDir = "" })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := view.FilesFor(t.Context(), []string{"images/shop/web:1"}, nil); err == nil {
			t.Errorf("without %s there is a set", role)
		}
	}
}
