package mirror

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

const canonicalHost = "registry.acme.io"

// gap is an outside with a registry, an inside with another one, and a directory for
// what is carried.
type gap struct {
	t               testing.TB
	repo            *tuftest.Repo
	outside, inside *tuftest.Registry
	client          *ociremote.Client
	dir             string
	ca              *notationsign.Authority
	leaf            *notationsign.Identity
	clock           time.Time
	warnings        []string
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newGap has the image shop/api:1, which is signed, and a policy that wants that.
func newGap(t testing.TB) *gap {
	t.Helper()
	g := &gap{
		t: t, clock: time.Now().UTC().Truncate(time.Second), dir: t.TempDir(),
		outside: tuftest.NewRegistry(t, tuftest.RegistryOptions{}), inside: tuftest.NewRegistry(t, tuftest.RegistryOptions{}),
		client: must(ociremote.NewClient(ociremote.Options{PlainHTTP: true, Retries: -1, RegistryConfig: filepath.Join(t.TempDir(), "none.json")})),
	}
	g.repo = tuftest.NewRepo(t, tuftest.RepoOptions{Now: g.clock})
	g.ca = must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "ca"}))
	g.leaf = must(g.ca.Leaf(notationsign.CertificateOptions{Name: "ci"}))
	g.repo.AddTarget("notation/x509/ca/acme/acme.pem", g.ca.PEM())
	g.repo.AddTarget("notation/trustpolicy.json", must(json.Marshal(trustpolicy.Document{Version: "1.0", TrustPolicies: []trustpolicy.TrustPolicy{{
		Name: "acme", RegistryScopes: []string{"*"}, TrustStores: []string{"ca:acme"}, TrustedIdentities: []string{"*"},
		SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: "strict"},
	}}})))
	g.image("shop/api", "1", true)
	g.publish()
	return g
}

func (g *gap) ctx() context.Context { return g.t.Context() }

// image pushes an image with a layer, maps it, and signs it.
func (g *gap) image(repository, tag string, sign bool) ocispec.Descriptor {
	g.t.Helper()
	to := must(remote.NewRepository(g.outside.Host() + "/" + repository))
	to.Client = g.outside.Client() // not the default one: ending any test server closes its connections
	to.PlainHTTP = true
	desc := must(notationsign.PushImage(g.ctx(), to, []byte("layer of "+repository+":"+tag), notationsign.Platforms[0], tag))
	custom := map[string]any{"tufoci": map[string]any{"mediaType": desc.MediaType}}
	for _, name := range []string{":" + tag, "@" + desc.Digest.String()} {
		g.repo.AddEntry("targets", "images/"+repository+name, desc.Size, desc.Digest.Encoded(), custom)
	}
	if sign {
		must(notationsign.Sign(g.ctx(), to, desc, g.leaf, notationsign.Options{}))
	}
	return desc
}

func (g *gap) publish() {
	g.t.Helper()
	g.repo.Publish()
	g.outside.Push("acme/trust", "tuf", tuftest.Pack(g.t, g.repo.Files(), tuftest.PackOptions{}))
}

func (g *gap) open(registry *tuftest.Registry, repository string) ociremote.WritableRepository {
	g.t.Helper()
	ref := ociremote.Reference{Kind: ociremote.KindRegistry, Host: registry.Host(), Repository: repository, Tag: "tuf"}
	return must(g.client.Repository(g.ctx(), ref, true)).(ociremote.WritableRepository)
}

func (g *gap) now() time.Time { return g.clock }

func (g *gap) warn(s string) { g.warnings = append(g.warnings, s) }

func (g *gap) entry(require ...string) trust.Entry {
	return trust.Entry{Name: "acme", Scopes: []trust.Scope{must(trust.ParseScope(canonicalHost + "/**"))}, Require: require}
}

// saveOptions save all images.
func (g *gap) saveOptions(name string) SaveOptions {
	g.t.Helper()
	client := must(trust.New(g.repo.RootBytes(), trust.Options{Source: trust.RepositorySource(g.open(g.outside, "acme/trust"), "tuf"), Now: g.now}))
	view := must(client.Refresh(g.ctx()))
	return SaveOptions{
		File: filepath.Join(g.dir, name), Program: "tufoci test",
		Copy: Options{
			Source: Source{
				View: view, Entry: g.entry(),
				Locate: func(canonical string) ociremote.ImageReference {
					return ociremote.ImageReference{Kind: ociremote.KindRegistry, Host: g.outside.Host(), Repository: strings.TrimPrefix(canonical, canonicalHost+"/")}
				},
				Open: func(_ context.Context, image ociremote.ImageReference) (ociremote.Repository, error) {
					return g.open(g.outside, image.Repository), nil
				},
			},
			Images: must(Select(g.ctx(), view, []string{canonicalHost + "/**"})), Referrers: true, Now: g.now, Warn: g.warn,
		},
	}
}

// save makes an archive of all images.
func (g *gap) save(name string) string {
	g.t.Helper()
	if _, err := Save(g.ctx(), g.saveOptions(name)); err != nil {
		g.t.Fatal(err)
	}
	return filepath.Join(g.dir, name)
}

func (g *gap) loadOptions(file string) LoadOptions {
	g.t.Helper()
	return LoadOptions{
		Archive: must(g.client.Repository(g.ctx(), ociremote.Reference{Kind: ociremote.KindArchive, Path: file, Tag: "tuf"}, false)),
		File:    file, Root: g.repo.RootBytes(), Entry: g.entry(), Now: g.now, Warn: g.warn,
		Sum: func(context.Context) (digest.Digest, error) { return digest.FromBytes(must(os.ReadFile(file))), nil },
		Destination: Destination{
			Trust: g.open(g.inside, "trust/tuf"),
			Images: func(_ context.Context, canonical string) (ociremote.WritableRepository, error) {
				return g.open(g.inside, strings.TrimPrefix(canonical, canonicalHost+"/")), nil
			},
		},
	}
}

// load loads an archive; writes are the requests that could change the inside.
func (g *gap) load(file string, edits ...func(*LoadOptions)) (r *LoadResult, writes []string, err error) {
	g.t.Helper()
	o := g.loadOptions(file)
	for _, edit := range edits {
		edit(&o)
	}
	g.inside.Reset()
	r, err = Load(g.ctx(), o)
	for _, request := range g.inside.Requests() {
		if request.Method != http.MethodGet && request.Method != http.MethodHead {
			writes = append(writes, request.Method+" "+request.Path)
		}
	}
	return r, writes, err
}

// files are the entries of an archive.
func files(t testing.TB, archive string) map[string][]byte {
	t.Helper()
	f := must(os.Open(archive))
	defer f.Close()
	out := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out[header.Name] = must(io.ReadAll(r))
	}
}

// pack writes an archive of files.
func pack(t testing.TB, archive string, files map[string][]byte) {
	t.Helper()
	f := must(os.Create(archive))
	defer f.Close()
	w := tar.NewWriter(f)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(files[name])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		must(w.Write(files[name]))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// cargoFiles are the files of an archive that somebody changes.
type cargoFiles map[string][]byte

func (f cargoFiles) index() ocispec.Index {
	var index ocispec.Index
	if err := json.Unmarshal(f["index.json"], &index); err != nil {
		panic(err)
	}
	return index
}

func (f cargoFiles) setIndex(edit func(*ocispec.Index)) {
	index := f.index()
	edit(&index)
	f["index.json"] = must(json.Marshal(index))
}

// named is the entry of an image, or of the bundle.
func (f cargoFiles) named(suffix string) ocispec.Descriptor {
	for _, d := range f.index().Manifests {
		if strings.HasSuffix(d.Annotations[ocispec.AnnotationRefName], suffix) {
			return d
		}
	}
	panic("no " + suffix)
}

func (f cargoFiles) blob(d digest.Digest) string { return "blobs/sha256/" + d.Encoded() }

// add adds a blob.
func (f cargoFiles) add(mediaType string, data []byte) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	f[f.blob(d.Digest)] = data
	return d
}

func (f cargoFiles) manifest(d ocispec.Descriptor) ocispec.Manifest {
	var m ocispec.Manifest
	if err := json.Unmarshal(f[f.blob(d.Digest)], &m); err != nil {
		panic(err)
	}
	return m
}

// refer adds something with one layer that refers to an image.
func (f cargoFiles) refer(to string, layer ocispec.Descriptor) {
	subject := f.named(to)
	subject.Annotations = nil
	m := ocispec.Manifest{
		MediaType: ocispec.MediaTypeImageManifest, ArtifactType: "application/x", Subject: &subject,
		Config: f.add(ocispec.MediaTypeEmptyJSON, []byte("{}")), Layers: []ocispec.Descriptor{layer},
	}
	m.SchemaVersion = 2
	d := f.add(m.MediaType, must(json.Marshal(m)))
	f.setIndex(func(index *ocispec.Index) { index.Manifests = append(index.Manifests, d) })
}

// rename gives the entry of an image another name.
func (f cargoFiles) rename(from, to string) {
	f.setIndex(func(index *ocispec.Index) {
		for i := range index.Manifests {
			if a := index.Manifests[i].Annotations; strings.HasSuffix(a[ocispec.AnnotationRefName], from) {
				a[ocispec.AnnotationRefName] = to
			}
		}
	})
}

// Whatever is wrong with an archive, nothing of it is written.
func TestTamperedArchives(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	g := newGap(t)
	g.image("shop/web", "1", true)
	g.publish()
	archive := g.save("good.tar")
	api, web := canonicalHost+"/shop/api:1", canonicalHost+"/shop/web:1"
	imageType := ocispec.MediaTypeImageManifest
	tests := []struct {
		name string
		edit func(f cargoFiles)
		want error
	}{
		{"a layer with other bytes", func(f cargoFiles) {
			f[f.blob(f.manifest(f.named(api)).Layers[0].Digest)][0] ^= 1
		}, ociremote.ErrMalformed},
		{"a layer that is longer", func(f cargoFiles) {
			name := f.blob(f.manifest(f.named(api)).Layers[0].Digest)
			f[name] = append(f[name], 'x')
		}, ociremote.ErrMalformed},
		{"a layer that is not there", func(f cargoFiles) {
			delete(f, f.blob(f.manifest(f.named(api)).Layers[0].Digest))
		}, ociremote.ErrBlobNotFound},
		{"a layer that is not there, and need not be where something else names it", func(f cargoFiles) {
			// Looked at before the image that has the layer.
			layer := f.manifest(f.named(web)).Layers[0]
			delete(f, f.blob(layer.Digest))
			f.refer(api, ocispec.Descriptor{MediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar", Digest: layer.Digest, Size: layer.Size})
		}, ociremote.ErrBlobNotFound},
		{"a layer with another size where something else names it", func(f cargoFiles) {
			layer := f.manifest(f.named(api)).Layers[0]
			f.refer(api, ocispec.Descriptor{MediaType: layer.MediaType, Digest: layer.Digest, Size: layer.Size + 1})
		}, ociremote.ErrMalformed},
		{"a manifest with other bytes", func(f cargoFiles) {
			name := f.blob(f.named(api).Digest)
			f[name] = bytes.Replace(f[name], []byte("layers"), []byte("leyers"), 1)
		}, ociremote.ErrMalformed},
		{"another manifest under the name", func(f cargoFiles) {
			m := f.manifest(f.named(api))
			m.Annotations = map[string]string{"a": "b"}
			d := f.add(imageType, must(json.Marshal(m)))
			f.setIndex(func(index *ocispec.Index) {
				for i := range index.Manifests {
					if index.Manifests[i].Annotations[ocispec.AnnotationRefName] == api {
						index.Manifests[i].Digest, index.Manifests[i].Size = d.Digest, d.Size
					}
				}
			})
		}, verify.ErrDiffers},
		{"the manifest of another image", func(f cargoFiles) {
			f.rename(web, "x")
			f.rename(api, web)
			f.rename("x", api)
		}, verify.ErrDiffers},
		{"the name of an image that nobody signed", func(f cargoFiles) { f.rename(api, canonicalHost+"/shop/api:2") }, verify.ErrUnmapped},
		{"an image that nobody signed", func(f cargoFiles) {
			m := f.manifest(f.named(api))
			m.Annotations = map[string]string{"a": "b"}
			d := f.add(imageType, must(json.Marshal(m)))
			d.Annotations = map[string]string{ocispec.AnnotationRefName: canonicalHost + "/shop/evil:1"}
			f.setIndex(func(index *ocispec.Index) { index.Manifests = append(index.Manifests, d) })
		}, verify.ErrUnmapped},
		{"an image without a name", func(f cargoFiles) {
			m := f.manifest(f.named(api))
			m.Annotations = map[string]string{"a": "b"}
			d := f.add(imageType, must(json.Marshal(m)))
			f.setIndex(func(index *ocispec.Index) { index.Manifests = append(index.Manifests, d) })
		}, ErrCargo},
		{"something that refers to no image", func(f cargoFiles) {
			m := f.manifest(f.named(api))
			m.Subject = &ocispec.Descriptor{MediaType: imageType, Digest: digest.FromString("elsewhere"), Size: 1}
			d := f.add(imageType, must(json.Marshal(m)))
			f.setIndex(func(index *ocispec.Index) { index.Manifests = append(index.Manifests, d) })
		}, ErrCargo},
		{"a name that is no image", func(f cargoFiles) { f.rename(api, "latest") }, ErrCargo},
		{"a name with a digest that is another", func(f cargoFiles) {
			f.rename(api, canonicalHost+"/shop/api@"+digest.FromString("x").String())
		}, ErrCargo},
		{"a name that stands twice", func(f cargoFiles) { f.rename(api, web) }, ErrCargo},
		{"no signature", func(f cargoFiles) {
			subject := f.named(api).Digest
			f.setIndex(func(index *ocispec.Index) {
				index.Manifests = slices.DeleteFunc(index.Manifests, func(d ocispec.Descriptor) bool {
					s := f.manifest(d).Subject
					return s != nil && s.Digest == subject
				})
			})
		}, verify.ErrNoSignature},
		{"a signature with other bytes", func(f cargoFiles) {
			for _, d := range f.index().Manifests {
				if m := f.manifest(d); m.Subject != nil {
					f[f.blob(m.Layers[0].Digest)][3] ^= 1
				}
			}
		}, verify.ErrEnvelope},
		{"a bundle that is not there", func(f cargoFiles) { f.rename("tuf", canonicalHost+"/shop/api:9") }, fetcher.ErrNoRepository},
		{"a bundle with other bytes", func(f cargoFiles) {
			name := f.blob(f.named("tuf").Digest)
			f[name] = bytes.Replace(f[name], []byte("org.opencontainers"), []byte("org.openKontainers"), 1)
		}, ociremote.ErrMalformed},
	}
	good := files(t, archive)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := cargoFiles{}
			for name, data := range good {
				f[name] = bytes.Clone(data)
			}
			test.edit(f)
			file := filepath.Join(t.TempDir(), "bad.tar")
			pack(t, file, f)
			_, writes, err := g.load(file)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if len(writes) > 0 {
				t.Errorf("written: %q", writes)
			}
			// Where nobody has pinned a trust, it is no different.
			if _, writes, err = g.load(file, func(o *LoadOptions) { o.Entry = trust.Entry{} }); err == nil || len(writes) > 0 {
				t.Errorf("from a root alone: %v, written: %q", err, writes)
			}
		})
	}
	// As it was, it is taken.
	if _, _, err := g.load(archive, func(o *LoadOptions) { o.Entry, o.DryRun = trust.Entry{}, true }); err != nil {
		t.Errorf("the good one, from a root alone: %v", err)
	}
	if _, writes, err := g.load(archive); err != nil || len(writes) == 0 {
		t.Errorf("the good one: %v, %q", err, writes)
	}
}

// Deliveries go forward: again, newer, with another root and a revocation; an older
// one, and one of the same version, are refused.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	first := g.save("1.tar")
	r, _, err := g.load(first)
	if err != nil || r.From != 0 || r.To != 2 || !r.Matches || len(r.Copy.Images) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if g.inside.Digest("shop/api", "1") != g.outside.Digest("shop/api", "1") || g.inside.Digest("trust/tuf", "tuf") == "" {
		t.Error("the image or the trust is not inside")
	}
	r, writes, err := g.load(first)
	if err != nil || len(writes) > 0 || !r.Copy.Metadata.Unchanged || !r.Copy.Images[0].Unchanged {
		t.Errorf("loaded twice: %q, %v", writes, err)
	}

	// The second one has new keys, a new image, and revokes one that is there.
	for _, role := range []string{"root", "timestamp", "snapshot"} {
		g.repo.RotateKey(role)
	}
	g.image("shop/web", "1", true)
	g.publish()
	second := g.save("2.tar")
	old := g.repo.RootBytes()
	if _, writes, err = g.load(second, func(o *LoadOptions) { o.DryRun = true }); err != nil || len(writes) > 0 {
		t.Errorf("a dry run: %q, %v", writes, err)
	}
	if r, _, err = g.load(second, func(o *LoadOptions) { o.Root = old }); err != nil || r.From != 2 || r.To != 3 {
		t.Fatalf("%+v, %v", r, err)
	}

	// An old one goes nowhere, nor does one that is older than the trust has seen.
	if _, writes, err = g.load(first); !errors.Is(err, trust.ErrRollback) || len(writes) > 0 {
		t.Errorf("an old delivery: %q, %v", writes, err)
	}
	if _, writes, err = g.load(second, func(o *LoadOptions) { o.Seen.Timestamp = 4 }); !errors.Is(err, trust.ErrRollback) || len(writes) > 0 {
		t.Errorf("older than what was seen: %q, %v", writes, err)
	}
	if _, writes, err = g.load(second, func(o *LoadOptions) { o.Seen = trust.Seen{Timestamp: 4, Root: 2} }); !errors.Is(err, trust.ErrRollback) || len(writes) > 0 {
		t.Errorf("older than what was seen under the same root: %q, %v", writes, err)
	}
	// What was seen under a root with other keys counts no more, unless it was told.
	if _, _, err = g.load(second, func(o *LoadOptions) { o.Seen = trust.Seen{Timestamp: 1 << 40, Root: 1} }); err != nil {
		t.Errorf("lower than what was seen before the keys were replaced: %v", err)
	}
	if _, writes, err = g.load(second, func(o *LoadOptions) { o.Entry.MinTimestamp = 4 }); !errors.Is(err, trust.ErrMinTimestamp) || len(writes) > 0 {
		t.Errorf("below the floor: %q, %v", writes, err)
	}

	// A revoked image is not saved, nor loaded out of an archive that has it.
	api := g.outside.Digest("shop/api", "1")
	g.repo.AddTarget("revocations.json", fmt.Appendf(nil, `{"version":1,"images":[{"digest":%q,"reason":"CVE","time":"2026-01-02T03:04:05Z"}],"certificates":[]}`, api))
	g.publish()
	o := g.saveOptions("3.tar")
	if _, err := Save(g.ctx(), o); !errors.Is(err, verify.ErrRevoked) {
		t.Errorf("a revoked image was saved: %v", err)
	}
	if _, err := os.Stat(o.File); err == nil {
		t.Error("there is an archive after an error")
	}
	o.Copy.AllowRevoked = true
	saved, err := Save(g.ctx(), o)
	if err != nil || saved.Receipt.Images[0].Allowed != "revoked" {
		t.Fatalf("%+v, %v", saved, err)
	}
	if _, writes, err = g.load(o.File); !errors.Is(err, verify.ErrRevoked) || len(writes) > 0 {
		t.Errorf("a revoked image was loaded: %q, %v", writes, err)
	}
	if _, _, err = g.load(o.File, func(o *LoadOptions) { o.AllowRevoked = true }); err != nil {
		t.Error(err)
	}
}

// A platform comes with the index through which it is signed, and an image without a
// policy needs no signature where there is only a root.
func TestDeliveryOfAPlatform(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	to := must(remote.NewRepository(g.outside.Host() + "/shop/multi"))
	to.Client = g.outside.Client()
	to.PlainHTTP = true
	index := must(notationsign.PushIndex(g.ctx(), to, []byte("multi"), "1"))
	var list ocispec.Index
	data, _ := g.outside.Manifest("shop/multi", "1")
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	platform := list.Manifests[0]
	g.repo.AddEntry("targets", "images/shop/multi@"+index.Digest.String(), index.Size, index.Digest.Encoded(), nil)
	g.repo.AddEntry("targets", "images/shop/multi@"+platform.Digest.String(), platform.Size, platform.Digest.Encoded(),
		map[string]any{"tufoci": map[string]any{"mediaType": platform.MediaType, "index": index.Digest}})
	must(notationsign.Sign(g.ctx(), to, index, g.leaf, notationsign.Options{}))
	g.publish()
	o := g.saveOptions("x.tar")
	o.Copy.Images = []Image{{Name: canonicalHost + "/shop/multi", Digest: platform.Digest}}
	saved, err := Save(g.ctx(), o)
	if err != nil || saved.Receipt.Images[0].Referrers != 1 || len(saved.Receipt.Images[0].Signatures) != 1 {
		t.Fatalf("%+v, %v", saved, err)
	}
	if _, _, err := g.load(o.File); err != nil {
		t.Fatal(err)
	}
	if _, ok := g.inside.Manifest("shop/multi", index.Digest.String()); !ok {
		t.Error("the index is not inside")
	}
	// What refers to a platform alone is carried where everything is.
	platform.Platform = nil
	sbom := must(oras.PackManifest(g.ctx(), to, oras.PackManifestVersion1_1, "application/x", oras.PackManifestOptions{Subject: &platform}))
	o.Copy.Referrers = true
	saved, err = Save(g.ctx(), o)
	if err != nil || saved.Receipt.Images[0].Referrers != 2 {
		t.Fatalf("%+v, %v", saved, err)
	}
	if _, _, err := g.load(o.File); err != nil {
		t.Fatal(err)
	}
	if _, ok := g.inside.Manifest("shop/multi", sbom.Digest.String()); !ok {
		t.Error("what refers to the platform is not inside")
	}
}

func TestRootEntry(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	view := g.saveOptions("x.tar").Copy.Source.View
	images := []Image{{Name: "reg.example/a", Tag: "1"}, {Name: "reg.example/b", Tag: "1"}}
	e := must(RootEntry(g.ctx(), view, images, nil))
	if got := fmt.Sprint(e.Require, e.Scopes); got != "[mapping signature] [reg.example/**]" {
		t.Error(got)
	}
	g.repo.AddTarget("notation/trustpolicy.json", []byte(`{"version":"1.0","trustPolicies":[{"name":"a","registryScopes":["other.example/x"],"signatureVerification":{"level":"strict"},"trustStores":["ca:acme"],"trustedIdentities":["*"]}]}`))
	g.publish()
	e = must(RootEntry(g.ctx(), g.saveOptions("x.tar").Copy.Source.View, images, nil))
	if got := fmt.Sprint(e.Require, e.Scopes); got != "[mapping signature] [other.example/x reg.example/**]" {
		t.Error(got)
	}
	g.repo.RemoveTarget("notation/trustpolicy.json")
	g.publish()
	view = g.saveOptions("x.tar").Copy.Source.View
	if e = must(RootEntry(g.ctx(), view, images, nil)); fmt.Sprint(e.Require) != "[mapping]" {
		t.Error(e.Require)
	}
	if e = must(RootEntry(g.ctx(), view, images, []string{"signature"})); fmt.Sprint(e.Require) != "[mapping signature]" {
		t.Error(e.Require)
	}
}

// What the inside asks for counts there: other roots, an expiry, a weaker archive.
func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	archive := g.save("x.tar")
	stranger := tuftest.NewRepo(t, tuftest.RepoOptions{Now: g.clock})
	tests := []struct {
		name string
		at   time.Duration
		edit func(*LoadOptions)
		want error
	}{
		{"another root", 0, func(o *LoadOptions) { o.Root = stranger.RootBytes() }, trust.ErrWrongRoot},
		{"expired", 31 * 24 * time.Hour, func(*LoadOptions) {}, trust.ErrExpired},
		{"outside the scopes", 0, func(o *LoadOptions) {
			o.Entry.Scopes = []trust.Scope{must(trust.ParseScope("other.example/**"))}
		}, trust.ErrNoScope},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g.clock = g.clock.Add(test.at)
			defer func() { g.clock = g.clock.Add(-test.at) }()
			_, writes, err := g.load(archive, test.edit)
			if !errors.Is(err, test.want) || len(writes) > 0 {
				t.Errorf("%q, %v", writes, err)
			}
		})
	}
}

// A receipt is compared and not believed.
func TestReceiptOfAnotherArchive(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	archive := g.save("x.tar")
	receipt := must(ReadReceipt(archive))
	said := receipt.Archive.SHA256.String()
	pack(t, archive, files(t, archive)) // the same content in another tar
	r, _, err := g.load(archive)
	if err != nil || r.Matches || r.Receipt == nil {
		t.Fatalf("%+v, %v", r, err)
	}
	all := strings.Join(g.warnings, "\n")
	if !strings.Contains(all, said) || !strings.Contains(all, digest.FromBytes(must(os.ReadFile(archive))).String()) {
		t.Errorf("both digests are to be named: %s", all)
	}
	if err := os.WriteFile(archive+ReceiptSuffix, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.warnings = nil
	if r, _, err = g.load(archive); err != nil || r.Receipt != nil || !strings.Contains(strings.Join(g.warnings, "\n"), "cannot be read") {
		t.Errorf("%+v, %v, %q", r, err, g.warnings)
	}
}

func TestSaveWritesAReceipt(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	archive := g.save("x.tar")
	data := must(os.ReadFile(archive))
	r, err := ReadReceipt(archive)
	if err != nil {
		t.Fatal(err)
	}
	api := g.outside.Digest("shop/api", "1")
	switch {
	case r.Archive.SHA256 != digest.FromBytes(data) || r.Archive.Size != int64(len(data)):
		t.Error("the receipt is of another file")
	case r.Root.SHA256 != digest.FromBytes(g.repo.RootBytes()) || r.Root.Version != 1 || r.Bundle.String() != g.outside.Digest("acme/trust", "tuf"):
		t.Errorf("%+v", r)
	case len(r.Images) != 1 || r.Images[0].Digest.String() != api || r.Images[0].Tag != "1" || r.Images[0].Name != canonicalHost+"/shop/api" || r.Images[0].Referrers != 1:
		t.Errorf("%+v", r.Images)
	case len(r.Images[0].Signatures) != 1 || !strings.Contains(r.Images[0].Signatures[0].Signer, "CN=ci") ||
		r.Images[0].Signatures[0].SHA256 != digest.FromBytes(g.leaf.Chain[0].Raw) || len(r.Images[0].Signatures[0].Chain) != 2:
		t.Errorf("%+v", r.Images[0].Signatures)
	case len(r.Roles) != 4 || r.Roles[1].Role != "timestamp" || r.Roles[1].Version != 2 || r.Targets != 4:
		t.Errorf("%+v", r.Roles)
	case !r.ValidUntil.Equal(g.clock.Add(30*24*time.Hour)) || len(r.Ends) != 6:
		t.Errorf("%v %+v", r.ValidUntil, r.Ends)
	}
}

// What ends too soon is refused: of metadata before an image is read, of signatures
// once they have been; and what was there stays.
func TestSaveValidUntil(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	life := 30 * 24 * time.Hour
	g.repo.AddTarget("notation/crl/acme.issuer.pem", g.ca.PEM())
	g.repo.AddTarget("notation/crl/acme.crl", must(g.ca.CRL(notationsign.CRLOptions{Number: 1, NextUpdate: g.clock.Add(40 * 24 * time.Hour)})))
	g.publish()
	archive := g.save("x.tar")
	before := must(os.ReadFile(archive))
	tests := []struct {
		name  string
		until time.Duration
		stale time.Duration
		want  string
		reads bool // of images
	}{
		{"timestamp and snapshot", life + time.Second, 0, "root, snapshot, targets and timestamp expire", false},
		{"with max-stale, the others", life + time.Second, life, "root and targets expire", false},
		{"as long as it lasts", life, 0, "", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := g.saveOptions("x.tar")
			o.ValidUntil, o.MaxStale = g.clock.Add(test.until), test.stale
			g.outside.Reset()
			_, err := Save(g.ctx(), o)
			reads := slices.ContainsFunc(g.outside.Requests(), func(r tuftest.Request) bool { return strings.Contains(r.Path, "shop/api") })
			if reads != test.reads {
				t.Errorf("images were read: %v", reads)
			}
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, ErrShortLived) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
			if now := must(os.ReadFile(archive)); !bytes.Equal(now, before) || must(ReadReceipt(archive)).Archive.SHA256 != digest.FromBytes(now) {
				t.Error("the archive that was there is not as it was")
			}
		})
	}

	// Roles that last longer than the CRL, the leaf, and a signature with an expiry.
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		g.repo.SetExpiry(role, g.clock.Add(20*365*24*time.Hour))
		g.repo.Touch(role)
	}
	g.publish()
	o := g.saveOptions("y.tar")
	o.ValidUntil = g.clock.Add(2 * 365 * 24 * time.Hour)
	if _, err := Save(g.ctx(), o); !errors.Is(err, ErrShortLived) || !strings.Contains(err.Error(), "CRL acme") {
		t.Errorf("a CRL: %v", err)
	}
	g.repo.RemoveTarget("notation/crl/acme.crl")
	g.repo.RemoveTarget("notation/crl/acme.issuer.pem")
	g.publish()
	o = g.saveOptions("y.tar")
	o.ValidUntil = g.clock.Add(2 * 365 * 24 * time.Hour)
	if _, err := Save(g.ctx(), o); !errors.Is(err, ErrShortLived) || !strings.Contains(err.Error(), "CN=ci") {
		t.Errorf("a certificate: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(g.dir, ".tufoci-*"))
	if _, statErr := os.Stat(o.File); err != nil || len(left) > 0 || statErr == nil {
		t.Errorf("left behind: %q", left)
	}
}

// A save that dies leaves the old archive with its receipt, or an archive, old or new,
// without one: never a receipt of another archive.
func TestKilledSave(t *testing.T) {
	t.Parallel()
	g := newGap(t)
	archive := g.save("x.tar")
	for n := 1; ; n++ {
		g.repo.Touch("timestamp")
		g.publish() // so that it is another archive
		killed, at := false, 0
		s := &saving{o: g.saveOptions("x.tar"), step: func(string) error {
			if at++; at == n {
				killed = true
				return errors.New("killed")
			}
			return nil
		}}
		_, err := s.run(g.ctx())
		if killed == (err == nil) {
			t.Errorf("step %d: killed is %v, %v", n, killed, err)
		}
		data := must(os.ReadFile(archive))
		switch receipt, err := ReadReceipt(archive); {
		case err != nil:
			t.Errorf("step %d: %v", n, err)
		case receipt != nil && receipt.Archive.SHA256 != digest.FromBytes(data):
			t.Errorf("step %d: the receipt is of another archive", n)
		case receipt == nil && !killed:
			t.Errorf("step %d: no receipt", n)
		}
		if _, _, err := g.load(archive); err != nil && !errors.Is(err, trust.ErrRollback) {
			t.Errorf("step %d: the archive cannot be loaded: %v", n, err)
		}
		if !killed {
			return
		}
	}
}
