package verify_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// refusal is one way to be refused: one thing is wrong with an image that verifies
// without it.
type refusal struct {
	// only in these places; nil: in all.
	only []place
	// spoil makes it wrong and returns which image is asked for, ":1.0" if "".
	spoil func(w *world, image ocispec.Descriptor) string
	edit  func(w *world, o *verify.Options)
	want  error
	// text is in the error: the evidence.
	text func(w *world, image ocispec.Descriptor) string
	// check looks at more evidence.
	check func(t *testing.T, w *world, r *verify.Result)
}

var registries = []place{withReferrers, withoutReferrers}

func text(s string) func(*world, ocispec.Descriptor) string {
	return func(*world, ocispec.Descriptor) string { return s }
}

// TestRefused walks every way to be refused, wherever images can be.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range refusals() {
		for _, at := range places {
			if tt.only != nil && !slices.Contains(tt.only, at) {
				continue
			}
			t.Run(name+"/"+string(at), func(t *testing.T) {
				t.Parallel()
				w, image := good(t, at)
				ask := tt.spoil(w, image)
				if ask == "" {
					ask = ":1.0"
				}
				w.publish()
				r := w.verify(ask, func(o *verify.Options) {
					if tt.edit != nil {
						tt.edit(w, o)
					}
				})
				if !errors.Is(r.Err, tt.want) {
					t.Fatalf("got %v, want %v", r.Err, tt.want)
				}
				if tt.text != nil && !strings.Contains(r.Err.Error(), tt.text(w, image)) {
					t.Errorf("%v: without %q", r.Err, tt.text(w, image))
				}
				if len(r.Verdicts) == 1 {
					v := r.Verdicts[0]
					if v.Err == nil || slices.ContainsFunc(v.Signatures, func(s verify.Signature) bool { return s.Accepted || s.Err == nil }) {
						t.Errorf("evidence says otherwise: %+v", v)
					}
				}
				if tt.check != nil {
					tt.check(t, w, r)
				}
			})
		}
	}
}

// unsigned replaces the world's image by another one that is only mapped.
func unsigned(w *world) ocispec.Descriptor { return unsignedAs(w, "unsigned") }

// unsignedAs is unsigned with other content.
func unsignedAs(w *world, content string) ocispec.Descriptor {
	image := w.push(content, "1.0")
	w.mapped(image, "1.0")
	return image
}

// byLeaf replaces the image by one that another leaf has signed.
func byLeaf(w *world, by *notationsign.Authority, o notationsign.CertificateOptions, s notationsign.Options) *notationsign.Identity {
	if o.Name == "" {
		o.Name = "another leaf"
	}
	leaf := must(by.Leaf(o))
	w.signBy(unsignedAs(w, "of another leaf"), leaf, s)
	return leaf
}

func refusals() map[string]refusal {
	all := map[string]refusal{}
	for _, some := range []map[string]refusal{mappingRefusals(), revocationRefusals(), signatureRefusals(), timeRefusals(), policyRefusals(), trustRefusals()} {
		for name, r := range some {
			all[name] = r
		}
	}
	return all
}

func mappingRefusals() map[string]refusal {
	return map[string]refusal{
		"moved tag": {
			spoil: func(w *world, _ ocispec.Descriptor) string { w.sign(w.push("evil", "1.0")); return "" },
			want:  verify.ErrDiffers,
			text: func(_ *world, image ocispec.Descriptor) string {
				return "signed " + image.Digest.String() + ", served sha256:"
			},
			check: func(t *testing.T, _ *world, r *verify.Result) {
				refused, _ := errors.AsType[*verify.Refusal](r.Err)
				if refused == nil || refused.Role != "targets" || refused.RoleVersion == 0 || refused.Name != "images/shop/api:1.0" || refused.Served != r.Digest.String() || refused.Trust != "acme" {
					t.Errorf("evidence: %+v", refused)
				}
			},
		},
		"unknown tag": {
			spoil: func(w *world, _ ocispec.Descriptor) string { w.sign(w.push("new", "2.0")); return ":2.0" },
			want:  verify.ErrUnmapped, text: text("images/shop/api:2.0: the trust is at timestamp v"),
		},
		"digest in no entry": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				d := w.push("new", "2.0")
				w.sign(d)
				return "@" + d.Digest.String()
			},
			want: verify.ErrUnmapped, text: text("images/shop/api@sha256:"),
		},
		"tag without its digest entry": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				d := w.push("new", "2.0")
				w.sign(d)
				w.entryOf(d, nil, ":2.0")
				return ":2.0@" + d.Digest.String()
			},
			want: verify.ErrUnmapped, text: text("images/shop/api@sha256:"),
		},
		"digest without its tag entry": {
			spoil: func(w *world, image ocispec.Descriptor) string { return ":2.0@" + image.Digest.String() },
			want:  verify.ErrUnmapped, text: text("images/shop/api:2.0"),
		},
		"tag and digest that disagree": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				d := w.push("new", "2.0")
				w.sign(d)
				w.mapped(d, "2.0")
				return ":2.0@" + image.Digest.String()
			},
			want: verify.ErrDiffers, text: text("images/shop/api:2.0"),
		},
		"length": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				image.Size++
				w.entryOf(image, nil, ":1.0")
				return ""
			},
			want: verify.ErrDiffers, text: text(" bytes, served "),
		},
		"media type": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				image.MediaType = ocispec.MediaTypeImageIndex
				w.entryOf(image, nil, ":1.0")
				return ""
			},
			want: verify.ErrDiffers, text: text("signed application/vnd.oci.image.index.v1+json, served application/vnd.oci.image.manifest.v1+json"),
		},
		"entry that differs where none is required": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.entry.Require = []string{trust.RequireSignature}
				w.sign(w.push("evil", "1.0"))
				return ""
			},
			want: verify.ErrDiffers,
		},
		"entry of no form": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				w.repo.AddEntry("targets", "images/shop/api:1.0", image.Size, image.Digest.Encoded(), map[string]any{"tufoci": map[string]any{"index": "latest"}})
				return ""
			},
			want: trust.ErrMalformed, text: text("images/shop/api:1.0"),
		},
		"no image": {
			spoil: func(*world, ocispec.Descriptor) string { return ":3.0" },
			want:  verify.ErrImageNotFound, text: text("3.0"),
		},
		"index without an entry": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				index, platforms := w.pushIndex("multi", "2.0")
				w.sign(index)
				w.entryOf(platforms[0], map[string]any{"index": index.Digest.String()}, "@"+platforms[0].Digest.String())
				return "@" + platforms[0].Digest.String()
			},
			want: verify.ErrUnmapped, text: text("the index that the image is a platform of has no entry"),
		},
	}
}

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
			o.Revoked = []*x509.Certificate{leaf.Chain[0]}
			w.crl("between", w.between, o, crlURL)
			return ""
		}
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

func signatureRefusals() map[string]refusal {
	tamper := func(mediaType string, change func([]byte) []byte) func(w *world, _ ocispec.Descriptor) string {
		return func(w *world, _ ocispec.Descriptor) string {
			image := unsigned(w)
			envelope := must(notationsign.Envelope(w.ctx(), image, w.leaf, notationsign.Options{MediaType: mediaType}))
			must(notationsign.Attach(w.ctx(), w.images, image, mediaType, change(envelope), w.leaf.Chain))
			return ""
		}
	}
	return map[string]refusal{
		"no signature": {
			spoil: func(w *world, _ ocispec.Descriptor) string { unsigned(w); return "" },
			want:  verify.ErrNoSignature, text: text("the trust is at timestamp v"),
		},
		"nothing but another artifact": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.attach(unsigned(w), func(m *ocispec.Manifest) { m.ArtifactType = "application/spdx+json" })
				return ""
			},
			want: verify.ErrNoSignature,
		},
		"signature of the platform instead of its index": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				index, platforms := w.pushIndex("multi", "2.0")
				w.mapped(index, "2.0")
				w.entryOf(platforms[0], map[string]any{"index": index.Digest.String()}, "@"+platforms[0].Digest.String())
				w.sign(platforms[0])
				return "@" + platforms[0].Digest.String()
			},
			want: verify.ErrNoSignature,
		},
		"untrusted authority": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				evil := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "root"}))
				byLeaf(w, evil, notationsign.CertificateOptions{Name: "leaf"}, notationsign.Options{})
				return ""
			},
			want: verify.ErrUntrusted, text: text("authenticity: "),
			check: func(t *testing.T, _ *world, r *verify.Result) {
				s := r.Verdicts[0].Signatures[0]
				if len(s.Checks) != 2 || s.Checks[1].Type != "authenticity" || s.Checks[1].Err == nil || s.Chain[1].Store != "" {
					t.Errorf("evidence: %+v", s)
				}
			},
		},
		"authority of a store that the statement does not name": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				other := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "other"}))
				w.anchor("ca", "other", other.Certificate)
				byLeaf(w, other, notationsign.CertificateOptions{}, notationsign.Options{})
				return ""
			},
			want: verify.ErrUntrusted,
		},
		"authority of another type of store": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				other := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "other"}))
				w.anchor("signingAuthority", "acme", other.Certificate)
				byLeaf(w, other, notationsign.CertificateOptions{}, notationsign.Options{})
				return ""
			},
			want: verify.ErrUntrusted,
		},
		"withdrawn authority": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.anchor("ca", "acme", must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "next"})).Certificate)
				return ""
			},
			want: verify.ErrUntrusted,
		},
		"store that nobody delivers": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.repo.RemoveTarget("notation/x509/ca/acme/acme.pem")
				return ""
			},
			want: verify.ErrUntrusted, text: text("no target provides the trust store ca:acme"),
		},
		"another identity": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				byLeaf(w, w.between, notationsign.CertificateOptions{Organization: "Evil"}, notationsign.Options{})
				return ""
			},
			want: verify.ErrUntrusted,
		},
		"tampered JWS": {
			spoil: tamper(notationsign.JWS, func(e []byte) []byte {
				var m map[string]any
				if err := json.Unmarshal(e, &m); err != nil {
					panic(err)
				}
				s := []byte(m["signature"].(string))
				s[10] ^= 1
				m["signature"] = string(s)
				return must(json.Marshal(m))
			}),
			want: verify.ErrEnvelope,
			check: func(t *testing.T, _ *world, r *verify.Result) {
				s := r.Verdicts[0].Signatures[0]
				if s.Accepted || s.Err == nil || s.Digest == "" || s.MediaType != notationsign.JWS {
					t.Errorf("evidence: %+v", s)
				}
			},
		},
		"tampered COSE": {
			spoil: tamper(notationsign.COSE, func(e []byte) []byte { e[len(e)-5] ^= 1; return e }),
			want:  verify.ErrEnvelope,
		},
		"garbage for an envelope": {
			spoil: tamper(notationsign.COSE, func([]byte) []byte { return []byte{0xd8, 0x12, 0xff} }),
			want:  verify.ErrEnvelope,
		},
		"envelope of another image": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				envelope := must(notationsign.Envelope(w.ctx(), image, w.leaf, notationsign.Options{}))
				must(notationsign.Attach(w.ctx(), w.images, unsigned(w), notationsign.JWS, envelope, w.leaf.Chain))
				return ""
			},
			want: verify.ErrEnvelope, text: text("content descriptor mismatch"),
		},
		"envelope of another image at the level audit": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				w.level("audit")
				w.entry.MinLevel = "audit"
				evil := must(must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "evil"})).Leaf(notationsign.CertificateOptions{Name: "evil"}))
				envelope := must(notationsign.Envelope(w.ctx(), image, evil, notationsign.Options{}))
				must(notationsign.Attach(w.ctx(), w.images, unsigned(w), notationsign.JWS, envelope, evil.Chain))
				return ""
			},
			want: verify.ErrEnvelope, text: text("content descriptor mismatch"),
		},
		"signature that needs a plugin": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.signBy(unsigned(w), w.leaf, notationsign.Options{Attributes: []signature.Attribute{{Key: "io.cncf.notary.verificationPlugin", Critical: true, Value: "p"}}})
				return ""
			},
			want: verify.ErrUntrusted, text: text("plugin"),
		},
		"an envelope of an unknown type": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				image := unsigned(w)
				must(notationsign.Attach(w.ctx(), w.images, image, "application/pkcs7-signature", []byte("x"), w.leaf.Chain))
				return ""
			},
			want: verify.ErrEnvelope, text: text("unknown media type"),
		},
		"two envelopes in one signature": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				image := unsigned(w)
				e := w.blob(notationsign.JWS, must(notationsign.Envelope(w.ctx(), image, w.leaf, notationsign.Options{})))
				w.attach(image, func(m *ocispec.Manifest) {
					m.ArtifactType, m.Layers = signatureType, []ocispec.Descriptor{e, e}
				})
				return ""
			},
			want: verify.ErrEnvelope, text: text("2 envelopes"),
		},
		"an envelope that is too large": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				image := unsigned(w)
				e := w.blob(notationsign.JWS, append(must(notationsign.Envelope(w.ctx(), image, w.leaf, notationsign.Options{})), bytes.Repeat([]byte(" "), 1<<20)...))
				w.attach(image, func(m *ocispec.Manifest) { m.ArtifactType, m.Layers = signatureType, []ocispec.Descriptor{e} })
				return ""
			},
			want: verify.ErrEnvelope, text: text("the limit is 1048576"),
		},
	}
}

func timeRefusals() map[string]refusal {
	expired := notationsign.CertificateOptions{Name: "old", NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().AddDate(0, 0, -1)}
	signedThen := notationsign.Options{SigningTime: time.Now().AddDate(0, 0, -2)}
	return map[string]refusal{
		"expired certificate": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				byLeaf(w, w.between, expired, signedThen)
				return ""
			},
			want: verify.ErrUntrusted, text: text("authenticTimestamp: "),
		},
		"expired certificate and a timestamp of today": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				tsa := stamped(w, true)
				o := stamp(tsa, time.Now)
				o.SigningTime = signedThen.SigningTime
				byLeaf(w, w.between, expired, o)
				return ""
			},
			want: verify.ErrUntrusted, text: text("authenticTimestamp: timestamp can be after certificate"),
		},
		"timestamp of an untrusted authority": {
			spoil: func(w *world, _ ocispec.Descriptor) string { stamped(w, false); return "" },
			want:  verify.ErrUntrusted, text: text("authenticTimestamp: "),
		},
		"no timestamp where one is needed": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				stamped(w, true)
				w.sign(unsignedAs(w, "again"))
				return ""
			},
			want: verify.ErrUntrusted, text: text("no timestamp countersignature"),
		},
		"expired signature": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.signBy(unsigned(w), w.leaf, notationsign.Options{SigningTime: time.Now().Add(-30 * time.Minute), Expiry: time.Now().Add(-time.Minute)})
				return ""
			},
			want: verify.ErrUntrusted, text: text("expiry: "),
		},
	}
}

func policyRefusals() map[string]refusal {
	return map[string]refusal{
		"no policy": {
			spoil: func(w *world, _ ocispec.Descriptor) string { w.policy.TrustPolicies = nil; return "" },
			want:  verify.ErrNoPolicy, text: text("notation/trustpolicy.json"),
		},
		"no statement": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.statement().RegistryScopes = []string{host + "/shop/other"}
				return ""
			},
			want: verify.ErrNoStatement, text: text(host + "/" + repository),
		},
		"statement for any repository that the trust names": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.entry.Require = []string{trust.RequireSignature}
				for _, name := range []string{":1.0", "@" + w.digestOf(":1.0")} {
					w.repo.RemoveTarget("images/" + repository + name)
				}
				return ""
			},
			want: verify.ErrNoStatement,
		},
		"statement outside the scopes of the trust": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.statement().RegistryScopes = []string{host + "/" + repository, "registry.other.io/shop/api"}
				return ""
			},
			want: verify.ErrPolicyScope, text: text("registry.other.io/shop/api"),
		},
		"level skip": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				*w.statement() = trustpolicy.TrustPolicy{Name: "none", RegistryScopes: []string{"*"}, TrustStores: []string{}, TrustedIdentities: []string{}, SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: "skip"}}
				w.entry.MinLevel = "audit"
				return ""
			},
			want: verify.ErrLevel, text: text("statement none has the level skip"),
			check: func(t *testing.T, w *world, r *verify.Result) {
				if r.Level != "skip" || len(r.Verdicts[0].Signatures) != 0 {
					t.Errorf("evidence: %q, %d signatures", r.Level, len(r.Verdicts[0].Signatures))
				}
				if strings.Contains(strings.Join(w.requests(), " "), "blobs/") {
					t.Errorf("an envelope was read: %v", w.requests())
				}
			},
		},
		"level permissive": {
			spoil: func(w *world, _ ocispec.Descriptor) string { w.level("permissive"); return "" },
			want:  verify.ErrLevel, text: text("the trust asks for strict"),
		},
		"level audit where permissive is needed": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.entry.MinLevel = "permissive"
				w.level("audit")
				return ""
			},
			want: verify.ErrLevel, text: text("the trust asks for permissive"),
		},
		"strict with an override": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.statement().SignatureVerification.Override = map[trustpolicy.ValidationType]trustpolicy.ValidationAction{"revocation": "log"}
				return ""
			},
			want: verify.ErrLevel, text: text("the level permissive"),
		},
		"untrusted authority at the level permissive": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.entry.MinLevel = "permissive"
				w.level("permissive")
				byLeaf(w, must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "root"})), notationsign.CertificateOptions{}, notationsign.Options{})
				return ""
			},
			want: verify.ErrUntrusted,
		},
		"certificate that is none": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.repo.AddTarget("notation/x509/ca/acme/more.pem", []byte("none"))
				return ""
			},
			want: verify.ErrMaterial, text: text("notation/x509/ca/acme/more.pem"),
		},
	}
}

func trustRefusals() map[string]refusal {
	named := func(name string) func(w *world, o *verify.Options) {
		return func(w *world, o *verify.Options) {
			for i := range o.Trusts {
				o.Trusts[i].Maps = []trust.Map{must(trust.ParseMap(w.registry.Host() + "=" + name))}
			}
		}
	}
	nothing := func(*world, ocispec.Descriptor) string { return "" }
	return map[string]refusal{
		"wrong host": {
			only: registries, spoil: nothing, edit: named("registry.other.io"), want: trust.ErrNoScope,
		},
		"host that only begins like it": {
			only: registries, spoil: nothing, edit: named(host + ".evil.io"), want: trust.ErrNoScope,
		},
		"host that only ends like it": {
			only: registries, spoil: nothing, edit: named("evil-" + host), want: trust.ErrNoScope,
		},
		"host with another port": {
			only: registries, spoil: nothing, edit: named(host + ":5000"), want: trust.ErrNoScope,
		},
		"trust without a scope": {
			spoil: func(w *world, _ ocispec.Descriptor) string { w.entry.Scopes = nil; return "" },
			want:  trust.ErrNoScope,
		},
		"stale trust": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.repo.SetExpiry("timestamp", time.Now().Add(-time.Minute))
				return ""
			},
			want: trust.ErrExpired, text: text("timestamp"),
		},
		"another root": {
			spoil: nothing,
			edit: func(w *world, o *verify.Options) {
				other := tuftest.NewRepo(w.t, tuftest.RepoOptions{Now: time.Now()})
				o.Trusts[0].Client = must(trust.New(other.RootBytes(), trust.Options{Source: must(trust.ParseSource(w.registry.Host() + "/acme/trust"))}))
			},
			want: trust.ErrWrongRoot,
		},
		"one of two trusts": {
			spoil: nothing,
			edit: func(w *world, o *verify.Options) {
				second := w.entry
				second.Name, second.Also, second.MinLevel = "second", true, ""
				other := tuftest.NewRepo(w.t, tuftest.RepoOptions{Now: time.Now()})
				w.registry.Push("second/trust", "tuf", tuftest.Pack(w.t, other.Files(), tuftest.PackOptions{}))
				o.Trusts = append(o.Trusts, verify.Trust{Entry: second, Client: must(trust.New(other.RootBytes(), trust.Options{Source: must(trust.ParseSource(w.registry.Host() + "/second/trust"))}))})
			},
			want: verify.ErrUnmapped,
			check: func(t *testing.T, _ *world, r *verify.Result) {
				if len(r.Verdicts) != 2 || (r.Verdicts[0].Err == nil) == (r.Verdicts[1].Err == nil) {
					t.Errorf("verdicts: %+v", r.Verdicts)
				}
			},
		},
		"offline": {
			only: registries, spoil: nothing, edit: func(_ *world, o *verify.Options) { o.Offline = true }, want: verify.ErrOffline,
		},
		"offline and nothing known": {
			only: []place{layout, archive}, spoil: nothing, edit: func(_ *world, o *verify.Options) { o.Offline = true }, want: trust.ErrNoState,
		},
	}
}

// digestOf is the digest of a tag of the place.
func (w *world) digestOf(tag string) string {
	w.t.Helper()
	return must(w.images.Resolve(w.ctx(), strings.TrimPrefix(tag, ":"))).Digest.String()
}

const signatureType = "application/vnd.cncf.notary.signature"
