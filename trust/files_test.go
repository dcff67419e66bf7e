package trust_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

func plainClient(t testing.TB) *ociremote.Client {
	t.Helper()
	c, err := ociremote.NewClient(ociremote.Options{PlainHTTP: true, RegistryConfig: filepath.Join(t.TempDir(), "config.json")})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFiles(t *testing.T) {
	t.Parallel()
	for _, consistent := range []bool{true, false} {
		w := newWorld(t, tuftest.RepoOptions{NonConsistent: !consistent})
		for range 3 {
			w.RotateKey("root")
			w.publish()
		}
		w.AddTarget("file", []byte("hello"))
		w.AddTarget("same", []byte("hello"))
		w.AddEntry("targets", "images/app:1", 99, hexHash, nil)
		w.Delegate("targets", "team", []string{"team/*", "notation/*"}, false)
		w.Delegate("team", "sub", []string{"team/sub*"}, false)
		w.AddTargetTo("sub", "team/sub1", []byte("sub"))
		w.AddTargetTo("team", "notation/ca.pem", []byte("other clients may ask for it"))
		w.DelegateBins("targets", "images", 4)
		w.publish()
		want := w.Files()
		for _, src := range []trust.Source{w.source(), dirSource(t, want)} {
			view, err := w.clientOf(w.Roots()[2], func(o *trust.Options) { o.Source, o.StateDir, o.CacheDir = src, "", "" }).Refresh(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			set, err := view.Files(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][]byte{}
			for _, f := range set.Files {
				if f.Digest.String() != tuftest.Digest(f.Data) || f.Unverified != slices.Contains([]string{"metadata/1.root.json", "metadata/2.root.json"}, f.Title) {
					t.Errorf("%+v", f)
				}
				got[f.Title] = f.Data
			}
			if !maps.EqualFunc(got, want, bytes.Equal) || len(got) != len(set.Files) {
				t.Errorf("files %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
			if fmt.Sprint(set.Carried) != "[1 2]" || len(set.Unreached) != 0 {
				t.Errorf("carried %v, unreached %v", set.Carried, set.Unreached)
			}
			if last := set.Files[len(set.Files)-1].Title; last != "metadata/timestamp.json" {
				t.Errorf("the last file is %s", last)
			}
		}
	}
}

func TestFilesNeedEveryRoleThatIsReached(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.publish()
	w.edit = func(files map[string][]byte) { delete(files, "metadata/1.team.json") }
	w.out()
	_, err := w.mustRefresh().Files(t.Context())
	if e := refused(t, err, trust.ErrStaleCopy); e.Role != "team" {
		t.Errorf("evidence %+v", e)
	}
}

func TestRootsBelowThePinThatAreNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.RotateKey("root")
	w.publish()
	w.edit = func(files map[string][]byte) { delete(files, "metadata/1.root.json") }
	w.out()
	view, err := w.clientOf(w.Roots()[1]).Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if set, err := view.Files(t.Context()); err != nil || len(set.Carried) != 0 {
		t.Errorf("%v, %v", set, err)
	}
}

// sigstore is Sigstore's public-good repository as it was served once.
type sigstore struct {
	dir   string
	root  []byte
	at    time.Time
	files map[string][]byte
}

func readSigstore(t *testing.T) sigstore {
	t.Helper()
	s := sigstore{dir: tuftest.SharedFixture(t, "sigstore"), files: map[string][]byte{}}
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	s.root = read("initial_root.json")
	var err error
	if s.at, err = time.Parse(time.RFC3339, strings.TrimSpace(string(read("reference-time")))); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"metadata", "targets"} {
		err := filepath.WalkDir(filepath.Join(s.dir, dir), func(name string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				title, _ := filepath.Rel(s.dir, name)
				s.files[filepath.ToSlash(title)] = read(title)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestSigstore(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	s := readSigstore(t)
	w := newWorld(t, tuftest.RepoOptions{})
	w.put(s.files)
	dir, err := trust.ParseSource("file://" + s.dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string]trust.Source{"directory": dir, "bundle": w.source()} {
		t.Run(name, func(t *testing.T) {
			now := s.at
			client := func(edits ...func(*trust.Options)) *trust.Client {
				return w.clientOf(s.root, append(edits, func(o *trust.Options) {
					o.Source, o.StateDir, o.Now = src, filepath.Join(w.state, name), func() time.Time { return now }
				})...)
			}
			view, err := client().Refresh(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			st := view.Status()
			if st.Root.Version != 15 || st.Timestamp.Version != 762 || st.Snapshot.Version != 165 || st.Targets.Version != 14 {
				t.Errorf("status %+v", st)
			}
			targets, err := view.List(t.Context())
			if err != nil || len(targets) != 12 {
				t.Fatalf("%d targets, %v", len(targets), err)
			}
			byRole := map[string]int{}
			for _, target := range targets {
				data, again, err := view.Get(t.Context(), target.Path)
				if err != nil || int64(len(data)) != target.Length || again.Role != target.Role {
					t.Errorf("%s: %v", target.Path, err)
				}
				byRole[target.Role]++
			}
			if byRole["targets"] != 11 || byRole["registry.npmjs.org"] != 1 {
				t.Errorf("targets by role: %v", byRole)
			}
			set, err := view.Files(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][]byte{}
			for _, f := range set.Files {
				got[f.Title] = f.Data
			}
			if !maps.EqualFunc(got, s.files, bytes.Equal) {
				t.Errorf("files %v", slices.Sorted(maps.Keys(got)))
			}
			if fmt.Sprint(set.Carried) != "[1 2 3 4]" || fmt.Sprint(set.Unreached) != "[rekor revocation root staging]" {
				t.Errorf("carried %v, unreached %v", set.Carried, set.Unreached)
			}
			for range 2 { // from the state, with and without a network
				if view, err = client().Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
				if view.Status().Unchanged != (name == "bundle") {
					t.Errorf("unchanged: %v", view.Status().Unchanged)
				}
			}
			if view, err = client().Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := lookup(t, view, "registry.npmjs.org/keys.json"); err != nil {
				t.Error(err)
			}
			now = now.AddDate(0, 1, 0)
			_, err = client().Refresh(t.Context())
			if e := refused(t, err, trust.ErrExpired); e.Role != "timestamp" || e.Version != 762 {
				t.Errorf("evidence %+v", e)
			}
			// Its first roots have keys that nothing here reads; the error says so.
			_, err = trust.New(s.files["metadata/4.root.json"], trust.Options{})
			refused(t, err, trust.ErrMalformed)
		})
	}
}
