package publish_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

// shelves is a registry with a home and repositories of images beside it.
type shelves struct {
	t    *testing.T
	g    *tuftest.Registry
	repo *tuftest.Repo
}

const home = "acme/trust"

func newShelves(t *testing.T) *shelves {
	t.Helper()
	s := &shelves{t: t, g: tuftest.NewRegistry(t, tuftest.RegistryOptions{}), repo: world(t)}
	s.publish()
	return s
}

// publish moves home to what the repository is now.
func (s *shelves) publish() {
	s.t.Helper()
	store(s.t, remote(s.t, s.g, home), channel, tuftest.Pack(s.t, s.repo.Files(), tuftest.PackOptions{}))
}

// view is what a client sees at home.
func (s *shelves) view() *trust.View {
	s.t.Helper()
	return see(s.t, s.repo.RootBytes(), remote(s.t, s.g, home))
}

func (s *shelves) copies(names ...string) []publish.BesideCopy {
	s.t.Helper()
	copies := make([]publish.BesideCopy, len(names))
	for n, name := range names {
		copies[n] = publish.BesideCopy{Name: s.g.Host() + "/" + name, Repository: remote(s.t, s.g, name), MountFrom: home}
	}
	return copies
}

func (s *shelves) beside(o publish.BesideOptions, names ...string) []publish.BesideResult {
	s.t.Helper()
	o.Now = clock
	return publish.Beside(s.t.Context(), s.view(), s.copies(names...), o)
}

// one is beside for one copy, which must succeed.
func (s *shelves) one(name string) publish.BesideResult {
	s.t.Helper()
	r := s.beside(publish.BesideOptions{}, name)[0]
	if r.Err != nil {
		s.t.Fatal(r.Err)
	}
	return r
}

// lineage is the tag of copies of a repository where the channel is taken.
func lineage(r *tuftest.Repo) string {
	return ociremote.LineageTag(channel, digest.FromBytes(r.RootBytes()))
}

// sent are the requests that upload a blob, mounts aside.
func sent(g *tuftest.Registry) (uploads, mounts int) {
	for _, r := range g.Requests() {
		switch {
		case r.Method == http.MethodPost && strings.Contains(r.Query, "mount="):
			mounts++
		case r.Method == http.MethodPut && strings.Contains(r.Path, "/blobs/uploads"):
			uploads++
		}
	}
	return uploads, mounts
}

func TestBesideMountsAndKeepsUpToDate(t *testing.T) {
	t.Parallel()
	s := newShelves(t)
	names := []string{"shop/api", "shop/web", "shop/db"}
	want := bundle(t, remote(t, s.g, home), channel).Descriptor.Digest
	s.g.Reset()
	for n, r := range s.beside(publish.BesideOptions{}, names...) {
		if r.Err != nil || !r.Created || r.Unchanged || r.Tag != channel || r.Digest != want || r.From != 0 || r.To != 2 || r.Name != s.g.Host()+"/"+names[n] {
			t.Errorf("new copy is %+v", r)
		}
	}
	if uploads, mounts := sent(s.g); uploads != 0 || mounts == 0 {
		t.Errorf("%d blobs were uploaded and %d mounted", uploads, mounts)
	}
	for _, name := range names {
		wantTags(t, remote(t, s.g, name), channel)
		wantTarget(t, see(t, s.repo.RootBytes(), remote(t, s.g, name)), "team/file", "of the team")
	}

	// What is current costs one request.
	copies, view := s.copies(names...), s.view()
	s.g.Reset()
	for _, r := range publish.Beside(t.Context(), view, copies, publish.BesideOptions{Now: clock}) {
		if r.Err != nil || !r.Unchanged || r.Created || r.Digest != want || r.From != 2 || r.To != 2 {
			t.Errorf("current copy is %+v", r)
		}
	}
	if n := len(s.g.Requests()); n != len(names) {
		t.Errorf("%d requests for %d copies that are current", n, len(names))
	}

	// Of what is older, only what changed is asked for.
	s.repo.AddTarget("hello.txt", []byte("hello again"))
	s.repo.Publish()
	s.publish()
	view = s.view()
	s.g.Reset()
	for _, r := range publish.Beside(t.Context(), view, copies, publish.BesideOptions{Now: clock}) {
		if r.Err != nil || r.Unchanged || r.Created || r.From != 2 || r.To != 3 {
			t.Errorf("older copy is %+v", r)
		}
	}
	if uploads, mounts := sent(s.g); uploads != 0 || mounts != 5*len(names) {
		t.Errorf("%d blobs were uploaded and %d mounted, want 5 each: inline layer, timestamp, snapshot, targets, file", uploads, mounts)
	}
	wantTarget(t, see(t, s.repo.RootBytes(), remote(t, s.g, "shop/web")), "hello.txt", "hello again")
}

func TestBesideEqualContent(t *testing.T) {
	t.Parallel()
	s := newShelves(t)
	// The same files in another manifest: nothing is sent.
	store(t, remote(t, s.g, "shop/api"), channel, tuftest.Pack(t, s.repo.Files(), tuftest.PackOptions{NoInline: true}))
	want := bundle(t, remote(t, s.g, "shop/api"), channel).Descriptor.Digest
	s.g.Reset()
	if r := s.one("shop/api"); !r.Unchanged || r.Digest != want {
		t.Errorf("result is %+v", r)
	}
	if w := writes(s.g); len(w) != 0 {
		t.Errorf("writes: %+v", w)
	}
}

func TestBesideNeverGoesBack(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		there func(newer, fork *tuftest.Repo) *tuftest.Repo
		want  error
	}{
		"newer": {func(newer, _ *tuftest.Repo) *tuftest.Repo { return newer }, trust.ErrRollback},
		"fork":  {func(_, fork *tuftest.Repo) *tuftest.Repo { return fork }, publish.ErrFork},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelves(t)
			fork := s.repo.Fork()
			s.repo.AddTarget("new.txt", []byte("new"))
			s.repo.Publish()
			s.publish()
			newer := s.repo.Fork()
			newer.AddTarget("newer.txt", []byte("newer"))
			newer.Publish()
			fork.AddTarget("other.txt", []byte("other"))
			fork.Publish()
			there := remote(t, s.g, "shop/api")
			store(t, there, channel, tuftest.Pack(t, test.there(newer, fork).Files(), tuftest.PackOptions{}))
			before := bundle(t, there, channel).Descriptor.Digest
			results := s.beside(publish.BesideOptions{}, "shop/api", "shop/web")
			wantErr(t, results[0].Err, test.want)
			if results[1].Err != nil {
				t.Errorf("the other copy: %v", results[1].Err)
			}
			if got := bundle(t, there, channel).Descriptor.Digest; got != before {
				t.Errorf("the tag moved to %s", got)
			}
			wantTags(t, there, channel)
		})
	}
}

// A copy with the first root of this repository and another one after it is of somebody
// who has a key of the root: it is not overwritten, however old it is.
func TestBesideOfAForkedRoot(t *testing.T) {
	t.Parallel()
	s := newShelves(t)
	fork := s.repo.Fork()
	fork.RotateKey("root")
	fork.Publish()
	s.repo.RotateKey("root")
	s.repo.Publish()
	s.repo.AddTarget("new.txt", []byte("new"))
	s.repo.Publish()
	s.publish()
	there := remote(t, s.g, "shop/api")
	store(t, there, channel, tuftest.Pack(t, fork.Files(), tuftest.PackOptions{}))
	before := bundle(t, there, channel).Descriptor.Digest
	wantErr(t, s.beside(publish.BesideOptions{}, "shop/api")[0].Err, publish.ErrForeignTag)
	if got := bundle(t, there, channel).Descriptor.Digest; got != before {
		t.Errorf("the tag moved to %s", got)
	}
	wantTags(t, there, channel)
}

func TestBesideOfTwoLineages(t *testing.T) {
	t.Parallel()
	s := newShelves(t)
	other := &shelves{t: t, g: tuftest.NewRegistry(t, tuftest.RegistryOptions{}), repo: world(t)}
	other.publish()
	there := remote(t, s.g, "shop/api")
	theirs := func() publish.BesideResult {
		t.Helper()
		return publish.Beside(t.Context(), other.view(), []publish.BesideCopy{{Name: "copy", Repository: there}}, publish.BesideOptions{Now: clock})[0]
	}
	if r := s.one("shop/api"); r.Tag != channel {
		t.Errorf("the first lineage has tag %q", r.Tag)
	}
	if r := theirs(); r.Err != nil || r.Tag != lineage(other.repo) || !r.Created {
		t.Errorf("the second lineage: %+v", r)
	}
	for range 2 {
		s.repo.AddTarget("hello.txt", []byte("again"))
		s.repo.Publish()
		s.publish()
		if r := s.one("shop/api"); r.Tag != channel || r.Created || r.Unchanged {
			t.Errorf("the first lineage: %+v", r)
		}
		if r := theirs(); r.Err != nil || r.Tag != lineage(other.repo) || !r.Unchanged {
			t.Errorf("the second lineage: %+v", r)
		}
		other.repo.AddTarget("hello.txt", []byte("again"))
		other.repo.Publish()
		other.publish()
		if r := theirs(); r.Err != nil || r.Tag != lineage(other.repo) || r.Created || r.Unchanged {
			t.Errorf("the second lineage: %+v", r)
		}
	}
	wantTags(t, there, channel, lineage(other.repo))
	wantTarget(t, see(t, s.repo.RootBytes(), there), "hello.txt", "again")
	view, err := refresh(t.Context(), other.repo.RootBytes(), trust.Options{Source: trust.RepositorySource(there, lineage(other.repo))})
	if err != nil {
		t.Fatal(err)
	}
	wantTarget(t, view, "hello.txt", "again")
}

func TestBesideLeavesForeignTags(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(t *testing.T, dst ociremote.WritableRepository, tag string){
		"image": func(t *testing.T, dst ociremote.WritableRepository, tag string) {
			storeManifest(t, dst, tag, foreign)
		},
		"other roots": func(t *testing.T, dst ociremote.WritableRepository, tag string) {
			store(t, dst, tag, tuftest.Pack(t, world(t).Files(), tuftest.PackOptions{}))
		},
		"damaged bundle": func(t *testing.T, dst ociremote.WritableRepository, tag string) {
			storeManifest(t, dst, tag, []byte(strings.Replace(string(foreign), `"mediaType"`, `"artifactType":"`+ociremote.MediaTypeBundle+`","mediaType"`, 1)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelves(t)
			there, tag := remote(t, s.g, "shop/api"), lineage(s.repo)
			empty := []byte("{}")
			store(t, there, "unrelated", &tuftest.Bundle{Manifest: foreign, Blobs: map[string][]byte{tuftest.Digest(empty): empty}})
			put(t, there, channel)
			before, err := there.Resolve(t.Context(), channel)
			if err != nil {
				t.Fatal(err)
			}
			if r := s.one("shop/api"); r.Tag != tag || !r.Created {
				t.Errorf("result is %+v", r)
			}
			if r := s.one("shop/api"); r.Tag != tag || !r.Unchanged {
				t.Errorf("the second time: %+v", r)
			}
			// With the tag of the lineage taken too there is no place left.
			put(t, there, tag)
			wantErr(t, s.beside(publish.BesideOptions{}, "shop/api")[0].Err, publish.ErrForeignTag)
			if after, err := there.Resolve(t.Context(), channel); err != nil || after.Digest != before.Digest {
				t.Errorf("tag %s moved to %s (%v)", channel, after.Digest, err)
			}
			wantTags(t, there, channel, tag, "unrelated")
		})
	}
}

// TestBesideWithoutMounts: what cannot be mounted is uploaded, whatever the
// registry says about it.
func TestBesideWithoutMounts(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusAccepted, http.StatusMethodNotAllowed, http.StatusNotFound, http.StatusForbidden} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			s := newShelves(t)
			s.g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.URL.Query().Get("mount") != "" {
					if status != http.StatusAccepted {
						w.WriteHeader(status)
						return
					}
					r.URL.RawQuery = ""
				}
				next.ServeHTTP(w, r)
			})
			if r := s.one("shop/api"); !r.Created {
				t.Errorf("result is %+v", r)
			}
			wantFiles(t, remote(t, s.g, "shop/api"), channel, s.repo.Files())
		})
	}
}

func TestBesideOneFails(t *testing.T) {
	t.Parallel()
	s := newShelves(t)
	s.g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasPrefix(r.URL.Path, "/v2/shop/c/") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
	names := []string{"shop/a", "shop/b", "shop/c", "shop/d", "shop/e"}
	for n, r := range s.beside(publish.BesideOptions{}, names...) {
		if failed := r.Err != nil; failed != (names[n] == "shop/c") {
			t.Errorf("%s: %v", names[n], r.Err)
		}
	}
	for _, name := range slices.Delete(slices.Clone(names), 2, 3) {
		wantFiles(t, remote(t, s.g, name), channel, s.repo.Files())
	}
}

func TestBesideDryRun(t *testing.T) {
	t.Parallel()
	s := newShelves(t)
	s.g.Reset()
	for _, r := range s.beside(publish.BesideOptions{DryRun: true}, "shop/api") {
		if r.Err != nil || !r.Created || r.To != 2 {
			t.Errorf("result is %+v", r)
		}
	}
	if w := writes(s.g); len(w) != 0 {
		t.Errorf("writes: %+v", w)
	}
}

func TestCheckBeside(t *testing.T) {
	t.Parallel()
	s := newShelves(t)
	s.one("shop/lagging")
	s.repo.SetExpiry("timestamp", now.Add(70*24*time.Hour))
	s.repo.AddTarget("hello.txt", []byte("again"))
	s.repo.Publish()
	s.publish()
	s.one("shop/older")
	fork := s.repo.Fork()
	s.repo.SetExpiry("timestamp", now.Add(71*24*time.Hour))
	s.repo.AddTarget("hello.txt", []byte("and again"))
	s.repo.Publish()
	s.publish()
	s.one("shop/current")
	store(t, remote(t, s.g, "shop/image"), channel, tuftest.Pack(t, world(t).Files(), tuftest.PackOptions{}))
	fork.AddTarget("other.txt", []byte("other"))
	fork.Publish()
	store(t, remote(t, s.g, "shop/fork"), channel, tuftest.Pack(t, fork.Files(), tuftest.PackOptions{}))
	s.g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasPrefix(r.URL.Path, "/v2/shop/closed/") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
	names := []string{"shop/current", "shop/older", "shop/image", "shop/none", "shop/fork", "shop/closed", "shop/lagging"}
	s.g.Reset()
	states := publish.CheckBeside(t.Context(), s.view(), s.copies(names...), publish.BesideOptions{Now: clock})
	want := []struct {
		version   int64
		lags, err bool
	}{{4, false, false}, {3, false, false}, {0, true, false}, {0, true, false}, {4, false, true}, {0, false, true}, {2, true, false}}
	for n, w := range want {
		if got := states[n]; got.Version != w.version || got.Lags != w.lags || (got.Err != nil) != w.err {
			t.Errorf("%s: %+v, want version %d, lags %v, error %v", names[n], got, w.version, w.lags, w.err)
		}
	}
	wantErr(t, states[4].Err, publish.ErrFork)
	if w := writes(s.g); len(w) != 0 {
		t.Errorf("writes: %+v", w)
	}
}

// TestBesideAfterPublish: what a publish has verified is copied without another
// refresh, files that only the registry has included.
func TestBesideAfterPublish(t *testing.T) {
	t.Parallel()
	g, a := registry(t), newAuthor(t)
	large := strings.Repeat("far too large for an inline layer ", 10_000)
	a.stage("", "large.txt", large)
	first := a.publish(g)
	a.stage("", "hello.txt", "again")
	second := a.publish(g)
	here := remote(t, g, "shop/api")
	for _, test := range []struct {
		result  *publish.Result
		version int64
	}{{first, 1}, {second, 2}, {a.publish(g), 2}} {
		g.Reset()
		r := publish.Beside(t.Context(), test.result.View, []publish.BesideCopy{{Name: "copy", Repository: here, MountFrom: repository}}, publish.BesideOptions{Now: clock})[0]
		if r.Err != nil || r.To != test.version || r.Digest != test.result.Digest {
			t.Fatalf("copy is %+v", r)
		}
		for _, request := range g.Requests() {
			if strings.Contains(request.Path, repository+"/manifests/") {
				t.Errorf("home is read again: %s %s", request.Method, request.Path)
			}
		}
	}
	wantTarget(t, see(t, a.root1(), here), "large.txt", large)
	a.stage("", "hello.txt", "and again")
	// A dry run says what it would do to the copy, and does not.
	r, err := a.try(t.Context(), g, publish.Options{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	planned := publish.Beside(t.Context(), r.View, []publish.BesideCopy{{Name: "copy", Repository: here, MountFrom: repository}}, publish.BesideOptions{DryRun: true, Now: clock})[0]
	if planned.Err != nil || planned.From != 2 || planned.To != 3 || g.Digest("shop/api", "tuf") != second.Digest.String() {
		t.Errorf("planned is %+v", planned)
	}
}

// A timestamp that states a life of longer than any time has no more than what is left of
// it: whoever has its key alone can make nothing look old, or old enough to be removed.
func TestAbsurdLife(t *testing.T) {
	t.Parallel()
	s := newShelves(t)
	there := remote(t, s.g, "shop/api")
	store(t, there, channel, tuftest.Pack(t, s.repo.Files(), tuftest.PackOptions{}))
	s.repo.Touch("timestamp")
	s.repo.Publish()
	s.repo.Forge("timestamp", func(signed map[string]any) { signed["x-tufoci-expires"] = 1 << 54 })
	view := see(t, s.repo.RootBytes(), memory(t, s.repo))
	states := publish.CheckBeside(t.Context(), view, []publish.BesideCopy{{Name: "shop/api", Repository: there}}, publish.BesideOptions{Now: clock})
	if got := states[0]; got.Err != nil || got.Version == 0 || got.Lags {
		t.Errorf("a copy that is one version behind: %+v", got)
	}
}
