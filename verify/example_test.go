package verify_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"testing"
	"time"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/revocation/purpose"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// offline refuses every request: OCSP comes before CRLs, and would be waited for.
type offline struct{}

func (offline) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no network") }

// A program that verifies with notation-go gets its trust store, its policy and its
// CRLs from a trust repository: rotated and revoked there, with nothing on disk.
func Example() {
	ctx := context.Background()
	source, root, images, image := publishedNotation(ctx)

	// 1. What TUF delivers, from the pinned root.
	client, err := trust.New(root, trust.Options{Source: trust.RepositorySource(source, "tuf")})
	if err != nil {
		log.Fatal(err)
	}
	view, err := client.Refresh(ctx)
	if err != nil {
		log.Fatal(err)
	}
	scope, err := trust.ParseScope("registry.acme.io/**")
	if err != nil {
		log.Fatal(err)
	}
	material, err := verify.Load(ctx, view, []trust.Scope{scope})
	if err != nil {
		log.Fatal(err)
	}

	// 2. notation-go's own verifier over it. material.Validator would do for both
	// validators too, and takes the revocations of the trust besides.
	validator := func(p purpose.Purpose) revocation.Validator {
		v, err := revocation.NewWithOptions(revocation.Options{
			CRLFetcher: material.CRLFetcher(), OCSPHTTPClient: &http.Client{Transport: offline{}}, CertChainPurpose: p,
		})
		if err != nil {
			log.Fatal(err)
		}
		return v
	}
	policy, err := material.PolicyFor(ctx, "registry.acme.io/shop/api")
	if err != nil {
		log.Fatal(err)
	}
	v, err := verifier.NewWithOptions(policy, material.TrustStore(), nil, verifier.VerifierOptions{
		RevocationCodeSigningValidator:  validator(purpose.CodeSigning),
		RevocationTimestampingValidator: validator(purpose.Timestamping),
	})
	if err != nil {
		log.Fatal(err)
	}

	// 3. As with any other trust store.
	_, outcomes, err := notation.Verify(ctx, v, registry.NewRepository(images), notation.VerifyOptions{
		ArtifactReference: "registry.acme.io/shop/api@" + image.Digest.String(), MaxSignatureAttempts: 10,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range outcomes[0].VerificationResults {
		fmt.Println(r.Type, r.Action, r.Error)
	}
	// Output:
	// integrity enforce <nil>
	// authenticity enforce <nil>
	// expiry enforce <nil>
	// authenticTimestamp enforce <nil>
	// revocation enforce <nil>
}

// publishedNotation is what a publisher put out: a trust repository with a
// certificate, a policy and a CRL, and a signed image.
func publishedNotation(ctx context.Context) (source ociremote.Repository, root []byte, images oras.GraphTarget, image ocispec.Descriptor) {
	const url = "http://crl.acme.example/ca.crl"
	ca := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "ca"}))
	leaf := must(ca.Leaf(notationsign.CertificateOptions{Name: "build", CRLURLs: []string{url}}))
	revoked := must(ca.Leaf(notationsign.CertificateOptions{Name: "lost"}))

	store := memory.New()
	image = must(notationsign.PushIndex(ctx, store, []byte("hello"), "1.0"))
	if err := store.Tag(ctx, image, image.Digest.String()); err != nil {
		log.Fatal(err)
	}
	must(notationsign.Sign(ctx, store, image, leaf, notationsign.Options{}))

	repo := tuftest.NewRepo(new(testing.B), tuftest.RepoOptions{Now: time.Now()})
	repo.AddTarget("notation/x509/ca/acme/ca.pem", ca.PEM())
	repo.AddTarget("notation/trustpolicy.json", must(json.Marshal(trustpolicy.Document{
		Version: "1.0", TrustPolicies: []trustpolicy.TrustPolicy{{
			Name: "acme", RegistryScopes: []string{"registry.acme.io/shop/api"}, TrustStores: []string{"ca:acme"}, TrustedIdentities: []string{"*"},
			SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: "strict"},
		}},
	})))
	crl := must(ca.CRL(notationsign.CRLOptions{Number: 1, Revoked: []*x509.Certificate{revoked.Chain[0]}}))
	repo.AddTarget("notation/crl/ca.crl", crl)
	repo.AddEntry("targets", "notation/crl/ca.crl", int64(len(crl)), digest.FromBytes(crl).Encoded(), map[string]any{"tufoci": map[string]any{"urls": []string{url}}})
	repo.AddTarget("notation/crl/ca.issuer.pem", ca.PEM())
	repo.Publish()

	bundle := tuftest.Pack(new(testing.B), repo.Files(), tuftest.PackOptions{})
	to := ociremote.NewMemory()
	for sum, data := range bundle.Blobs {
		desc := ocispec.Descriptor{MediaType: "application/octet-stream", Digest: digest.Digest(sum), Size: int64(len(data))}
		if err := to.Push(ctx, desc, bytes.NewReader(data)); err != nil {
			log.Fatal(err)
		}
	}
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(bundle.Digest), Size: int64(len(bundle.Manifest))}
	if err := to.PushReference(ctx, desc, bytes.NewReader(bundle.Manifest), "tuf"); err != nil {
		log.Fatal(err)
	}
	return to, repo.RootBytes(), store, image
}
