package verify_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"testing"
	"time"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

func revocationRefusals() map[string]refusal {
	// multi makes an index and its platforms, all of which verify.
	multi := func(w *world) (ocispec.Descriptor, []ocispec.Descriptor) {
		index, platforms := w.pushIndex("multi", "2.0")
		w.mapped(index, "2.0")
		w.sign(index)
		for _, p := range platforms {
			w.entryOf(p, map[string]any{"index": index.Digest.String()}, "@"+p.Digest.String())
		}
		return index, platforms
	}
	byCRL := func(o notationsign.CRLOptions, s notationsign.CertificateOptions) func(w *world, _ ocispec.Descriptor) string {
		return func(w *world, _ ocispec.Descriptor) string {
			leaf := byLeaf(w, w.between, s, notationsign.Options{})
			list := o // cases run at the same time
			list.Revoked = []*x509.Certificate{leaf.Chain[0]}
			w.crl("between", w.between, list, crlURL)
			return ""
		}
	}
	// badSince revokes a leaf from a time on that is later than its signature claims to be
	// of, which nobody but its signer has said.
	badSince := func(w *world, _ ocispec.Descriptor) string {
		leaf := byLeaf(w, w.between, notationsign.CertificateOptions{CRLURLs: []string{crlURL}}, notationsign.Options{SigningTime: time.Now().Add(-30 * time.Minute)})
		w.crl("between", w.between, notationsign.CRLOptions{Number: 7, Entries: []x509.RevocationListEntry{{
			SerialNumber: leaf.Chain[0].SerialNumber, RevocationTime: time.Now().Add(-time.Minute),
			ExtraExtensions: []pkix.Extension{{
				Id: asn1.ObjectIdentifier{2, 5, 29, 24}, Value: must(asn1.MarshalWithParams(time.Now().Add(-10*time.Minute).UTC(), "generalized")),
			}},
		}}}, crlURL)
		return ""
	}
	return map[string]refusal{
		"revoked digest": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				w.revoke([]map[string]any{revokedImage(image.Digest, "")})
				return ""
			},
			want: verify.ErrRevoked,
			text: func(_ *world, image ocispec.Descriptor) string {
				return image.Digest.String() + " at 2026-01-02T03:04:05Z: bad build"
			},
		},
		"revoked digest of the repository": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				w.revoke([]map[string]any{revokedImage(image.Digest, repository)})
				return "@" + image.Digest.String()
			},
			want: verify.ErrRevoked,
		},
		"revoked digest under a moved tag": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.revoke([]map[string]any{revokedImage(w.push("evil", "1.0").Digest, "")})
				return ""
			},
			want: verify.ErrRevoked,
		},
		"revoked digest in the role on call": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				w.repo.Delegate("targets", "revocations", []string{"revocations/*"}, false)
				w.repo.AddTargetTo("revocations", "revocations/night.json", must(json.Marshal(map[string]any{
					"version": 1, "images": []map[string]any{revokedImage(image.Digest, "")}, "certificates": []map[string]any{},
				})))
				return ""
			},
			want: verify.ErrRevoked,
		},
		"revoked digest where nothing else is required": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				w.entry.Require = []string{trust.RequireMapping}
				w.revoke([]map[string]any{revokedImage(image.Digest, "")})
				return ""
			},
			want: verify.ErrRevoked,
		},
		"platform of a revoked index": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				index, platforms := multi(w)
				w.revoke([]map[string]any{revokedImage(index.Digest, "")})
				return "@" + platforms[1].Digest.String()
			},
			want: verify.ErrRevoked,
		},
		"index with a revoked platform": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				_, platforms := multi(w)
				w.revoke([]map[string]any{revokedImage(platforms[1].Digest, "")})
				return ":2.0"
			},
			want: verify.ErrRevoked,
		},
		"leaf revoked by a list": {
			spoil: func(w *world, _ ocispec.Descriptor) string { w.revoke(nil, w.leaf.Chain[0]); return "" },
			want:  verify.ErrRevoked, text: text(`CN=leaf,`),
			check: func(t *testing.T, _ *world, r *verify.Result) {
				s := r.Verdicts[0].Signatures[0]
				if len(s.Chain) != 3 || s.Chain[0].Revocation != "revoked" || s.Chain[1].Revocation != "not revokable" || s.Chain[2].Store != "ca:acme" {
					t.Errorf("evidence: %+v", s.Chain)
				}
			},
		},
		"leaf revoked by a list, with the other value of its issuer's signature": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				leaf := must(w.between.Leaf(notationsign.CertificateOptions{Name: "another leaf"}))
				w.revoke(nil, leaf.Chain[0])
				leaf.Chain[0] = resigned(leaf.Chain[0], w.between)
				w.signBy(unsignedAs(w, "of another leaf"), leaf, notationsign.Options{})
				return ""
			},
			want: verify.ErrRevoked, text: text("CN=another leaf,"),
		},
		"leaf revoked by a list, with bytes behind its issuer's signature, where revocation is skipped": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.statement().SignatureVerification.Override = map[trustpolicy.ValidationType]trustpolicy.ValidationAction{"revocation": "skip"}
				w.entry.MinLevel = "permissive"
				leaf := must(w.between.Leaf(notationsign.CertificateOptions{Name: "another leaf"}))
				w.revoke(nil, leaf.Chain[0])
				leaf.Chain[0] = stuffed(leaf.Chain[0])
				w.signBy(unsignedAs(w, "of another leaf"), leaf, notationsign.Options{})
				return ""
			},
			want: verify.ErrEnvelope, text: text("not in DER"),
		},
		"intermediate revoked by a list, with the other value of its issuer's signature": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				leaf := must(w.between.Leaf(notationsign.CertificateOptions{Name: "another leaf"}))
				w.revoke(nil, w.between.Certificate)
				leaf.Chain[1] = resigned(w.between.Certificate, w.ca)
				w.signBy(unsignedAs(w, "of another leaf"), leaf, notationsign.Options{})
				return ""
			},
			want: verify.ErrRevoked, text: text("CN=between,"),
		},
		"intermediate revoked by a list": {
			spoil: func(w *world, _ ocispec.Descriptor) string { w.revoke(nil, w.between.Certificate); return "" },
			want:  verify.ErrRevoked, text: text(`CN=between,`),
		},
		"root revoked by a list": {
			spoil: func(w *world, _ ocispec.Descriptor) string { w.revoke(nil, w.ca.Certificate); return "" },
			want:  verify.ErrRevoked, text: text(`CN=root,`),
		},
		"root revoked by a list below an anchor": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.anchor("ca", "acme", w.between.Certificate)
				w.revoke(nil, w.ca.Certificate)
				return ""
			},
			want: verify.ErrRevoked, text: text(`CN=root,`),
		},
		"leaf revoked by a list at the level audit": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.level("audit")
				w.entry.MinLevel = "audit"
				w.revoke(nil, w.leaf.Chain[0])
				return ""
			},
			want: verify.ErrRevoked,
		},
		"leaf revoked by a list where revocation is skipped": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.statement().SignatureVerification.Override = map[trustpolicy.ValidationType]trustpolicy.ValidationAction{"revocation": "skip"}
				w.entry.MinLevel = "permissive"
				w.revoke(nil, w.leaf.Chain[0])
				return ""
			},
			want: verify.ErrRevoked,
		},
		"leaf revoked by a CRL": {
			spoil: byCRL(notationsign.CRLOptions{Number: 7}, notationsign.CertificateOptions{CRLURLs: []string{crlURL}}),
			want:  verify.ErrRevoked, text: text("by CRL between number 7"),
			check: func(t *testing.T, _ *world, r *verify.Result) {
				c := r.Verdicts[0].Signatures[0].Chain[0]
				if c.Revocation != "revoked" || c.CRL == nil || c.CRL.Name != "between" || c.CRL.Number != "7" || c.CRL.ThisUpdate.IsZero() {
					t.Errorf("evidence: %+v %+v", c, c.CRL)
				}
			},
		},
		"leaf revoked by a CRL that it does not name": {
			spoil: byCRL(notationsign.CRLOptions{Number: 7}, notationsign.CertificateOptions{}),
			want:  verify.ErrRevoked,
		},
		"leaf revoked by a CRL since after it claims to have signed": {
			spoil: badSince, want: verify.ErrRevoked, text: text("by CRL between number 7"),
		},
		"leaf revoked by a CRL since after it claims to have signed, where revocation is skipped": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				w.statement().SignatureVerification.Override = map[trustpolicy.ValidationType]trustpolicy.ValidationAction{"revocation": "skip"}
				w.entry.MinLevel = "permissive"
				return badSince(w, image)
			},
			want: verify.ErrRevoked, text: text("by CRL between number 7"),
		},
		"leaf revoked by a stale CRL": {
			spoil: byCRL(notationsign.CRLOptions{Number: 7, ThisUpdate: time.Now().AddDate(0, -2, 0), NextUpdate: time.Now().AddDate(0, -1, 0)}, notationsign.CertificateOptions{CRLURLs: []string{crlURL}}),
			want:  verify.ErrRevoked,
		},
		"leaf revoked by a delta CRL": {
			spoil: byCRL(notationsign.CRLOptions{Number: 7, Base: 5}, notationsign.CertificateOptions{}),
			want:  verify.ErrRevoked,
		},
		"leaf revoked by a CRL at the level permissive": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				w.level("permissive")
				w.entry.MinLevel = "permissive"
				return byCRL(notationsign.CRLOptions{Number: 7}, notationsign.CertificateOptions{CRLURLs: []string{crlURL}})(w, image)
			},
			want: verify.ErrRevoked,
		},
		"intermediate revoked by a CRL": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.crl("root", w.ca, notationsign.CRLOptions{Number: 7, Revoked: []*x509.Certificate{w.between.Certificate}}, crlURL)
				return ""
			},
			want: verify.ErrRevoked, text: text("CN=between,"),
		},
		"leaf of which nothing is known": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				byLeaf(w, w.between, notationsign.CertificateOptions{CRLURLs: []string{crlURL}}, notationsign.Options{})
				return ""
			},
			want: verify.ErrUntrusted, text: text(`one of its issuer "CN=between,`),
			check: func(t *testing.T, _ *world, r *verify.Result) {
				if c := r.Verdicts[0].Signatures[0].Chain[0]; c.Revocation != "unknown" {
					t.Errorf("evidence: %+v", c)
				}
			},
		},
		"leaf of which only OCSP knows": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				byLeaf(w, w.between, notationsign.CertificateOptions{OCSPURLs: []string{"http://ocsp.acme.example"}}, notationsign.Options{})
				return ""
			},
			want: verify.ErrUntrusted,
		},
		"timestamping leaf revoked by a list": {
			spoil: func(w *world, _ ocispec.Descriptor) string { w.revoke(nil, stamped(w, true).Chain[0]); return "" },
			want:  verify.ErrRevoked, text: text("CN=tsa,"),
		},
		"timestamping leaf revoked by a list at the level permissive": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.level("permissive")
				w.entry.MinLevel = "permissive"
				w.revoke(nil, stamped(w, true).Chain[0])
				return ""
			},
			want: verify.ErrRevoked, text: text("CN=tsa,"),
		},
		"revocations that nobody can read": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.repo.AddTarget("revocations.json", []byte(`{"version":1,"images":[],"certificates":[],"more":1}`))
				return ""
			},
			want: trust.ErrRevocations, text: text("revocations.json"),
		},
		"revocations of a later version": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.entry.Require = []string{trust.RequireMapping}
				w.repo.AddTarget("revocations.json", []byte(`{"version":2,"images":[],"certificates":[]}`))
				return ""
			},
			want: trust.ErrRevocations,
		},
	}
}

// stamped makes a timestamping authority, which the policy trusts, and replaces the
// image by one with its timestamp. anchored: the trust delivers its root.
func stamped(w *world, anchored bool) *notationsign.Identity {
	root := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "tsa root"}))
	leaf := must(root.Leaf(notationsign.CertificateOptions{Name: "tsa", Timestamping: true}))
	anchor := root
	if !anchored {
		anchor = must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "tsa root"}))
	}
	w.anchor("tsa", "acme", anchor.Certificate)
	w.statement().TrustStores = append(w.statement().TrustStores, "tsa:acme")
	w.signBy(unsigned(w), w.leaf, stamp(leaf, time.Now))
	return leaf
}

// stamp are the options for a timestamp of a time.
func stamp(leaf *notationsign.Identity, now func() time.Time) notationsign.Options {
	tsa := &tuftest.TSA{Chain: leaf.Chain, Key: leaf.Key, Now: now}
	return notationsign.Options{Timestamper: tsa, TSARoots: tsa.Roots(), TSAValidator: unasked{}}
}
