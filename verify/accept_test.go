package verify_test

import (
	"testing"
	"time"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// TestAccepted shows what verifies, and with which evidence.
func TestAccepted(t *testing.T) {
	t.Parallel()
	multi := func(w *world) (ocispec.Descriptor, []ocispec.Descriptor) {
		index, platforms := w.pushIndex("multi", "2.0")
		w.mapped(index, "2.0")
		w.sign(index)
		for _, p := range platforms {
			w.entryOf(p, map[string]any{"index": index.Digest.String()}, "@"+p.Digest.String())
		}
		return index, platforms
	}
	type override = map[trustpolicy.ValidationType]trustpolicy.ValidationAction
	for name, tt := range map[string]struct {
		make     func(w *world, image ocispec.Descriptor) string
		level    string // "strict" if ""
		warnings int
		check    func(t *testing.T, w *world, r *verify.Result)
	}{
		"tag": {
			make: func(*world, ocispec.Descriptor) string { return ":1.0" },
			check: func(t *testing.T, w *world, r *verify.Result) {
				v := r.Verdicts[0]
				s := v.Signatures[0]
				m := v.Mappings[0]
				switch {
				case v.Trust != "acme" || v.Canonical != host+"/"+repository || v.Scope != host+"/**" || v.Statement != "acme" || v.Status.Timestamp.Version == 0:
					t.Errorf("verdict: %+v", v)
				case len(v.Mappings) != 1 || m.Name != "images/shop/api:1.0" || m.Role != "targets" || m.RoleVersion == 0 || m.Digest != r.Digest || m.Length != r.Size || m.MediaType != r.MediaType:
					t.Errorf("mapping: %+v of %+v", m, r)
				case len(v.Signatures) != 1 || s.Digest == "" || s.Subject != r.Digest || s.Scheme != "notary.x509" || s.SigningTime.IsZero() || !s.Timestamp.IsZero() || s.MediaType != notationsign.JWS:
					t.Errorf("signature: %+v", s)
				case len(s.Chain) != 3 || s.Chain[0].Store != "" || s.Chain[2].Store != "ca:acme" || s.Chain[0].Issuer != s.Chain[1].Subject || len(s.Chain[0].SHA256) != 64 || s.Chain[0].Serial == "":
					t.Errorf("chain: %+v", s.Chain)
				case len(s.Checks) != 5:
					t.Errorf("checks: %+v", s.Checks)
				}
			},
		},
		"digest": {make: func(_ *world, image ocispec.Descriptor) string { return "@" + image.Digest.String() }},
		"tag and digest": {
			make: func(_ *world, image ocispec.Descriptor) string { return ":1.0@" + image.Digest.String() },
			check: func(t *testing.T, _ *world, r *verify.Result) {
				if m := r.Verdicts[0].Mappings; len(m) != 2 || m[0].Name != "images/shop/api:1.0" {
					t.Errorf("mappings: %+v", m)
				}
			},
		},
		"index": {make: func(w *world, _ ocispec.Descriptor) string { multi(w); return ":2.0" }},
		"platform": {
			make: func(w *world, _ ocispec.Descriptor) string {
				_, platforms := multi(w)
				return "@" + platforms[0].Digest.String()
			},
			check: func(t *testing.T, w *world, r *verify.Result) {
				v := r.Verdicts[0]
				if v.Signatures[0].Subject == r.Digest || v.Signatures[0].Subject != v.Mappings[0].Index {
					t.Errorf("signature: %+v", v.Signatures[0])
				}
			},
		},
		"platform of an index of which no media type is signed": {
			make: func(w *world, _ ocispec.Descriptor) string {
				index, platforms := multi(w)
				w.repo.AddEntry("targets", "images/"+repository+"@"+index.Digest.String(), index.Size, index.Digest.Encoded(), nil)
				return "@" + platforms[0].Digest.String()
			},
		},
		"entry without a custom object": {
			make: func(w *world, image ocispec.Descriptor) string {
				w.repo.AddEntry("targets", "images/"+repository+":1.0", image.Size, image.Digest.Encoded(), nil)
				return ":1.0"
			},
		},
		"COSE": {
			make: func(w *world, _ ocispec.Descriptor) string {
				w.signBy(unsigned(w), w.leaf, notationsign.Options{MediaType: notationsign.COSE})
				return ":1.0"
			},
		},
		"signature with an artifact type": {
			make: func(w *world, _ ocispec.Descriptor) string {
				image := unsigned(w)
				e := w.envelope(image)
				w.attach(image, func(m *ocispec.Manifest) { m.ArtifactType, m.Layers = signatureType, []ocispec.Descriptor{e} })
				return ":1.0"
			},
		},
		"signing authority": {
			make: func(w *world, _ ocispec.Descriptor) string {
				w.anchor("signingAuthority", "acme", w.ca.Certificate)
				w.statement().TrustStores = []string{"signingAuthority:acme"}
				old := must(w.between.Leaf(notationsign.CertificateOptions{Name: "old", NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().AddDate(0, 0, -1)}))
				w.signBy(unsigned(w), old, notationsign.Options{SigningAuthority: true, SigningTime: time.Now().AddDate(0, 0, -2)})
				return ":1.0"
			},
		},
		"expired certificate with a timestamp": {
			make: func(w *world, _ ocispec.Descriptor) string {
				tsa := must(must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "tsa root", NotBefore: time.Now().AddDate(-3, 0, 0)})).
					Leaf(notationsign.CertificateOptions{Name: "tsa", Timestamping: true, NotBefore: time.Now().AddDate(-3, 0, 0)}))
				w.anchor("tsa", "acme", tsa.Chain[1])
				w.statement().TrustStores = append(w.statement().TrustStores, "tsa:acme")
				then := time.Now().AddDate(0, 0, -2)
				o := stamp(tsa, func() time.Time { return then })
				o.SigningTime = then
				byLeaf(w, w.between, notationsign.CertificateOptions{Name: "old", NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().AddDate(0, 0, -1)}, o)
				return ":1.0"
			},
			check: func(t *testing.T, _ *world, r *verify.Result) {
				s := r.Verdicts[0].Signatures[0]
				if len(s.TimestampChain) != 2 || s.TimestampChain[1].Store != "tsa:acme" || time.Since(s.Timestamp) < 40*time.Hour {
					t.Errorf("timestamp: %v, %+v", s.Timestamp, s.TimestampChain)
				}
			},
		},
		"certificate that a CRL covers": {
			make: func(w *world, _ ocispec.Descriptor) string {
				w.crl("between", w.between, notationsign.CRLOptions{Number: 7}, crlURL)
				byLeaf(w, w.between, notationsign.CertificateOptions{CRLURLs: []string{crlURL}}, notationsign.Options{})
				return ":1.0"
			},
			check: func(t *testing.T, _ *world, r *verify.Result) {
				if c := r.Verdicts[0].Signatures[0].Chain[0]; c.Revocation != "ok" || c.CRL == nil || c.CRL.Number != "7" || c.CRL.Stale || c.CRL.Delta {
					t.Errorf("evidence: %+v %+v", c, c.CRL)
				}
			},
		},
		"certificate that a CRL past its end covers": {
			make: func(w *world, _ ocispec.Descriptor) string {
				w.crl("between", w.between, notationsign.CRLOptions{Number: 7, ThisUpdate: time.Now().AddDate(0, -2, 0), NextUpdate: time.Now().AddDate(0, -1, 0)}, crlURL)
				byLeaf(w, w.between, notationsign.CertificateOptions{CRLURLs: []string{crlURL}}, notationsign.Options{})
				return ":1.0"
			},
			warnings: 1,
			check: func(t *testing.T, _ *world, r *verify.Result) {
				if c := r.Verdicts[0].Signatures[0].Chain[0]; !c.CRL.Stale {
					t.Errorf("evidence: %+v", c.CRL)
				}
			},
		},
		"permissive where the trust takes it": {
			make: func(w *world, _ ocispec.Descriptor) string {
				w.level("permissive")
				w.entry.MinLevel = "permissive"
				byLeaf(w, w.between, notationsign.CertificateOptions{CRLURLs: []string{crlURL}}, notationsign.Options{})
				return ":1.0"
			},
			level: "permissive", warnings: 2,
		},
		"audit where the trust takes it": {
			make: func(w *world, _ ocispec.Descriptor) string {
				w.level("audit")
				w.entry.MinLevel = "audit"
				byLeaf(w, must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "unknown"})), notationsign.CertificateOptions{}, notationsign.Options{})
				return ":1.0"
			},
			level: "audit", warnings: 2,
		},
		"skipped revocation where the trust takes it": {
			make: func(w *world, _ ocispec.Descriptor) string {
				w.statement().SignatureVerification.Override = override{"revocation": "skip"}
				w.entry.MinLevel = "permissive"
				byLeaf(w, w.between, notationsign.CertificateOptions{CRLURLs: []string{crlURL}}, notationsign.Options{})
				return ":1.0"
			},
			level: "permissive", warnings: 1,
			check: func(t *testing.T, _ *world, r *verify.Result) {
				c := r.Verdicts[0].Signatures[0].Checks
				if last := c[len(c)-1]; last.Type != "revocation" || last.Action != "skip" {
					t.Errorf("checks: %+v", c)
				}
			},
		},
		"statement for the repository": {
			make: func(w *world, _ ocispec.Descriptor) string {
				w.statement().RegistryScopes = []string{host + "/" + repository}
				w.policy.TrustPolicies = append(w.policy.TrustPolicies, trustpolicy.TrustPolicy{
					Name: "none", RegistryScopes: []string{"*"}, TrustStores: []string{}, TrustedIdentities: []string{},
					SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: "skip"},
				})
				return ":1.0"
			},
		},
		"signature alone, in a repository that the trust names": {
			make: func(w *world, _ ocispec.Descriptor) string {
				w.entry.Require = []string{trust.RequireSignature}
				w.sign(w.push("unmapped", "2.0"))
				return ":2.0"
			},
		},
		"large file of another reserved name": {
			make: func(w *world, image ocispec.Descriptor) string {
				w.repo.AddEntry("targets", "tufoci/large", 65<<20, image.Digest.Encoded(), nil)
				return ":1.0"
			},
		},
		"mapping alone": {
			make: func(w *world, _ ocispec.Descriptor) string {
				w.entry.Require = []string{trust.RequireMapping}
				unsigned(w)
				return ":1.0"
			},
			level: "none",
		},
		"revoked in another repository": {
			make: func(w *world, image ocispec.Descriptor) string {
				w.revoke([]map[string]any{revokedImage(image.Digest, "shop/other")})
				return ":1.0"
			},
		},
	} {
		for _, at := range placesOf(name, nil) {
			t.Run(name+"/"+string(at), func(t *testing.T) {
				t.Parallel()
				w, image := good(t, at)
				ask := tt.make(w, image)
				w.publish()
				r := w.verify(ask)
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				want := tt.level
				switch want {
				case "":
					want = "strict"
				case "none":
					want = ""
				}
				v := r.Verdicts[0]
				if r.Level != want || r.Digest == "" || v.Err != nil || len(v.Warnings) != tt.warnings || v.MoreSignatures {
					t.Errorf("level %q, warnings %q: %+v", r.Level, v.Warnings, r)
				}
				if n := len(v.Signatures); want != "" && (n == 0 || !v.Signatures[n-1].Accepted) {
					t.Errorf("signatures: %+v", v.Signatures)
				}
				if tt.check != nil {
					tt.check(t, w, r)
				}
			})
		}
	}
}
