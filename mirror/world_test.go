package mirror_test

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/mirror"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// host is the canonical one of all images.
const host = "registry.acme.io"

// world is a source, a registry with a trust repository and images, and a destination,
// an empty registry.
type world struct {
	t                   testing.TB
	repo                *tuftest.Repo
	source, destination *tuftest.Registry
	ca                  *notationsign.Authority
	leaf                *notationsign.Identity
	entry               trust.Entry

	mu       sync.Mutex
	warnings []string
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newWorld(t testing.TB, o tuftest.RegistryOptions) *world {
	t.Helper()
	w := &world{
		t: t, repo: tuftest.NewRepo(t, tuftest.RepoOptions{Now: time.Now()}),
		source: tuftest.NewRegistry(t, o), destination: tuftest.NewRegistry(t, o),
		ca:    must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "root"})),
		entry: trust.Entry{Name: "acme", Scopes: []trust.Scope{must(trust.ParseScope(host + "/**"))}},
	}
	w.leaf = must(w.ca.Leaf(notationsign.CertificateOptions{Name: "leaf"}))
	w.repo.AddTarget("notation/x509/ca/acme/acme.pem", w.ca.PEM())
	w.repo.AddTarget("notation/trustpolicy.json", must(json.Marshal(trustpolicy.Document{
		Version: "1.0", TrustPolicies: []trustpolicy.TrustPolicy{{
			Name: "acme", RegistryScopes: []string{"*"}, TrustStores: []string{"ca:acme"}, TrustedIdentities: []string{"*"},
			SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: "strict"},
		}},
	})))
	return w
}

// oras is a repository of a registry as another program writes it.
func oras(g *tuftest.Registry, repository string) *remote.Repository {
	repo := must(remote.NewRepository(g.Host() + "/" + repository))
	repo.Client = g.Client() // not the default one: ending any test server closes its connections
	repo.PlainHTTP = true
	return repo
}

// image pushes an image with a signature, and signs its name.
func (w *world) image(repository, tag, content string) ocispec.Descriptor {
	w.t.Helper()
	d := w.unsigned(repository, tag, content)
	must(notationsign.Sign(w.t.Context(), oras(w.source, repository), d, w.leaf, notationsign.Options{}))
	return d
}

// unsigned is image without the signature.
func (w *world) unsigned(repository, tag, content string) ocispec.Descriptor {
	w.t.Helper()
	d := must(notationsign.PushImage(w.t.Context(), oras(w.source, repository), []byte(content), notationsign.Platforms[0], tag))
	w.sign(repository, tag, d)
	return d
}

func (w *world) sign(repository, tag string, d ocispec.Descriptor) {
	custom := map[string]any{"tufoci": map[string]any{"mediaType": d.MediaType}}
	w.repo.AddEntry("targets", "images/"+repository+":"+tag, d.Size, d.Digest.Encoded(), custom)
	w.repo.AddEntry("targets", "images/"+repository+"@"+d.Digest.String(), d.Size, d.Digest.Encoded(), custom)
}

// publish publishes the trust, and forgets the requests so far.
func (w *world) publish() {
	w.t.Helper()
	w.repo.Publish()
	b := tuftest.Pack(w.t, w.repo.Files(), tuftest.PackOptions{})
	w.source.Push("acme/trust", "tuf", b)
	w.source.Push("acme/trust", ociremote.HistoryTag("tuf", w.repo.Version("timestamp")), b)
	w.source.Reset()
	w.destination.Reset()
}

func (w *world) client() *ociremote.Client {
	return must(ociremote.NewClient(ociremote.Options{Retries: -1, RegistryConfig: filepath.Join(w.t.TempDir(), "config.json")}))
}

func open(t testing.TB, c *ociremote.Client, ref string, push bool) ociremote.Repository {
	t.Helper()
	repo, err := c.Repository(t.Context(), must(ociremote.ParseReference(ref)), push)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// view is what a new client sees at a source.
func (w *world) view(repo ociremote.Repository) *trust.View {
	w.t.Helper()
	c := must(trust.New(w.repo.RootBytes(), trust.Options{Source: trust.RepositorySource(repo, "tuf")}))
	v, err := c.Refresh(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// options copy images from registry to registry.
func (w *world) options(images ...mirror.Image) mirror.Options {
	w.t.Helper()
	c := w.client()
	home := open(w.t, c, w.source.Host()+"/acme/trust", false)
	return mirror.Options{
		Source: mirror.Source{
			View: w.view(home), Entry: w.entry, Trust: home,
			Locate: func(canonical string) ociremote.ImageReference {
				return ociremote.ImageReference{Host: w.source.Host(), Repository: strings.TrimPrefix(canonical, host+"/")}
			},
			Open: func(ctx context.Context, image ociremote.ImageReference) (ociremote.Repository, error) {
				return c.Repository(ctx, ociremote.Reference{Host: image.Host, Repository: image.Repository}, false)
			},
		},
		Destination: mirror.Destination{
			Trust: open(w.t, c, w.destination.Host()+"/inside/trust", true).(ociremote.WritableRepository),
			Images: func(ctx context.Context, canonical string) (ociremote.WritableRepository, error) {
				ref := ociremote.Reference{Host: w.destination.Host(), Repository: "inside/" + strings.TrimPrefix(canonical, host+"/")}
				repo, err := c.Repository(ctx, ref, true)
				return repo.(ociremote.WritableRepository), err
			},
		},
		Images: images,
		Warn: func(s string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.warnings = append(w.warnings, s)
		},
	}
}

func tagged(repository, tag string) mirror.Image {
	return mirror.Image{Name: host + "/" + repository, Tag: tag}
}

func (w *world) copy(o mirror.Options) *mirror.Result {
	w.t.Helper()
	r, err := mirror.Copy(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// referrers are those that a registry lists of an image.
func referrers(t testing.TB, c *ociremote.Client, ref string, subject ocispec.Descriptor) []ocispec.Descriptor {
	t.Helper()
	list, err := ociremote.Referrers(t.Context(), open(t, c, ref, false), subject, ociremote.ReferrersOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list.Descriptors
}

// attach pushes a manifest that refers to another one.
func (w *world) attach(repository string, to ocispec.Descriptor, artifactType string, layer []byte) ocispec.Descriptor {
	w.t.Helper()
	repo := oras(w.source, repository)
	push := func(d ocispec.Descriptor, data []byte) ocispec.Descriptor {
		if there := must(repo.Exists(w.t.Context(), d)); !there {
			if err := repo.Push(w.t.Context(), d, bytes.NewReader(data)); err != nil {
				w.t.Fatal(err)
			}
		}
		return d
	}
	m := ocispec.Manifest{
		MediaType: ocispec.MediaTypeImageManifest, ArtifactType: artifactType, Subject: &to,
		Config: push(ocispec.DescriptorEmptyJSON, []byte("{}")),
		Layers: []ocispec.Descriptor{push(describe("application/octet-stream", layer), layer)},
	}
	m.SchemaVersion = 2
	data := must(json.Marshal(m))
	return push(describe(ocispec.MediaTypeImageManifest, data), data)
}

func describe(mediaType string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

func openWith(c *ociremote.Client) func(context.Context, ociremote.ImageReference) (ociremote.Repository, error) {
	return func(ctx context.Context, image ociremote.ImageReference) (ociremote.Repository, error) {
		return c.Repository(ctx, image.Reference(), false)
	}
}

// childOf is the first manifest of an index.
func childOf(t testing.TB, index []byte) ocispec.Descriptor {
	t.Helper()
	var list ocispec.Index
	if err := json.Unmarshal(index, &list); err != nil {
		t.Fatal(err)
	}
	return list.Manifests[0]
}

func jsonIndex(of ...ocispec.Descriptor) ([]byte, error) {
	list := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: of}
	list.SchemaVersion = 2
	return json.Marshal(list)
}
