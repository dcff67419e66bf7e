package notationsign_test

import (
	"context"
	"crypto/x509"
	"testing"
	"time"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/revocation/result"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	"oras.land/oras-go/v2/content/memory"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
)

// stores holds one certificate for each type.
type stores map[truststore.Type]*x509.Certificate

func (s stores) GetCertificates(_ context.Context, t truststore.Type, _ string) ([]*x509.Certificate, error) {
	return []*x509.Certificate{s[t]}, nil
}

// good finds nothing revoked.
type good struct{}

func (good) ValidateContext(_ context.Context, o revocation.ValidateContextOptions) ([]*result.CertRevocationResult, error) {
	out := make([]*result.CertRevocationResult, len(o.CertChain))
	for i := range out {
		out[i] = &result.CertRevocationResult{Result: result.ResultOK}
	}
	return out, nil
}

// What is signed here verifies with notation-go: each envelope, each scheme, with
// and without a timestamp.
func TestSign(t *testing.T) {
	t.Parallel()
	ca := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "ca"}))
	between := must(ca.Intermediate(notationsign.CertificateOptions{Name: "between"}))
	leaf := must(between.Leaf(notationsign.CertificateOptions{Name: "leaf"}))
	tsaRoot := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "tsa root"}))
	tsaLeaf := must(tsaRoot.Leaf(notationsign.CertificateOptions{Name: "tsa", Timestamping: true}))
	tsa := &tuftest.TSA{Chain: tsaLeaf.Chain, Key: tsaLeaf.Key}

	for name, tt := range map[string]struct {
		options notationsign.Options
		stores  []string
	}{
		"jws":               {notationsign.Options{}, []string{"ca:a"}},
		"cose":              {notationsign.Options{MediaType: notationsign.COSE}, []string{"ca:a"}},
		"expiry":            {notationsign.Options{Expiry: time.Now().Add(time.Hour)}, []string{"ca:a"}},
		"signing authority": {notationsign.Options{SigningAuthority: true}, []string{"signingAuthority:a"}},
		"timestamp":         {notationsign.Options{Timestamper: tsa, TSARoots: tsa.Roots(), TSAValidator: good{}}, []string{"ca:a", "tsa:t"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := memory.New()
			image, err := notationsign.PushIndex(t.Context(), store, []byte("content"), "v1")
			if err != nil {
				t.Fatal(err)
			}
			// Notation asks for the image by its digest, which a memory store does not know as a name.
			if err := store.Tag(t.Context(), image, image.Digest.String()); err != nil {
				t.Fatal(err)
			}
			if _, err := notationsign.Sign(t.Context(), store, image, leaf, tt.options); err != nil {
				t.Fatal(err)
			}
			policy := &trustpolicy.Document{Version: "1.0", TrustPolicies: []trustpolicy.TrustPolicy{{
				Name: "p", RegistryScopes: []string{"*"}, TrustStores: tt.stores, TrustedIdentities: []string{"x509.subject: C=US, ST=WA, O=Acme, CN=leaf"},
				SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: "strict"},
			}}}
			v, err := verifier.NewWithOptions(policy, stores{truststore.TypeCA: ca.Certificate, truststore.TypeSigningAuthority: ca.Certificate, truststore.TypeTSA: tsaRoot.Certificate}, nil,
				verifier.VerifierOptions{RevocationCodeSigningValidator: good{}, RevocationTimestampingValidator: good{}})
			if err != nil {
				t.Fatal(err)
			}
			_, outcomes, err := notation.Verify(t.Context(), v, registry.NewRepository(store), notation.VerifyOptions{
				ArtifactReference: "registry.example.com/a@" + image.Digest.String(), MaxSignatureAttempts: 5,
			})
			if err != nil || len(outcomes) != 1 {
				t.Fatalf("%v", err)
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
