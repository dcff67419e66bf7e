package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

// gallery is a registry with images, of which a trust repository speaks.
type gallery struct {
	*shelf
	repo   *tuftest.Repo
	client *ociremote.Client
}

func newGallery(t *testing.T, o tuftest.RegistryOptions) *gallery {
	t.Helper()
	client, err := ociremote.NewClient(ociremote.Options{Retries: -1, RegistryConfig: filepath.Join(t.TempDir(), "config.json")})
	if err != nil {
		t.Fatal(err)
	}
	g := &gallery{shelf: &shelf{tuftest.NewRegistry(t, o), t}, repo: tuftest.NewRepo(t, tuftest.RepoOptions{}), client: client}
	g.delegate()
	return g
}

// delegate makes the roles in which the images are: the walk of shop/api visits
// first, which does not list it.
func (g *gallery) delegate() {
	g.repo.AddTarget("notation/x509/ca/acme/ca.pem", []byte("a certificate"))
	g.repo.AddTarget("large", []byte("what no image needs"))
	for _, role := range []string{"first", "one", "two"} {
		g.repo.Delegate("targets", role, []string{"images/shop/*"}, false)
	}
	g.repo.Delegate("targets", "other", []string{"images/other/*"}, false)
	g.repo.Publish()
}

// sign puts an image and lists it in a role under its tags and its digest.
func (g *gallery) sign(role, repository, name string, tags ...string) digest.Digest {
	g.t.Helper()
	data := manifest(name)
	d := digest.Digest(g.put(repository, "", data))
	g.repo.AddEntry("two", "images/"+repository+"@"+d.String(), int64(len(data)), d.Encoded(), nil)
	for _, tag := range tags {
		g.put(repository, tag, data)
		g.repo.AddEntry(role, "images/"+repository+":"+tag, int64(len(data)), d.Encoded(), nil)
	}
	g.repo.Publish()
	return d
}

func (g *gallery) view() *trust.View {
	g.t.Helper()
	return see(g.t, g.repo.RootBytes(), memory(g.t, g.repo))
}

func (g *gallery) openWritable(ctx context.Context, ref ociremote.ImageReference) (ociremote.WritableRepository, error) {
	repo, err := g.client.Repository(ctx, ref.Reference(), true)
	if err != nil {
		return nil, err
	}
	return repo.(ociremote.WritableRepository), nil
}

func (g *gallery) attachment(name string) publish.Attachment {
	g.t.Helper()
	ref, err := ociremote.ParseImage(g.Host() + "/" + name)
	if err != nil {
		g.t.Fatal(err)
	}
	return publish.Attachment{Image: ref, Repository: ref.Repository, Tag: ref.Tag}
}

func (g *gallery) attach(view *trust.View, names ...string) []publish.AttachResult {
	g.t.Helper()
	images := make([]publish.Attachment, len(names))
	for n, name := range names {
		images[n] = g.attachment(name)
	}
	return publish.Attach(g.t.Context(), view, images, g.openWritable, publish.AttachOptions{Now: clock})
}

// one is attach for one image, which must succeed.
func (g *gallery) one(name string) publish.AttachResult {
	g.t.Helper()
	r := g.attach(g.view(), name)[0]
	if r.Err != nil {
		g.t.Fatal(r.Err)
	}
	return r
}

// attached are the digests of what a repository lists as attached to an image.
func (g *gallery) attached(repository string, subject digest.Digest) []digest.Digest {
	g.t.Helper()
	repo := remote(g.t, g.Registry, repository)
	list, err := ociremote.Referrers(g.t.Context(), repo, ocispec.Descriptor{Digest: subject}, ociremote.ReferrersOptions{ArtifactTypes: []string{ociremote.MediaTypeBundle}})
	if err != nil {
		g.t.Fatal(err)
	}
	var all []digest.Digest
	for _, d := range list.Descriptors {
		all = append(all, d.Digest)
	}
	slices.Sort(all)
	return all
}

func (g *gallery) wantAttached(repository string, subject digest.Digest, want ...digest.Digest) {
	g.t.Helper()
	slices.Sort(want)
	if got := g.attached(repository, subject); !slices.Equal(got, want) {
		g.t.Errorf("attached to %s: %v, want %v", subject, got, want)
	}
}

// wantAnswers looks names up as a client does that has an attachment and the root.
func (g *gallery) wantAnswers(root []byte, repository string, bundle digest.Digest, names ...string) {
	g.t.Helper()
	view, err := refresh(g.t.Context(), root, trust.Options{Source: trust.RepositorySource(remote(g.t, g.Registry, repository), bundle.String())})
	if err != nil {
		g.t.Fatal(err)
	}
	for _, name := range names {
		if _, err := view.Lookup(g.t.Context(), name); err != nil {
			g.t.Errorf("attached %s: %v", bundle, err)
		}
	}
}

func TestAttach(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]tuftest.RegistryOptions{"referrers": {}, "no referrers": {NoReferrers: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGallery(t, o)
			subject := g.sign("one", "shop/api", "first", "1", "latest")
			first := g.one("shop/api:1")
			if first.Subject != subject || first.Unchanged || !slices.Equal(first.Roles, []string{"first", "one", "two"}) || first.Versions["timestamp"] != g.repo.Version("timestamp") {
				t.Errorf("result is %+v", first)
			}
			b := bundle(t, remote(t, g.Registry, "shop/api"), first.Digest.String())
			if !b.Partial || b.Subject == nil || b.Subject.Digest != subject || b.Annotations[ociremote.AnnotationTimestampVersion] == "" {
				t.Errorf("the bundle is %+v", b)
			}
			set, err := g.view().FilesFor(t.Context(), []string{"images/shop/api:1", "images/shop/api@" + subject.String()}, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string][]byte{}
			for _, f := range set.Files {
				want[f.Title] = f.Data
			}
			wantFiles(t, remote(t, g.Registry, "shop/api"), first.Digest.String(), want)
			g.wantAttached("shop/api", subject, first.Digest)
			wantTags(t, remote(t, g.Registry, "shop/api"), slices.Concat([]string{"1", "latest"}, fallback(o, subject))...)

			// Again: nothing is sent.
			g.Reset()
			if r := g.one("shop/api:1"); !r.Unchanged || r.Digest != first.Digest || len(r.Pruned)+len(r.Kept) > 0 {
				t.Errorf("the second time: %+v", r)
			}
			if w := writes(g.Registry); len(w) != 0 {
				t.Errorf("writes: %+v", w)
			}

			// A new state supersedes the old one.
			g.repo.AddTarget("large", []byte("a change that no image needs"))
			g.repo.Publish()
			second := g.one("shop/api:1")
			if second.Unchanged || !slices.Equal(second.Pruned, []digest.Digest{first.Digest}) || len(second.Kept) > 0 {
				t.Errorf("a new state: %+v", second)
			}
			g.wantAttached("shop/api", subject, second.Digest)
			if _, ok := g.Manifest("shop/api", first.Digest.String()); ok {
				t.Errorf("the superseded attachment is still there")
			}
			g.wantAnswers(g.repo.RootBytes(), "shop/api", second.Digest, "images/shop/api:1", "images/shop/api@"+subject.String())
		})
	}
}

// fallback is the tag that lists referrers where the registry does not.
func fallback(o tuftest.RegistryOptions, subject digest.Digest) []string {
	if !o.NoReferrers {
		return nil
	}
	return []string{"sha256-" + subject.Encoded()}
}

// TestAttachForOtherNames: what is attached for one tag stays for another one of the
// same image, at once or later.
func TestAttachForOtherNames(t *testing.T) {
	t.Parallel()
	g := newGallery(t, tuftest.RegistryOptions{})
	subject := g.sign("one", "shop/api", "image", "1")
	g.sign("other", "other/api", "image", "2")
	// The same image under a name of another repository, whose role shop/api does not need.
	both := publish.Attachment{Image: g.attachment("shop/api:1").Image, Repository: "other/api", Tag: "2"}
	g.repo.AddEntry("other", "images/other/api@"+subject.String(), int64(len(manifest("image"))), subject.Encoded(), nil)
	g.repo.Publish()

	attach := func(images ...publish.Attachment) publish.AttachResult {
		t.Helper()
		results := publish.Attach(t.Context(), g.view(), images, g.openWritable, publish.AttachOptions{Now: clock})
		for _, r := range results {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			if r.Digest != results[0].Digest {
				t.Errorf("of one image there are two attachments: %+v", results)
			}
		}
		return results[0]
	}
	g.wantAnswers(g.repo.RootBytes(), "shop/api", attach(both).Digest, "images/other/api:2")
	later := attach(g.attachment("shop/api:1"))
	if !slices.Equal(later.Roles, []string{"first", "one", "two", "other"}) {
		t.Errorf("roles are %q", later.Roles)
	}
	g.wantAnswers(g.repo.RootBytes(), "shop/api", later.Digest, "images/shop/api:1", "images/other/api:2")
	g.repo.Touch("timestamp")
	g.repo.Publish()
	atOnce := attach(g.attachment("shop/api:1"), both)
	g.wantAnswers(g.repo.RootBytes(), "shop/api", atOnce.Digest, "images/shop/api:1", "images/other/api:2")
	g.wantAttached("shop/api", subject, atOnce.Digest)
}

func TestAttachRefuses(t *testing.T) {
	t.Parallel()
	g := newGallery(t, tuftest.RegistryOptions{})
	subject := g.sign("one", "shop/api", "image", "1", "moved")
	other := g.put("shop/api", "moved", manifest("another image"))
	g.put("shop/api", "unsigned", manifest("image"))
	g.Reset()
	view := g.view()
	for name, want := range map[string]error{
		"shop/api:moved":               publish.ErrDiffers,
		"shop/api@" + other:            trust.ErrTargetNotFound,
		"shop/api:unsigned":            trust.ErrTargetNotFound,
		"shop/api:1@" + other:          publish.ErrDiffers,
		"shop/api:none":                publish.ErrNoImage,
		"other/api@" + string(subject): publish.ErrNoImage,
	} {
		r := g.attach(view, name)[0]
		if !errors.Is(r.Err, want) {
			t.Errorf("%s: error is %v, want one that is %v", name, r.Err, want)
		}
		if r.Image.Repository == "" {
			t.Errorf("%s: the result does not say of what it is", name)
		}
	}
	wantErr(t, g.attach(view, "shop/api:unsigned")[0].Err, publish.ErrNotSigned)
	unverified, err := refresh(t.Context(), g.repo.RootBytes(), trust.Options{Source: trust.RepositorySource(memory(t, g.repo), channel), AllowExpired: true})
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, g.attach(unverified, "shop/api:1")[0].Err, publish.ErrUnverified)
	// One that is refused keeps no other from being done.
	if r := g.attach(view, "shop/api:moved", "shop/api:1"); r[0].Err == nil || r[1].Err != nil {
		t.Errorf("results are %+v", r)
	}
}

// TestAttachRefusesWhatClientsWould: nothing is attached, and nothing deleted, that leaves
// clients without an answer: here, revocations that nobody can read.
func TestAttachRefusesWhatClientsWould(t *testing.T) {
	t.Parallel()
	g := newGallery(t, tuftest.RegistryOptions{})
	subject := g.sign("one", "shop/api", "image", "1")
	first := g.one("shop/api:1")
	g.repo.AddTarget("revocations.json", []byte(`{"version":99}`))
	g.repo.Publish()
	view := g.view()
	g.Reset()
	wantErr(t, g.attach(view, "shop/api:1")[0].Err, trust.ErrRevocations)
	if w := writes(g.Registry); len(w) != 0 {
		t.Errorf("writes: %+v", w)
	}
	g.wantAttached("shop/api", subject, first.Digest)
}

// TestAttachKeepsWhatCannotBeDeleted: a registry that lets nothing go is no failure.
func TestAttachKeepsWhatCannotBeDeleted(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]tuftest.RegistryOptions{"referrers": {}, "no referrers": {NoReferrers: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGallery(t, o)
			subject := g.sign("one", "shop/api", "image", "1")
			first := g.one("shop/api:1")
			g.repo.Touch("timestamp")
			g.repo.Publish()
			g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Method == http.MethodDelete {
					w.WriteHeader(http.StatusMethodNotAllowed)
					return
				}
				next.ServeHTTP(w, r)
			})
			second := g.one("shop/api:1")
			if len(second.Pruned) > 0 || !slices.Equal(second.Kept, []digest.Digest{first.Digest}) {
				t.Errorf("result is %+v", second)
			}
			if !slices.Contains(g.attached("shop/api", subject), second.Digest) {
				t.Errorf("the new one is not listed")
			}
		})
	}
}

// TestAttachDeletesOnlyWhatIsSuperseded: what cannot be read back supersedes nothing.
func TestAttachDeletesOnlyWhatIsSuperseded(t *testing.T) {
	t.Parallel()
	g := newGallery(t, tuftest.RegistryOptions{})
	g.sign("one", "shop/api", "image", "1")
	first := g.one("shop/api:1")
	g.repo.Touch("timestamp")
	g.repo.Publish()
	var pushed atomic.Bool
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		manifest := filepath.Base(filepath.Dir(r.URL.Path)) == "manifests"
		if pushed.Load() && r.Method == http.MethodGet && manifest {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if r.Method == http.MethodPut && manifest {
			pushed.Store(true)
		}
		next.ServeHTTP(w, r)
	})
	if r := g.one("shop/api:1"); len(r.Pruned) > 0 || len(r.Kept) != 1 {
		t.Errorf("result is %+v", r)
	}
	if _, ok := g.Manifest("shop/api", first.Digest.String()); !ok {
		t.Errorf("the older one was deleted before the newer one could be read")
	}
}

// TestAttachLeavesOthers: what is of another lineage, or no attachment, stays.
func TestAttachLeavesOthers(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]tuftest.RegistryOptions{"referrers": {}, "no referrers": {NoReferrers: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGallery(t, o)
			subject := g.sign("one", "shop/api", "image", "1")
			theirs := &gallery{shelf: g.shelf, repo: tuftest.NewRepo(t, tuftest.RepoOptions{}), client: g.client}
			theirs.delegate()
			theirs.sign("two", "shop/api", "image", "1")

			// Both at the same time, twice, in one process: no entry of the list that
			// this process writes is lost. The list of the API is the registry's own
			// affair, and olareg loses entries of it.
			var last [2]publish.AttachResult
			for range 2 {
				var wg sync.WaitGroup
				for n, of := range []*gallery{g, theirs} {
					view := of.view()
					wg.Go(func() { last[n] = of.attach(view, "shop/api:1")[0] })
					if !o.NoReferrers {
						wg.Wait()
					}
				}
				wg.Wait()
				for _, r := range last {
					if r.Err != nil {
						t.Fatal(r.Err)
					}
				}
				g.wantAttached("shop/api", subject, last[0].Digest, last[1].Digest)
				g.repo.Touch("timestamp")
				g.repo.Publish()
				theirs.repo.Touch("timestamp")
				theirs.repo.Publish()
			}
			g.wantAnswers(g.repo.RootBytes(), "shop/api", last[0].Digest, "images/shop/api:1")
			g.wantAnswers(theirs.repo.RootBytes(), "shop/api", last[1].Digest, "images/shop/api:1")

			// Of this lineage, but whole, and one that only says that it is.
			whole := tuftest.Pack(t, g.repo.Files(), tuftest.PackOptions{Edit: refer(subject, false)})
			forged := tuftest.Pack(t, forge(g.repo.Files()), tuftest.PackOptions{Edit: refer(subject, true)})
			for _, b := range []*tuftest.Bundle{whole, forged} {
				g.push("shop/api", b)
			}
			if r := g.one("shop/api:1"); len(r.Kept) > 0 || slices.Contains(r.Pruned, digest.Digest(whole.Digest)) || slices.Contains(r.Pruned, digest.Digest(forged.Digest)) {
				t.Errorf("result is %+v", r)
			}
			for _, d := range []string{whole.Digest, forged.Digest, last[1].Digest.String()} {
				if _, ok := g.Manifest("shop/api", d); !ok {
					t.Errorf("%s was deleted", d)
				}
			}
		})
	}
}

// Older attachments are in memory at the same time: what is more than clients take of one,
// twice, stays where it is.
func TestAttachHoldsLittle(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	g := newGallery(t, tuftest.RegistryOptions{})
	subject := g.sign("one", "shop/api", "image", "1")
	older := map[digest.Digest]bool{}
	for n := range byte(4) {
		files := g.repo.Files()
		files["targets/filler"] = bytes.Repeat([]byte{n}, 3<<20) // which anybody can add
		b := tuftest.Pack(t, files, tuftest.PackOptions{Inline: slices.Collect(maps.Keys(files)), Edit: refer(subject, true)})
		g.push("shop/api", b)
		older[digest.Digest(b.Digest)] = true
	}
	g.repo.Touch("timestamp")
	g.repo.Publish()
	var said warnings
	r := publish.Attach(t.Context(), g.view(), []publish.Attachment{g.attachment("shop/api:1")}, g.openWritable, publish.AttachOptions{Now: clock, Warn: said.add})[0]
	if r.Err != nil || len(r.Pruned) != 2 || !older[r.Pruned[0]] || !older[r.Pruned[1]] || len(r.Kept) > 0 {
		t.Errorf("result is %+v", r)
	}
	if n := strings.Count(said.String(), "left alone"); n != 2 {
		t.Errorf("%d warnings: %s", n, &said)
	}
}

// Where a registry has no referrers API, a tag lists what refers to an image. Whoever may
// push, and not delete, can let it name the index of an image: that is not removed for them.
func TestAttachRemovesNoIndex(t *testing.T) {
	t.Parallel()
	g := newGallery(t, tuftest.RegistryOptions{NoReferrers: true})
	subject := g.sign("one", "shop/api", "image", "1")
	index := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":%d,"platform":{"os":"linux","architecture":"amd64"}}]}`,
		ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, subject, len(manifest("image")))
	image := g.put("shop/api", "latest", index)
	g.put("shop/api", strings.Replace(subject.String(), ":", "-", 1), index)
	first := g.one("shop/api:1")
	if got := g.Digest("shop/api", "latest"); got != image {
		t.Errorf("the image is %q, want %s", got, image)
	}
	g.repo.Touch("timestamp")
	g.repo.Publish()
	second := g.one("shop/api:1")
	if !slices.Equal(second.Pruned, []digest.Digest{first.Digest}) || g.Digest("shop/api", "latest") != image {
		t.Errorf("then: %+v, the image is %q", second, g.Digest("shop/api", "latest"))
	}
	g.wantAttached("shop/api", subject, second.Digest)
}

// refer makes a bundle one that is attached to an image.
func refer(subject digest.Digest, partial bool) func(map[string]any) {
	return func(m map[string]any) {
		m["subject"] = map[string]any{"mediaType": ocispec.MediaTypeImageManifest, "digest": subject.String(), "size": len(manifest("image"))}
		if partial {
			m["annotations"].(map[string]any)[ociremote.AnnotationPartial] = "true"
		}
	}
}

// forge gives a repository a timestamp that nobody signed.
func forge(files map[string][]byte) map[string][]byte {
	files["metadata/timestamp.json"] = bytes.Replace(files["metadata/timestamp.json"], []byte(`"version":`), []byte(`"version":9`), 1)
	return files
}

// push stores a bundle without a tag, listed as the registry needs it.
func (g *gallery) push(repository string, b *tuftest.Bundle) {
	g.t.Helper()
	repo, err := g.openWritable(g.t.Context(), g.attachment(repository+":1").Image)
	if err != nil {
		g.t.Fatal(err)
	}
	for d, data := range b.Blobs {
		desc := ocispec.Descriptor{MediaType: "application/octet-stream", Digest: digest.Digest(d), Size: int64(len(data))}
		if err := repo.Push(g.t.Context(), desc, bytes.NewReader(data)); err != nil {
			g.t.Fatal(err)
		}
	}
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(b.Digest), Size: int64(len(b.Manifest))}
	if err := repo.Push(g.t.Context(), desc, bytes.NewReader(b.Manifest)); err != nil {
		g.t.Fatal(err)
	}
}

func TestAttachNeverGoesBack(t *testing.T) {
	t.Parallel()
	g := newGallery(t, tuftest.RegistryOptions{})
	subject := g.sign("one", "shop/api", "image", "1")
	old, fork := g.view(), g.repo.Fork()
	g.repo.Touch("timestamp")
	g.repo.Publish()
	newer := g.one("shop/api:1")
	wantErr(t, g.attach(old, "shop/api:1")[0].Err, trust.ErrRollback)
	fork.Delegate("targets", "fork", []string{"images/fork/*"}, false)
	fork.Publish()
	wantErr(t, g.attach(see(t, g.repo.RootBytes(), memory(t, fork)), "shop/api:1")[0].Err, publish.ErrFork)
	g.wantAttached("shop/api", subject, newer.Digest)
}

func TestAttachDryRun(t *testing.T) {
	t.Parallel()
	g := newGallery(t, tuftest.RegistryOptions{})
	g.sign("one", "shop/api", "image", "1")
	g.one("shop/api:1")
	g.repo.Touch("timestamp")
	g.repo.Publish()
	g.Reset()
	r := publish.Attach(t.Context(), g.view(), []publish.Attachment{g.attachment("shop/api:1")}, g.openWritable, publish.AttachOptions{Now: clock, DryRun: true})[0]
	if r.Err != nil || r.Unchanged || len(r.Roles) != 3 || len(r.Pruned)+len(r.Kept) > 0 || !r.Expires.After(now) {
		t.Errorf("result is %+v", r)
	}
	if w := writes(g.Registry); len(w) != 0 {
		t.Errorf("writes: %+v", w)
	}
}

// TestAttachExpires: an attachment is of use until the first of its roles expires.
func TestAttachExpires(t *testing.T) {
	t.Parallel()
	g := newGallery(t, tuftest.RegistryOptions{})
	g.sign("one", "shop/api", "image", "1")
	soon := now.Add(2 * time.Hour).Truncate(time.Second)
	g.repo.SetExpiry("first", soon)
	g.repo.SetExpiry("other", now.Add(time.Hour)) // not in it
	g.repo.Publish()
	if r := g.one("shop/api:1"); !r.Expires.Equal(soon) {
		t.Errorf("it expires %s, want %s", r.Expires, soon)
	}
}

// TestAttachInLayout: a layout lists what is attached in its index.
func TestAttachInLayout(t *testing.T) {
	t.Parallel()
	g := newGallery(t, tuftest.RegistryOptions{})
	g.sign("one", "shop/api", "image", "1")
	dir := filepath.Join(t.TempDir(), "layout")
	layout, err := ociremote.CreateLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	empty := []byte("{}")
	store(t, layout, "1", &tuftest.Bundle{Manifest: manifest("image"), Blobs: map[string][]byte{tuftest.Digest(empty): empty}})
	image := publish.Attachment{Image: ociremote.ImageReference{Kind: ociremote.KindLayout, Path: dir, Tag: "1"}, Repository: "shop/api", Tag: "1"}
	attach := func() publish.AttachResult {
		t.Helper()
		r := publish.Attach(t.Context(), g.view(), []publish.Attachment{image}, g.openWritable, publish.AttachOptions{Now: clock})[0]
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		return r
	}
	first := attach()
	g.repo.Touch("timestamp")
	g.repo.Publish()
	second := attach()
	if !slices.Equal(second.Pruned, []digest.Digest{first.Digest}) {
		t.Errorf("result is %+v", second)
	}
	read := reopen(t, image.Image.Reference())
	list, err := ociremote.Referrers(t.Context(), read, ocispec.Descriptor{Digest: second.Subject}, ociremote.ReferrersOptions{ArtifactTypes: []string{ociremote.MediaTypeBundle}})
	if err != nil || len(list.Descriptors) != 1 || list.Descriptors[0].Digest != second.Digest {
		t.Errorf("the layout lists %+v (%v)", list, err)
	}
	wantTags(t, layout, "1")
}

// TestAttachForGitLab: a bundle without a type of its own is found all the same.
func TestAttachForGitLab(t *testing.T) {
	t.Parallel()
	g := newGallery(t, tuftest.RegistryOptions{NoReferrers: true})
	subject := g.sign("one", "shop/api", "image", "1")
	attach := func() publish.AttachResult {
		t.Helper()
		r := publish.Attach(t.Context(), g.view(), []publish.Attachment{g.attachment("shop/api:1")}, g.openWritable, publish.AttachOptions{Now: clock, Layout: ociremote.LayoutGitLab})[0]
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		return r
	}
	first := attach()
	g.wantAttached("shop/api", subject, first.Digest)
	if again := attach(); !again.Unchanged {
		t.Errorf("the second time: %+v", again)
	}
}

// TestAttachRenews: what only renews leaves alone what has nothing attached, and what
// has nothing new but snapshot and timestamp.
func TestAttachRenews(t *testing.T) {
	t.Parallel()
	g := newGallery(t, tuftest.RegistryOptions{})
	g.sign("one", "shop/api", "image", "1")
	g.sign("one", "shop/web", "web", "1")
	g.sign("other", "other/api", "other", "1")
	g.one("shop/api:1")
	renew := func(changed ...string) map[string]publish.AttachResult {
		t.Helper()
		images, err := publish.Renewals(t.Context(), g.view(), publish.RenewalOptions{Host: g.Host(), Changed: changed})
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string]publish.AttachResult{}
		for _, r := range publish.Attach(t.Context(), g.view(), images, g.openWritable, publish.AttachOptions{Now: clock}) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			byName[r.Repository] = r
		}
		return byName
	}
	g.repo.Touch("timestamp")
	g.repo.Publish()
	if got := renew("one"); len(got) != 2 || !got["shop/api"].Skipped || !got["shop/web"].Skipped {
		t.Errorf("nothing new: %+v", got)
	}
	g.repo.AddTargetTo("first", "images/shop/none", []byte("no name of an image"))
	g.repo.Publish()
	if got := renew("other"); len(got) != 1 {
		t.Errorf("a change of another role: %+v", got)
	}
	if got := renew("first"); len(got) != 2 || got["shop/api"].Skipped || len(got["shop/api"].Pruned) != 1 || !got["shop/web"].Skipped {
		t.Errorf("a role that the lookup visits has changed: %+v", got)
	}
	if got := renew(); len(got) != 3 || !got["shop/api"].Skipped {
		t.Errorf("what has changed is not known: %+v", got)
	}
}
