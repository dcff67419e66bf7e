package verify_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/notaryproject/notation-core-go/signature"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/verify"
)

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
		"nothing but an artifact without a type": {
			spoil: func(w *world, _ ocispec.Descriptor) string {
				w.attach(unsigned(w), func(*ocispec.Manifest) {})
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
		"an index in the place of a signature": {
			only: []place{withReferrers},
			spoil: func(w *world, _ ocispec.Descriptor) string {
				d := w.blob(ocispec.MediaTypeImageIndex, must(json.Marshal(map[string]any{
					"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageIndex, "artifactType": signatureType, "manifests": []any{}, "subject": unsigned(w),
				})))
				d.MediaType = ocispec.MediaTypeImageManifest
				w.lie(asSignature(d))
				return ""
			},
			want: verify.ErrNoSignature, text: text("the trust is at timestamp v"),
		},
		"a signature of no image": {
			only: []place{withReferrers},
			spoil: func(w *world, _ ocispec.Descriptor) string {
				image := unsigned(w)
				e := w.envelope(image)
				w.lie(asSignature(w.attach(image, func(m *ocispec.Manifest) {
					m.ArtifactType, m.Layers, m.Subject = signatureType, []ocispec.Descriptor{e}, nil
				})))
				return ""
			},
			want: verify.ErrEnvelope, text: text("it is of another image"),
		},
		"a signature of no form": {
			only: []place{withReferrers},
			spoil: func(w *world, _ ocispec.Descriptor) string {
				image := unsigned(w)
				e := w.envelope(image)
				data := must(json.Marshal(map[string]any{
					"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest, "artifactType": signatureType, "subject": image,
					"config": w.blob(ocispec.MediaTypeEmptyJSON, []byte("{}")), "layers": []ocispec.Descriptor{e}, "annotations": map[string]any{"n": 7},
				}))
				d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(data), Size: int64(len(data))}
				w.intercept(listing(asSignature(d)), serving("/manifests/"+d.Digest.String(), d.MediaType, data))
				return ""
			},
			want: verify.ErrEnvelope, text: text("no manifest: "),
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
				e := w.envelope(image)
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
				e := w.blob(notationsign.JWS, append(must(notationsign.Envelope(w.ctx(), image, w.leaf, notationsign.Options{})), bytes.Repeat([]byte(" "), 256<<10)...))
				w.attach(image, func(m *ocispec.Manifest) { m.ArtifactType, m.Layers = signatureType, []ocispec.Descriptor{e} })
				return ""
			},
			want: verify.ErrEnvelope, text: text("the limit is 262144"),
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
