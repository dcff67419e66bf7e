package verify_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"hash/fnv"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/revocation/result"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

const (
	host       = "registry.acme.io"
	repository = "shop/api"
	crlURL     = "http://crl.acme.example/ca.crl"
	deltaURL   = "http://crl.acme.example/delta.crl"
)

// place is where the images of a world are.
type place string

const (
	withReferrers    place = "registry"
	withoutReferrers place = "registry without the referrers API"
	layout           place = "layout"
	archive          place = "archive"
)

var places = []place{withReferrers, withoutReferrers, layout, archive}

// placesOf are the places that a case is tried in, of some or of all: each of them, and
// under the race detector one, by its name.
func placesOf(name string, only []place) []place {
	if only == nil {
		only = places
	}
	sum := fnv.New32a()
	sum.Write([]byte(name))
	return tuftest.Scale(only[int(sum.Sum32()%uint32(len(only))):][:1], only, only)
}

// world is a registry with a trust repository, a Notation PKI whose root the trust
// delivers, and a place with images.
type world struct {
	t        testing.TB
	place    place
	repo     *tuftest.Repo
	registry *tuftest.Registry
	dir      string // of a layout
	images   oras.GraphTarget

	ca, between *notationsign.Authority
	leaf        *notationsign.Identity
	policy      trustpolicy.Document
	entry       trust.Entry
	state       string
	now         func() time.Time
	retries     int // of a client, as in ociremote.Options
}

// newWorld has nothing but certificates and a strict policy for any repository that
// the trust names.
func newWorld(t testing.TB, at place) *world {
	t.Helper()
	w := &world{
		t: t, place: at, repo: tuftest.NewRepo(t, tuftest.RepoOptions{Now: time.Now()}),
		registry: tuftest.NewRegistry(t, tuftest.RegistryOptions{NoReferrers: at == withoutReferrers}),
		state:    t.TempDir(), now: time.Now,
	}
	w.images = w.target(repository)
	if at == layout || at == archive {
		w.dir = t.TempDir()
		w.images = must(oci.New(w.dir))
	}
	w.ca = must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "root", NotBefore: time.Now().AddDate(-3, 0, 0)}))
	w.between = must(w.ca.Intermediate(notationsign.CertificateOptions{Name: "between", NotBefore: time.Now().AddDate(-3, 0, 0)}))
	w.leaf = must(w.between.Leaf(notationsign.CertificateOptions{Name: "leaf"}))
	w.anchor("ca", "acme", w.ca.Certificate)
	w.policy = trustpolicy.Document{Version: "1.0", TrustPolicies: []trustpolicy.TrustPolicy{{
		Name: "acme", RegistryScopes: []string{"*"}, TrustStores: []string{"ca:acme"},
		TrustedIdentities:     []string{"x509.subject: C=US, ST=WA, O=Acme"},
		SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: "strict"},
	}}}
	w.entry = trust.Entry{
		Name: "acme", Scopes: []trust.Scope{must(trust.ParseScope(host + "/**"))},
		Maps: []trust.Map{must(trust.ParseMap(w.registry.Host() + "=" + host))},
	}
	return w
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// target is a repository of the registry, new each time: oras remembers what it
// has pushed.
func (w *world) target(name string) oras.GraphTarget {
	repo := must(remote.NewRepository(w.registry.Host() + "/" + name))
	repo.Client = w.registry.Client() // not the default one: ending any test server closes its connections
	repo.PlainHTTP = true
	return repo
}

// anchor adds certificates to a trust store.
func (w *world) anchor(kind, store string, certs ...*x509.Certificate) {
	w.repo.AddTarget("notation/x509/"+kind+"/"+store+"/"+store+".pem", notationsign.EncodePEM(certs...))
}

// statement is the only statement of the policy.
func (w *world) statement() *trustpolicy.TrustPolicy { return &w.policy.TrustPolicies[0] }

func (w *world) level(level string) { w.statement().SignatureVerification.VerificationLevel = level }

// crl adds a CRL of an authority.
func (w *world) crl(name string, by *notationsign.Authority, o notationsign.CRLOptions, urls ...string) {
	w.repo.AddTarget("notation/crl/"+name+".issuer.pem", by.PEM())
	der := must(by.CRL(o))
	target := "notation/crl/" + name + ".crl"
	w.repo.AddTarget(target, der)
	if urls != nil {
		w.repo.AddEntry("targets", target, int64(len(der)), digest.FromBytes(der).Encoded(), map[string]any{"tufoci": map[string]any{"urls": urls}})
	}
}

// revoke writes revocations.json.
func (w *world) revoke(images []map[string]any, certs ...*x509.Certificate) {
	var certificates []map[string]any
	for _, c := range certs {
		certificates = append(certificates, map[string]any{"sha256": digest.FromBytes(c.Raw).Encoded(), "reason": "stolen", "time": "2026-01-02T03:04:05Z"})
	}
	if images == nil {
		images = []map[string]any{}
	}
	if certificates == nil {
		certificates = []map[string]any{}
	}
	w.repo.AddTarget("revocations.json", must(json.Marshal(map[string]any{"version": 1, "images": images, "certificates": certificates})))
}

func revokedImage(d digest.Digest, repository string) map[string]any {
	m := map[string]any{"digest": d.String(), "reason": "bad build", "time": "2026-01-02T03:04:05Z"}
	if repository != "" {
		m["repository"] = repository
	}
	return m
}

// push pushes an image and tags it, unless tag is "".
func (w *world) push(content, tag string) ocispec.Descriptor {
	w.t.Helper()
	return must(notationsign.PushImage(w.ctx(), w.images, []byte(content), notationsign.Platforms[0], tag))
}

// pushIndex pushes an index of two platforms.
func (w *world) pushIndex(content, tag string) (index ocispec.Descriptor, platforms []ocispec.Descriptor) {
	w.t.Helper()
	index = must(notationsign.PushIndex(w.ctx(), w.images, []byte(content), tag))
	rc := must(w.images.Fetch(w.ctx(), index))
	defer rc.Close()
	var list ocispec.Index
	if err := json.NewDecoder(rc).Decode(&list); err != nil {
		w.t.Fatal(err)
	}
	return index, list.Manifests
}

// entryOf maps names of a repository (":1.0", "@sha256:…") to a descriptor.
func (w *world) entryOf(d ocispec.Descriptor, custom map[string]any, names ...string) {
	all := map[string]any{"mediaType": d.MediaType}
	maps.Copy(all, custom)
	for _, name := range names {
		w.repo.AddEntry("targets", "images/"+repository+name, d.Size, d.Digest.Encoded(), map[string]any{"tufoci": all})
	}
}

// mapped maps a tag and the digest, as publishers do.
func (w *world) mapped(d ocispec.Descriptor, tag string) {
	w.entryOf(d, nil, ":"+tag, "@"+d.Digest.String())
}

// sign attaches a good signature.
func (w *world) sign(d ocispec.Descriptor) { w.signBy(d, w.leaf, notationsign.Options{}) }

func (w *world) signBy(d ocispec.Descriptor, by *notationsign.Identity, o notationsign.Options) ocispec.Descriptor {
	w.t.Helper()
	return must(notationsign.Sign(w.ctx(), w.images, d, by, o))
}

// attach pushes a manifest that refers to an image.
func (w *world) attach(to ocispec.Descriptor, edit func(m *ocispec.Manifest)) ocispec.Descriptor {
	w.t.Helper()
	empty := w.blob(ocispec.MediaTypeEmptyJSON, []byte("{}"))
	m := &ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: empty, Layers: []ocispec.Descriptor{empty}, Subject: &to}
	m.SchemaVersion = 2
	edit(m)
	return w.blob(ocispec.MediaTypeImageManifest, must(json.Marshal(m)))
}

// envelope pushes a signature of an image by the world's leaf, without a manifest.
func (w *world) envelope(image ocispec.Descriptor) ocispec.Descriptor {
	w.t.Helper()
	return w.blob(notationsign.JWS, must(notationsign.Envelope(w.ctx(), image, w.leaf, notationsign.Options{})))
}

func (w *world) blob(mediaType string, data []byte) ocispec.Descriptor {
	w.t.Helper()
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if exists := must(w.images.Exists(w.ctx(), d)); exists {
		return d
	}
	if err := w.images.Push(w.ctx(), d, bytes.NewReader(data)); err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *world) ctx() context.Context { return w.t.Context() }

// publish publishes the trust, with the policy as it is now. Requests count from
// then on.
func (w *world) publish() {
	w.t.Helper()
	if len(w.policy.TrustPolicies) > 0 {
		w.repo.AddTarget("notation/trustpolicy.json", must(json.Marshal(w.policy)))
	}
	w.repo.Publish()
	w.registry.Push("acme/trust", "tuf", tuftest.Pack(w.t, w.repo.Files(), tuftest.PackOptions{}))
	w.registry.Reset()
}

// good is a world whose image 1.0 verifies.
func good(t testing.TB, at place) (*world, ocispec.Descriptor) {
	w := newWorld(t, at)
	image := w.push("hello", "1.0")
	w.mapped(image, "1.0")
	w.sign(image)
	return w, image
}

// options for the trusts of the world, as a new process would have them.
func (w *world) options(entries ...trust.Entry) verify.Options {
	w.t.Helper()
	if len(entries) == 0 {
		entries = []trust.Entry{w.entry}
	}
	client := must(ociremote.NewClient(ociremote.Options{Base: w.registry.Client().Transport, Retries: w.retries}))
	o := verify.Options{
		Open: func(ctx context.Context, image ociremote.ImageReference) (ociremote.Repository, error) {
			return client.Repository(ctx, image.Reference(), false)
		},
	}
	for _, e := range entries {
		o.Trusts = append(o.Trusts, verify.Trust{Entry: e, Client: must(trust.New(w.repo.RootBytes(), trust.Options{
			Source: must(trust.ParseSource(w.registry.Host() + "/acme/trust")), StateDir: w.state, Client: client, Now: w.now, MaxStale: e.MaxStale, Limits: e.Limits,
		}))})
	}
	return o
}

// image is the reference of an image of the world: name is ":1.0", "@sha256:…" or
// both.
func (w *world) image(name string) (image ociremote.ImageReference, as *ociremote.ImageReference) {
	w.t.Helper()
	switch w.place {
	case layout:
		return must(ociremote.ParseImage("oci-layout:" + w.dir + name)), new(must(ociremote.ParseImage(host + "/" + repository + name)))
	case archive:
		return must(ociremote.ParseImage("oci-archive:" + w.tar() + name)), new(must(ociremote.ParseImage(host + "/" + repository + name)))
	default:
		return must(ociremote.ParseImage(w.registry.Host() + "/" + repository + name)), nil
	}
}

// tar packs the layout.
func (w *world) tar() string {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "images.tar")
	f := must(os.Create(file))
	defer f.Close()
	t := tar.NewWriter(f)
	if err := t.AddFS(os.DirFS(w.dir)); err != nil {
		w.t.Fatal(err)
	}
	if err := t.Close(); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// verify verifies one image as a new process.
func (w *world) verify(name string, edits ...func(*verify.Options)) *verify.Result {
	w.t.Helper()
	o := w.options()
	for _, edit := range edits {
		edit(&o)
	}
	image, as := w.image(name)
	return must(verify.New(o)).Image(w.ctx(), image, as)
}

// requests are those of the registry, short: "GET manifests/1.0".
func (w *world) requests() []string {
	var out []string
	for _, r := range w.registry.Requests() {
		path := strings.TrimPrefix(r.Path, "/v2/")
		path = strings.ReplaceAll(strings.ReplaceAll(path, "acme/trust/", "trust:"), repository+"/", "")
		out = append(out, r.Method+" "+path)
	}
	return out
}

// damage lets the registry change what it serves under paths that contain a text.
func (w *world) damage(path string, change func([]byte) []byte) {
	w.registry.Intercept(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if !strings.Contains(r.URL.Path, path) {
			next.ServeHTTP(rw, r)
			return
		}
		next.ServeHTTP(&changer{ResponseWriter: rw, change: change}, r)
	})
}

// changer changes a body that is written at once.
type changer struct {
	http.ResponseWriter
	change func([]byte) []byte
}

func (c *changer) Write(p []byte) (int, error) {
	_, err := c.ResponseWriter.Write(c.change(p))
	return len(p), err
}

var _ io.Writer = (*changer)(nil)

// unasked finds nothing revoked.
type unasked struct{}

func (unasked) ValidateContext(_ context.Context, o revocation.ValidateContextOptions) ([]*result.CertRevocationResult, error) {
	out := make([]*result.CertRevocationResult, len(o.CertChain))
	for i := range out {
		out[i] = &result.CertRevocationResult{Result: result.ResultOK}
	}
	return out, nil
}
