package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// noHome is the source of a trust that is read next to images alone.
const noHome = ""

// at changes where trusts are read, by a client that loses no time.
func (w *world) at(home string, edits ...func(*ociremote.Options)) func(*verify.Options) {
	o := ociremote.Options{RetryWait: time.Millisecond, Connect: time.Second}
	for _, edit := range edits {
		edit(&o)
	}
	return func(v *verify.Options) {
		for i, t := range v.Trusts {
			options := trust.Options{StateDir: w.state, Client: must(ociremote.NewClient(o)), Now: w.now, MaxStale: t.MaxStale}
			if home != noHome {
				options.Source = must(trust.ParseSource(home))
			}
			v.Trusts[i].Client = must(trust.New(w.repo.RootBytes(), options))
		}
	}
}

// closed is a home where nobody listens.
func closed(t testing.TB) string {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	defer l.Close()
	return l.Addr().String() + "/acme/trust"
}

// home is that of the world.
func (w *world) home() string { return w.registry.Host() + "/acme/trust" }

// beside puts a copy into the repository of the images.
func (w *world) beside(tag string, files map[string][]byte) {
	w.t.Helper()
	d := w.bundle(files, tuftest.PackOptions{})
	if err := w.images.Tag(w.ctx(), d, tag); err != nil {
		w.t.Fatal(err)
	}
}

// attached attaches a copy to an image, which says that it is of a timestamp.
func (w *world) attached(to ocispec.Descriptor, files map[string][]byte, claim int) ocispec.Descriptor {
	w.t.Helper()
	return w.bundle(files, tuftest.PackOptions{
		Annotations: map[string]string{ociremote.AnnotationPartial: "true", ociremote.AnnotationTimestampVersion: fmt.Sprint(claim)},
		Edit:        func(m map[string]any) { m["subject"] = to },
	})
}

// bundle pushes a bundle without a tag.
func (w *world) bundle(files map[string][]byte, o tuftest.PackOptions) ocispec.Descriptor {
	w.t.Helper()
	b := tuftest.Pack(w.t, files, o)
	for _, data := range b.Blobs {
		w.blob("application/octet-stream", data)
	}
	return w.blob(ocispec.MediaTypeImageManifest, b.Manifest)
}

// asked counts the requests whose path holds a text.
func (w *world) asked(text string) int {
	n := 0
	for _, r := range w.requests() {
		if strings.Contains(r, text) {
			n++
		}
	}
	return n
}

// source is where the only verdict was read.
func source(r *verify.Result) string { return r.Verdicts[0].Status.Source }

// foreignFiles are those of a repository of others.
func foreignFiles(t testing.TB) map[string][]byte {
	r := tuftest.NewRepo(t, tuftest.RepoOptions{Now: time.Now()})
	return r.Files()
}

func without(files map[string][]byte, text string) map[string][]byte {
	files = maps.Clone(files)
	maps.DeleteFunc(files, func(title string, _ []byte) bool { return strings.Contains(title, text) })
	return files
}

// answering lets the registry answer what is below a path with a status.
func (w *world) answering(path string, status int) {
	w.intercept(answer{path, func(rw http.ResponseWriter, _ *http.Request) {
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		rw.WriteHeader(status)
	}})
}

// Only a home that cannot be reached, or none, lets copies answer.
func TestWhatEndsAtHome(t *testing.T) {
	t.Parallel()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "other"})).PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	tls := tuftest.NewRegistry(t, tuftest.RegistryOptions{TLS: true})
	withCA := func(o *ociremote.Options) { o.CAFile = ca }
	for name, tt := range map[string]struct {
		home   func(w *world) func(*verify.Options)
		status int // of home; -1: as it is
		edit   func(w *world)
		want   error // nil: a copy answers
	}{
		"401": {status: 401}, "403": {status: 403}, "404": {status: 404}, "405": {status: 405}, "429": {status: 429},
		"500": {status: 500}, "502": {status: 502}, "503": {status: 503}, "504": {status: 504},
		"cut":          {status: 0},
		"refused":      {status: -1, home: func(w *world) func(*verify.Options) { return w.at(closed(w.t)) }},
		"no such host": {status: -1, home: func(w *world) func(*verify.Options) { return w.at("tuf.invalid/acme/trust") }},
		"TLS":          {status: -1, home: func(w *world) func(*verify.Options) { return w.at(tls.Host()+"/acme/trust", withCA) }},
		"no home":      {status: -1, home: func(w *world) func(*verify.Options) { return w.at(noHome) }},
		"expired": {status: -1, want: trust.ErrExpired, edit: func(w *world) {
			w.repo.SetExpiry("timestamp", time.Now().Add(-time.Hour))
		}},
		"no bundle": {status: -1, want: ociremote.ErrForeign, edit: func(w *world) {
			w.registry.PutBlob("acme/trust", []byte("{}"))
		}},
		"another root": {status: -1, want: trust.ErrWrongRoot},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := good(t, withReferrers)
			w.publish()
			w.beside("tuf", w.repo.Files())
			switch {
			case name == "another root":
				w.registry.Push("acme/trust", "tuf", tuftest.Pack(t, foreignFiles(t), tuftest.PackOptions{}))
			case name == "no bundle":
				tt.edit(w)
				w.registry.PutManifest("acme/trust", "tuf", must(json.Marshal(map[string]any{
					"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest, "artifactType": "application/spdx+json", "layers": []any{},
					"config": map[string]any{"mediaType": ocispec.MediaTypeEmptyJSON, "digest": digest.FromString("{}"), "size": 2},
				})))
			case tt.edit != nil:
				tt.edit(w)
				w.publish()
			}
			home := w.at(w.home())
			if tt.home != nil {
				home = tt.home(w)
			}
			if tt.status >= 0 {
				w.answering("acme/trust/", tt.status)
			}
			w.registry.Reset()
			r := w.verify(":1.0", home)
			ends := tt.want != nil || tt.status > 0 && tt.status < 500
			if !ends {
				if r.Err != nil || source(r) != trust.PlaceBeside {
					t.Fatalf("%v, from %q", r.Err, source(r))
				}
				if told := strings.Join(r.Verdicts[0].Warnings, "\n"); (name == "no home") == strings.Contains(told, "could not be reached") {
					t.Errorf("warnings %q", told)
				}
				return
			}
			if r.Err == nil || tt.want != nil && !errors.Is(r.Err, tt.want) || errors.Is(r.Err, verify.ErrNoCopy) {
				t.Errorf("error %v, want %v", r.Err, tt.want)
			}
			if n := w.asked("manifests/tuf") - w.asked("trust:manifests/tuf"); n != 0 {
				t.Errorf("copies were looked at: %v", w.requests())
			}
		})
	}
}

// What lies beside an image, or is attached to it, in every place where images are.
func TestOrderOfCopies(t *testing.T) {
	t.Parallel()
	lineage := func(w *world) string {
		return ociremote.LineageTag("tuf", digest.FromBytes(w.repo.RootBytes()))
	}
	for name, tt := range map[string]struct {
		put  func(w *world, image ocispec.Descriptor)
		from string
		want error
	}{
		"beside": {from: trust.PlaceBeside, put: func(w *world, image ocispec.Descriptor) {
			w.beside("tuf", w.repo.Files())
			w.attached(image, foreignFiles(w.t), 9)
		}},
		"beside, by lineage": {from: trust.PlaceBeside, put: func(w *world, _ ocispec.Descriptor) {
			w.beside("tuf", foreignFiles(w.t))
			w.beside(lineage(w), w.repo.Files())
		}},
		"attached": {from: trust.PlaceAttached, put: func(w *world, image ocispec.Descriptor) {
			w.attached(image, w.repo.Files(), 2)
		}},
		"attached, others beside": {from: trust.PlaceAttached, put: func(w *world, image ocispec.Descriptor) {
			w.beside("tuf", foreignFiles(w.t))
			w.beside(lineage(w), foreignFiles(w.t))
			w.attached(image, w.repo.Files(), 2)
		}},
		"attached, an image beside": {from: trust.PlaceAttached, put: func(w *world, image ocispec.Descriptor) {
			w.push("an image called tuf", "tuf")
			w.attached(image, w.repo.Files(), 2)
		}},
		"attached, behind others": {from: trust.PlaceAttached, put: func(w *world, image ocispec.Descriptor) {
			w.attached(image, foreignFiles(w.t), 9)
			w.attached(image, foreignFiles(w.t), 8)
			w.attached(image, w.repo.Files(), 2)
		}},
		"attached, newer than others": {from: trust.PlaceAttached, put: func(w *world, image ocispec.Descriptor) {
			for range 5 {
				w.attached(image, foreignFiles(w.t), 1)
			}
			w.attached(image, w.repo.Files(), 2)
		}},
		"too many others attached": {want: trust.ErrWrongRoot, put: func(w *world, image ocispec.Descriptor) {
			for claim := range 3 {
				w.attached(image, foreignFiles(w.t), 7+claim)
			}
			w.attached(image, w.repo.Files(), 2)
		}},
		"nothing": {want: verify.ErrNoCopy, put: func(*world, ocispec.Descriptor) {}},
		"not one that expired": {want: trust.ErrExpired, put: func(w *world, image ocispec.Descriptor) {
			fork := w.repo.Fork()
			fork.SetExpiry("timestamp", time.Now().Add(-time.Hour))
			fork.PublishTimestamp()
			w.beside("tuf", fork.Files())
			w.attached(image, w.repo.Files(), 2)
		}},
		"not a forged one": {want: trust.ErrThreshold, put: func(w *world, image ocispec.Descriptor) {
			fork := w.repo.Fork()
			fork.SignAs("timestamp", tuftest.NewKey(w.t, ""))
			w.beside("tuf", fork.Files())
			w.attached(image, w.repo.Files(), 2)
		}},
		"not a broken one": {want: ociremote.ErrMalformed, put: func(w *world, image ocispec.Descriptor) {
			d := w.bundle(w.repo.Files(), tuftest.PackOptions{InlineLayer: []byte("garbage")})
			must(d, w.images.Tag(w.ctx(), d, "tuf"))
			w.attached(image, w.repo.Files(), 2)
		}},
		"not one that revokes": {want: verify.ErrRevoked, put: func(w *world, image ocispec.Descriptor) {
			before := w.repo.Files()
			w.revoke([]map[string]any{revokedImage(image.Digest, "")})
			w.publish()
			w.beside("tuf", w.repo.Files())
			w.attached(image, before, 9)
		}},
		"what one lacks, the next one has": {from: trust.PlaceAttached, put: func(w *world, image ocispec.Descriptor) {
			w.beside("tuf", without(w.repo.Files(), "trustpolicy"))
			w.attached(image, w.repo.Files(), 2)
		}},
		"what nobody has": {want: trust.ErrStaleCopy, put: func(w *world, image ocispec.Descriptor) {
			w.beside("tuf", without(w.repo.Files(), "trustpolicy"))
		}},
		"of another image": {want: verify.ErrNoCopy, put: func(w *world, image ocispec.Descriptor) {
			other := w.push("other", "other")
			d := w.attached(other, w.repo.Files(), 2)
			if w.place == withReferrers {
				d.ArtifactType = ociremote.MediaTypeBundle
				w.lie(d)
			}
		}},
	} {
		for _, at := range placesOf(name, nil) {
			if at == archive && name != "attached" { // which reads like a layout
				continue
			}
			t.Run(name+"/"+string(at), func(t *testing.T) {
				t.Parallel()
				w, image := good(t, at)
				w.publish()
				tt.put(w, image)
				edits := []func(*verify.Options){w.at(noHome)}
				if at == layout || at == archive {
					edits = append(edits, func(o *verify.Options) { o.Offline = true })
				}
				r := w.verify(":1.0", edits...)
				switch {
				case tt.want == nil && (r.Err != nil || source(r) != tt.from):
					t.Errorf("%v, from %q, want %q", r.Err, source(r), tt.from)
				case tt.want == verify.ErrNoCopy && len(edits) == 2:
					if !errors.Is(r.Err, trust.ErrNoState) {
						t.Errorf("error %v, want that nothing is stored", r.Err)
					}
				case tt.want == trust.ErrWrongRoot && len(edits) == 2:
					if !errors.Is(r.Err, verify.ErrNoCopy) {
						t.Errorf("error %v", r.Err)
					}
				case tt.want != nil && !errors.Is(r.Err, tt.want):
					t.Errorf("error %v, want %v", r.Err, tt.want)
				}
				if n := w.asked("GET manifests/sha256"); tt.want == trust.ErrWrongRoot && at == withReferrers && n != 3 {
					t.Errorf("%d attachments were looked at: %v", n, w.requests())
				}
			})
		}
	}
}

// A refusal by the image's own registry ends the search, too: of the copy beside it, or
// of the list of what is attached.
func TestWhatEndsBeside(t *testing.T) {
	t.Parallel()
	for i, status := range []int{401, 403, 429, 500, 403, 500} {
		w, image := good(t, withReferrers)
		w.publish()
		w.attached(image, w.repo.Files(), 2)
		if i < 4 {
			w.answering(repository+"/manifests/tuf", status)
		} else {
			w.answering("/referrers/", status)
		}
		r := w.verify(":1.0", w.at(noHome), func(o *verify.Options) {
			client := must(ociremote.NewClient(ociremote.Options{Retries: -1}))
			o.Open = func(ctx context.Context, image ociremote.ImageReference) (ociremote.Repository, error) {
				return client.Repository(ctx, image.Reference(), false)
			}
		})
		if r.Err == nil || errors.Is(r.Err, verify.ErrNoCopy) {
			t.Errorf("%d: %v", status, r.Err)
		}
	}
}

// All copies of one image together have a limit.
func TestCopiesAreBounded(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	w, image := good(t, withReferrers)
	w.publish()
	padded := foreignFiles(t)
	for i := range 2 {
		w.bundle(padded, tuftest.PackOptions{})
		w.beside("tuf", padded)
		w.bundle(padded, tuftest.PackOptions{
			Annotations: map[string]string{ociremote.AnnotationTimestampVersion: "9"},
			Edit: func(m map[string]any) {
				m["subject"] = image
				m["padding"] = strings.Repeat(fmt.Sprint(i), 3<<20)
			},
		})
	}
	w.attached(image, w.repo.Files(), 2)
	if r := w.verify(":1.0", w.at(noHome)); !errors.Is(r.Err, ociremote.ErrTooLarge) {
		t.Errorf("error %v", r.Err)
	}
}

// With --fallback none nothing but home answers, and nothing is remembered.
func TestNoFallback(t *testing.T) {
	t.Parallel()
	w, image := good(t, withReferrers)
	w.entry.Fallback = trust.FallbackNone
	w.publish()
	w.beside("tuf", w.repo.Files())
	w.attached(image, w.repo.Files(), 2)
	w.answering("acme/trust/", 503)
	for range 2 {
		w.registry.Reset()
		r := w.verify(":1.0", w.at(w.home()))
		if failed, ok := errors.AsType[*ociremote.TransportError](r.Err); !ok || failed.Status != 503 || errors.Is(r.Err, verify.ErrNoCopy) {
			t.Errorf("error %v", r.Err)
		}
		if w.asked("trust:manifests/tuf") == 0 || w.asked("manifests/tuf") != w.asked("trust:manifests/tuf") {
			t.Errorf("requests %v", w.requests())
		}
	}
	w.registry.Intercept(nil)
	w.verify(":1.0", w.at(w.home()))
	offline, _ := good(t, layout)
	offline.entry.Fallback = trust.FallbackNone
	offline.publish()
	offline.beside("tuf", offline.repo.Files())
	if r := offline.verify(":1.0", func(o *verify.Options) { o.Offline = true }); !errors.Is(r.Err, trust.ErrNoState) {
		t.Errorf("offline: %v", r.Err)
	}
}

// A home that could not be reached is not waited for again soon; where nothing lies
// next to an image, its failure is the answer.
func TestUnreachableHomeIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	w, _ := good(t, withReferrers)
	bare := w.push("bare", "2.0")
	w.mapped(bare, "2.0")
	w.publish()
	w.beside("tuf", w.repo.Files())
	w.answering("acme/trust/", 503)
	if r := w.verify(":1.0", w.at(w.home())); r.Err != nil || w.asked("trust:manifests") == 0 {
		t.Fatal(r.Err)
	}
	w.registry.Reset()
	r := w.verify(":1.0", w.at(w.home()))
	if r.Err != nil || w.asked("trust:") != 0 || !strings.Contains(strings.Join(r.Verdicts[0].Warnings, ""), "is not asked again until") {
		t.Errorf("%v, %v, %q", r.Err, w.requests(), r.Verdicts[0].Warnings)
	}
	w.registry.DeleteTag(repository, "tuf")
	r = w.verify(":1.0", w.at(w.home()))
	if !errors.Is(r.Err, verify.ErrNoCopy) || !trust.IsUnreachable(r.Err) {
		t.Errorf("%v", r.Err)
	}
}

// Without a network the newest of state and copies decides, wherever it lies.
func TestOfflineTheNewestDecides(t *testing.T) {
	t.Parallel()
	offline := func(o *verify.Options) { o.Offline = true }
	w, image := good(t, layout)
	w.publish()
	old := w.repo.Files()
	late := w.push("late", "2.0")
	w.mapped(late, "2.0")
	w.sign(late)
	w.publish()
	w.beside("tuf", old)
	w.attached(image, w.repo.Files(), 3)
	if r := w.verify(":1.0", offline); r.Err != nil || r.Verdicts[0].Status.Timestamp.Version != 3 {
		t.Errorf("%v, %+v", r.Err, r.Verdicts[0].Status)
	}
	// The other image has an old copy only; what was seen knows it.
	if r := w.verify(":2.0", offline); r.Err != nil || source(r) != trust.PlaceBeside || r.Verdicts[0].Status.Timestamp.Version != 3 {
		t.Errorf("%v, %+v", r.Err, r.Verdicts[0].Status)
	}
	// Without any copy the state answers.
	w.registry.Reset()
	bare, _ := good(t, layout)
	bare.publish()
	must(bare.options().Trusts[0].Client.Refresh(t.Context()))
	if r := bare.verify(":1.0", offline); r.Err != nil || source(r) != "state" {
		t.Errorf("%v", r.Err)
	}
}

// The attachments of an index serve its platforms, once something says that they are.
func TestAttachedToTheIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withReferrers)
	index, platforms := w.pushIndex("multi", "2.0")
	w.mapped(index, "2.0")
	w.sign(index)
	w.entryOf(platforms[0], map[string]any{"index": index.Digest.String()}, "@"+platforms[0].Digest.String())
	w.publish()
	w.attached(index, w.repo.Files(), 2)
	name := "@" + platforms[0].Digest.String()
	if r := w.verify(name, w.at(noHome)); !errors.Is(r.Err, verify.ErrNoCopy) {
		t.Errorf("%v", r.Err)
	}
	if r := w.verify(":2.0", w.at(noHome)); r.Err != nil {
		t.Fatal(r.Err)
	}
	if r := w.verify(name, w.at(noHome)); r.Err != nil || source(r) != trust.PlaceAttached {
		t.Errorf("%v", r.Err)
	}
}

// Nothing that an older copy says of an image is left where a newer one answers: not the
// index either, whose signature would else be taken for that of the image.
func TestIndexOfAnOlderCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withReferrers)
	index, platforms := w.pushIndex("multi", "2.0")
	w.mapped(index, "2.0")
	w.sign(index)
	name := "@" + platforms[0].Digest.String()
	w.entryOf(platforms[0], map[string]any{"index": index.Digest.String()}, name)
	w.publish()
	w.beside("tuf", without(w.repo.Files(), "trustpolicy"))
	w.entryOf(platforms[0], map[string]any{}, name)
	w.publish()
	w.attached(platforms[0], w.repo.Files(), 3)
	if r := w.verify(name, w.at(noHome)); !errors.Is(r.Err, verify.ErrNoSignature) {
		t.Errorf("%v, from %q", r.Err, source(r))
	}
}

// Nor an entry, by which the repository would be one that the trust names.
func TestEntryOfAnOlderCopy(t *testing.T) {
	t.Parallel()
	w, image := good(t, withReferrers)
	w.entry.Require = []string{trust.RequireSignature}
	w.publish()
	w.beside("tuf", without(w.repo.Files(), "trustpolicy"))
	for _, name := range []string{":1.0", "@" + image.Digest.String()} {
		w.repo.RemoveTarget("images/" + repository + name)
	}
	w.publish()
	w.attached(image, w.repo.Files(), 3)
	if r := w.verify(":1.0", w.at(noHome)); !errors.Is(r.Err, verify.ErrNoStatement) {
		t.Errorf("%v, from %q", r.Err, source(r))
	}
}

// Without a home, what lies beside is read in the first round trip, and attachments
// are listed together with signatures.
func TestRequestsWithoutHome(t *testing.T) {
	t.Parallel()
	for _, attached := range []bool{false, true} {
		w, image := good(t, withReferrers)
		w.publish()
		lineage := "/manifests/" + ociremote.LineageTag("tuf", digest.FromBytes(w.repo.RootBytes()))
		rounds := [][]string{{"/manifests/tuf", "/manifests/1.0", "/referrers/" + image.Digest.String()}}
		want := 5
		if attached {
			d := w.attached(image, w.repo.Files(), 2)
			rounds = append(rounds, []string{lineage}, []string{"/manifests/" + d.Digest.String()})
			want = 7
		} else {
			w.beside("tuf", w.repo.Files())
		}
		must(w.options().Trusts[0].Client.Refresh(t.Context()))
		w.registry.Reset()
		rest := w.rounds(t, rounds)
		if r := w.verify(":1.0", w.at(noHome)); r.Err != nil {
			t.Fatal(r.Err)
		}
		if got := w.requests(); len(got) != want || len(rest()) != 0 {
			t.Errorf("%v; not made: %v", got, rest())
		}
	}
}

// Images that are verified at the same time, each with a copy of its own, by two
// trusts that must both accept.
func TestCopiesOfManyImages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withReferrers)
	var images []ocispec.Descriptor
	for i := range 6 {
		image := w.push(fmt.Sprint("image ", i), fmt.Sprint("v", i))
		w.mapped(image, fmt.Sprint("v", i))
		w.sign(image)
		images = append(images, image)
	}
	w.publish()
	for i, image := range images {
		if i%2 == 0 {
			w.repo.PublishTimestamp()
		}
		w.attached(image, w.repo.Files(), i)
	}
	w.answering("acme/trust/", 503)
	second := w.entry
	second.Name = "second"
	o := w.options(w.entry, second)
	w.at(w.home())(&o)
	v := must(verify.New(o))
	var all sync.WaitGroup
	for i := range images {
		all.Go(func() {
			image, _ := w.image(fmt.Sprint(":v", i))
			r := v.Image(t.Context(), image, nil)
			if r.Err != nil || len(r.Verdicts) != 2 {
				t.Errorf("%d: %v", i, r.Err)
			}
		})
	}
	all.Wait()
	st := must(o.Trusts[0].Client.Load(t.Context())).Status()
	if st.Timestamp.Version != w.repo.Version("timestamp") {
		t.Errorf("the state is at v%d, want v%d", st.Timestamp.Version, w.repo.Version("timestamp"))
	}
}

// Where the pin is not the first root, and nothing is known, tags are looked through:
// one page of them, and few of those.
func TestLineageOfALaterPin(t *testing.T) {
	t.Parallel()
	w, _ := good(t, withReferrers)
	w.repo.RotateKey("root")
	w.publish()
	w.beside("tuf", foreignFiles(t))
	w.beside(ociremote.LineageTag("tuf", digest.FromBytes(w.repo.RootBytes())), w.repo.Files())
	w.push("unrelated", "tuf.0")
	w.push("unrelated", "tuf.v1")
	options := w.options()
	options.Trusts[0].Client = must(trust.New(w.repo.Roots()[1], trust.Options{StateDir: w.state}))
	image, _ := w.image(":1.0")
	for _, listed := range []int{1, 0} {
		w.registry.Reset()
		r := must(verify.New(options)).Image(t.Context(), image, nil)
		if r.Err != nil || source(r) != trust.PlaceBeside {
			t.Errorf("%v", r.Err)
		}
		if n := w.asked("tags/list"); n != listed {
			t.Errorf("%d lists of tags, want %d: %v", n, listed, w.requests())
		}
		for _, tag := range []string{"tuf.0", "tuf.v1"} {
			if slices.Contains(w.requests(), "GET manifests/"+tag) {
				t.Errorf("%s was taken for a copy: %v", tag, w.requests())
			}
		}
	}
}

// Of the copies of many lineages few are tried, if nothing says which one it is.
func TestManyLineages(t *testing.T) {
	t.Parallel()
	w, _ := good(t, withReferrers)
	w.repo.RotateKey("root")
	w.publish()
	for i := range 6 {
		w.beside(fmt.Sprintf("tuf.0000000%d", i), foreignFiles(t))
	}
	options := w.options()
	options.Trusts[0].Client = must(trust.New(w.repo.Roots()[1], trust.Options{}))
	image, _ := w.image(":1.0")
	w.registry.Reset()
	if r := must(verify.New(options)).Image(t.Context(), image, nil); !errors.Is(r.Err, trust.ErrWrongRoot) {
		t.Errorf("%v", r.Err)
	}
	if n := w.asked("manifests/tuf."); n != 3 {
		t.Errorf("%d copies were tried: %v", n, w.requests())
	}
}

// That something is attached hides no signature that stands under the referrers tag.
func TestAttachmentHidesNoSignature(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withReferrers)
	image := w.push("hello", "1.0")
	w.mapped(image, "1.0")
	signature := w.signBy(image, w.leaf, notationsign.Options{})
	w.publish()
	attached := w.attached(image, w.repo.Files(), 2)
	attached.ArtifactType, signature.ArtifactType = ociremote.MediaTypeBundle, signatureType
	w.lie(attached)
	w.registry.PutIndex(repository, strings.Replace(image.Digest.String(), ":", "-", 1), must(json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{signature},
	})))
	few := func(o *verify.Options) { o.MaxSignatures = 1 }
	if r := w.verify(":1.0", w.at(noHome), few); r.Err != nil || len(r.Verdicts[0].Signatures) != 1 {
		t.Errorf("%v", r.Err)
	}
}

// A client that allows what has expired vouches for nothing, by a copy neither.
func TestCopyOfAnUnverifiedTrust(t *testing.T) {
	t.Parallel()
	w, _ := good(t, withReferrers)
	w.publish()
	w.beside("tuf", w.repo.Files())
	r := w.verify(":1.0", func(o *verify.Options) {
		o.Trusts[0].Client = must(trust.New(w.repo.RootBytes(), trust.Options{AllowExpired: true}))
	})
	if !errors.Is(r.Err, verify.ErrUnverifiedTrust) {
		t.Errorf("%v", r.Err)
	}
}

// What is listed and can be no copy takes the place of none: an index, a signature.
func TestWhatIsNoCopy(t *testing.T) {
	t.Parallel()
	for name, other := range map[string]ocispec.Descriptor{
		"indexes":    {MediaType: ocispec.MediaTypeImageIndex, ArtifactType: ociremote.MediaTypeBundle},
		"signatures": {MediaType: ocispec.MediaTypeImageManifest, ArtifactType: signatureType},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, image := good(t, withReferrers)
			signed := must(referrersOf(w, image))[0]
			w.publish()
			attached := w.attached(image, w.repo.Files(), 2)
			attached.ArtifactType = ociremote.MediaTypeBundle
			var list []any
			for i := range 4 {
				other.Digest, other.Size = digest.FromString(fmt.Sprint(i)), 100
				other.Annotations = map[string]string{ociremote.AnnotationTimestampVersion: "9"}
				list = append(list, other)
			}
			w.lie(append(list, asSignature(signed), attached)...)
			if r := w.verify(":1.0", w.at(noHome)); r.Err != nil || source(r) != trust.PlaceAttached {
				t.Errorf("%v, from %q", r.Err, source(r))
			}
		})
	}
}

// A registry can list attachments, and tags, without an end: one page of them is read.
func TestCopiesOfOnePage(t *testing.T) {
	t.Parallel()
	w, _ := good(t, withReferrers)
	w.repo.RotateKey("root")
	w.publish()
	var attachments, tags int
	w.registry.Intercept(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := func(n *int, body string) {
			if *n++; *n < 9 { // else a client that reads on would do so for minutes
				rw.Header().Set("Link", "<"+r.URL.Path+"?page="+fmt.Sprint(*n)+"&"+r.URL.RawQuery+`>; rel="next"`)
			}
			rw.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
			_, _ = rw.Write([]byte(body))
		}
		switch {
		case strings.Contains(r.URL.Path, "acme/trust/"):
			rw.WriteHeader(http.StatusServiceUnavailable)
		case strings.HasSuffix(r.URL.Path, "/tags/list"):
			answer(&tags, `{"name":"`+repository+`","tags":["tuf.0"]}`)
		case strings.Contains(r.URL.Path, "/referrers/") && r.URL.Query().Get("artifactType") == ociremote.MediaTypeBundle:
			answer(&attachments, `{"schemaVersion":2,"mediaType":"`+ocispec.MediaTypeImageIndex+`","manifests":[]}`)
		default:
			next.ServeHTTP(rw, r)
		}
	})
	later := func(o *verify.Options) {
		w.at(w.home())(o)
		o.Trusts[0].Client = must(trust.New(w.repo.Roots()[1], trust.Options{
			Source: must(trust.ParseSource(w.home())), Client: must(ociremote.NewClient(ociremote.Options{RetryWait: time.Millisecond})),
		}))
	}
	if r := w.verify(":1.0", later); !errors.Is(r.Err, verify.ErrNoCopy) {
		t.Errorf("%v", r.Err)
	}
	if attachments != 1 || tags != 1 {
		t.Errorf("%d pages of attachments, %d of tags", attachments, tags)
	}
}
