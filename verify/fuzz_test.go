package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/notaryproject/notation-core-go/signature"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

const fuzzedSubject = "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"

// What an envelope weighs is asked of the same certificates and the same timestamp that are verified afterwards.
func FuzzEnvelope(f *testing.F) {
	root, err := notationsign.NewRoot(notationsign.CertificateOptions{Name: "root"})
	if err != nil {
		f.Fatal(err)
	}
	leaf, err := root.Leaf(notationsign.CertificateOptions{Name: "leaf"})
	if err != nil {
		f.Fatal(err)
	}
	image := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: fuzzedSubject, Size: 7}
	for _, mediaType := range []string{notationsign.JWS, notationsign.COSE} {
		data, err := notationsign.Envelope(context.Background(), image, leaf, notationsign.Options{MediaType: mediaType})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(mediaType == notationsign.JWS, data)
	}
	f.Add(true, []byte(`{"header":{"x5c":[null,""],"io.cncf.notary.timestampSignature":""}}`))
	f.Fuzz(func(t *testing.T, jws bool, data []byte) {
		e := &envelope{notationsign.COSE, data}
		if jws {
			e.mediaType = notationsign.JWS
		}
		weighed := e.checkWeight()
		chain, timestamp := e.unverified()
		parsed, err := signature.ParseEnvelope(e.mediaType, data)
		if err != nil {
			return
		}
		content, err := parsed.Content()
		if err != nil {
			return
		}
		info := content.SignerInfo
		if !bytes.Equal(info.UnsignedAttributes.TimestampSignature, timestamp) {
			t.Fatal("another timestamp is verified")
		}
		if len(chain) != len(info.CertificateChain) || len(chain) > maxEnvelopeCertificates && weighed == nil {
			t.Fatalf("%d certificates are weighed, %d verified: %v", len(chain), len(info.CertificateChain), weighed)
		}
		for i, c := range info.CertificateChain {
			if !bytes.Equal(c.Raw, chain[i]) {
				t.Fatalf("certificate %d is another", i)
			}
		}
	})
}

// A signature's manifest names one envelope of a known type, and the image that was asked for.
func FuzzSignatureManifest(f *testing.F) {
	digestOf := `"digest":"` + fuzzedSubject + `","size":9`
	for _, layer := range []string{
		`"mediaType":"` + notationsign.JWS + `",` + digestOf, `"mediaType":"` + notationsign.COSE + `",` + digestOf, `"mediaType":"text/plain",` + digestOf,
		`"mediaType":"` + notationsign.JWS + `","digest":"` + digest.SHA512.FromString("x").String() + `","size":9`,
		`"mediaType":"` + notationsign.JWS + `","digest":"` + digest.FromString("e").String() + `","size":1,"data":"ZQ=="`,
	} {
		f.Add([]byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageManifest + `","artifactType":"` + material.SignatureType +
			`","config":{"mediaType":"` + ocispec.MediaTypeEmptyJSON + `","digest":"` + fuzzedSubject + `","size":2},"layers":[{` + layer +
			`}],"subject":{"mediaType":"` + ocispec.MediaTypeImageManifest + `","digest":"` + fuzzedSubject + `","size":7}}`))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		repo := ociremote.NewMemory()
		d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(data), Size: int64(len(data))}
		if err := repo.Push(t.Context(), d, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		layer, err := fetchSignatureManifest(t.Context(), repo, d, fuzzedSubject)
		if err != nil {
			if _, ok := errors.AsType[*Refusal](err); !ok && !errors.Is(err, errNotSignature) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if !slices.Contains([]string{notationsign.JWS, notationsign.COSE}, layer.MediaType) || !ociremote.IsDigest(layer.Digest.String()) || layer.Data != nil || layer.Size < 0 {
			t.Fatalf("%+v", layer)
		}
	})
}

// An entry of an image maps to digests of the one algorithm, or is refused.
func FuzzMapping(f *testing.F) {
	f.Add(fuzzedSubject[7:], []byte(`{"tufoci":{"mediaType":"m","index":"`+fuzzedSubject+`"}}`))
	f.Add("0A", []byte(`{"tufoci":null}`))
	f.Add("", []byte(`{"tufoci":{"index":"sha512:00"}}`))
	f.Fuzz(func(t *testing.T, sum string, custom []byte) {
		target := &trust.Target{Path: "images/a:1", Role: "targets", Hashes: map[string]string{"sha256": sum}}
		if json.Valid(custom) {
			target.Custom = custom
		}
		m, err := newMapping(target)
		if err != nil {
			if !errors.Is(err, trust.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if !ociremote.IsDigest(m.Digest.String()) || !ociremote.IsDigest(m.subject().String()) {
			t.Fatalf("%+v", m)
		}
		served := ocispec.Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: m.Length}
		if signed, got := m.difference(served); signed != got {
			t.Fatalf("%q, %q", signed, got)
		}
	})
}
