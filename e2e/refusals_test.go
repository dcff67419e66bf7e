package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/revocation/result"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
)

// ways is everything that decides about one image, right unless a test makes it
// wrong before it is published.
type ways struct {
	t        testing.TB
	registry *tuftest.Registry
	repo     *tuftest.Repo
	images   *remote.Repository

	ca    *notationsign.Authority
	leaf  *notationsign.Identity
	index ocispec.Descriptor // tagged 1, signed, mapped
	arm   string             // digest of its platform arm64
	host  string

	policy  map[string]any // the only statement; nil: no policy
	entries map[string]entry
	trust   []string // flags of trust add
	now     time.Time
}

// entry is what is signed about an image.
type entry struct {
	length    int64
	sha256    string
	mediaType string
	index     string
}

func newWays(t testing.TB, o tuftest.RegistryOptions) *ways {
	t.Helper()
	w := &ways{
		t: t, registry: tuftest.NewRegistry(t, o), repo: tuftest.NewRepo(t, tuftest.RepoOptions{Now: time.Now()}),
		ca: good(notationsign.NewRoot(notationsign.CertificateOptions{Name: "ca", NotBefore: time.Now().AddDate(-3, 0, 0)})), now: time.Now(),
	}
	w.host = w.registry.Host()
	w.leaf = good(w.ca.Leaf(notationsign.CertificateOptions{Name: "leaf", CRLURLs: []string{"http://crl.acme.example/acme.crl"}}))
	w.images = good(remote.NewRepository(w.host + "/shop/api"))
	w.images.PlainHTTP = true
	w.index = good(notationsign.PushIndex(t.Context(), w.images, []byte("content"), "1"))
	var parsed ocispec.Index
	data, _ := w.registry.Manifest("shop/api", "1")
	if err := json.Unmarshal(data, &parsed); err != nil {
		t.Fatal(err)
	}
	arm := parsed.Manifests[1]
	w.arm = arm.Digest.String()
	w.entries = map[string]entry{
		"shop/api:1":                          {w.index.Size, w.index.Digest.Encoded(), w.index.MediaType, ""},
		"shop/api@" + w.index.Digest.String(): {w.index.Size, w.index.Digest.Encoded(), w.index.MediaType, ""},
		"shop/api@" + w.arm:                   {arm.Size, arm.Digest.Encoded(), arm.MediaType, w.index.Digest.String()},
	}
	w.policy = map[string]any{
		"name": "images", "registryScopes": []string{"*"}, "trustStores": []string{"ca:acme"}, "trustedIdentities": []string{"*"},
		"signatureVerification": map[string]any{"level": "strict"},
	}
	w.anchor("ca/acme", w.ca)
	w.crl(notationsign.CRLOptions{Number: 7})
	w.trust = []string{"--scope", w.host + "/**"}
	return w
}

// good is for setting up: what fails there is no finding.
func good[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (w *ways) anchor(store string, a *notationsign.Authority) {
	w.repo.AddTarget("notation/x509/"+store+"/"+a.Certificate.Subject.CommonName+".pem", a.PEM())
}

func (w *ways) crl(o notationsign.CRLOptions) {
	w.repo.AddTarget("notation/crl/acme.crl", good(w.ca.CRL(o)))
	w.repo.AddTarget("notation/crl/acme.issuer.pem", w.ca.PEM())
}

// sign signs the index.
func (w *ways) sign(by *notationsign.Identity, o notationsign.Options) {
	good(notationsign.Sign(w.t.Context(), w.images, w.index, by, o))
}

func (w *ways) revoke(list string) { w.repo.AddTarget("revocations.json", []byte(list)) }

// person publishes everything and is a consumer who trusts it.
func (w *ways) person() *person {
	w.t.Helper()
	if w.policy != nil {
		w.repo.AddTarget("notation/trustpolicy.json", good(json.Marshal(map[string]any{"version": "1.0", "trustPolicies": []any{w.policy}})))
	}
	for name, e := range w.entries {
		custom := map[string]any{"mediaType": e.mediaType}
		if e.index != "" {
			custom["index"] = e.index
		}
		w.repo.AddEntry("targets", "images/"+name, e.length, e.sha256, map[string]any{"tufoci": custom})
	}
	w.repo.Publish()
	w.registry.Push("acme/trust", "tuf", tuftest.Pack(w.t, w.repo.Files(), tuftest.PackOptions{}))
	p := newPerson(w.t)
	root := p.file("root.json", w.repo.RootBytes())
	p.must(append([]string{"trust", "add", "acme", w.host + "/acme/trust", "--root", root}, w.trust...)...)
	return p.at(w.now)
}

// TestEveryWayToBeRefused walks what can be wrong with an image, each with its exit
// code and with the evidence, through the command line, with and without the
// referrers API.
func TestEveryWayToBeRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]tuftest.RegistryOptions{"with the referrers API": {}, "without": {NoReferrers: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for name, tt := range waysToBeRefused() {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					w := newWays(t, o)
					reference, evidence := tt.arrange(w)
					if !tt.unsigned {
						w.sign(w.leaf, notationsign.Options{})
					}
					out := w.person().run("verify", strings.ReplaceAll(reference, "$H", w.host), "--format", "json")
					if out.code != tt.code {
						t.Errorf("exit %d, want %d\n%s%s", out.code, tt.code, out.stdout, out.stderr)
					}
					for _, e := range evidence {
						if !strings.Contains(out.stdout, e) {
							t.Errorf("no word of %q in %s", e, out.stdout)
						}
					}
				})
			}
		})
	}
}

// way is one way to be refused, or, with code 0, one step away from one.
type way struct {
	code     int
	unsigned bool // arrange signs, or nobody does
	// arrange makes something wrong and returns which image is asked for, and what
	// has to be said of it.
	arrange func(w *ways) (reference string, evidence []string)
}

func waysToBeRefused() map[string]way {
	const byTag = "$H/shop/api:1"
	all := map[string]way{
		"nothing is wrong": {0, false, func(w *ways) (string, []string) {
			return byTag, []string{`"outcome": "verified"`, `"number": "7"`, `"store": "ca:acme"`, w.index.Digest.String()}
		}},
		"a platform": {0, false, func(w *ways) (string, []string) {
			return "$H/shop/api@" + w.arm, []string{`"index": "` + w.index.Digest.String()}
		}},
		"moved tag": {12, false, func(w *ways) (string, []string) {
			other := good(notationsign.PushIndex(w.t.Context(), w.images, []byte("other"), "1"))
			good(notationsign.Sign(w.t.Context(), w.images, other, w.leaf, notationsign.Options{}))
			return byTag, []string{other.Digest.String(), w.index.Digest.String(), "images/shop/api:1"}
		}},
		"unknown tag": {10, false, func(w *ways) (string, []string) {
			good(notationsign.PushIndex(w.t.Context(), w.images, []byte("content"), "2"))
			return "$H/shop/api:2", []string{"images/shop/api:2", "no signed entry"}
		}},
		"tag that is not there": {11, false, func(*ways) (string, []string) { return "$H/shop/api:3", nil }},
		"digest in no entry": {10, false, func(w *ways) (string, []string) {
			other := good(notationsign.PushIndex(w.t.Context(), w.images, []byte("other"), ""))
			good(notationsign.Sign(w.t.Context(), w.images, other, w.leaf, notationsign.Options{}))
			return "$H/shop/api@" + other.Digest.String(), []string{"no signed entry"}
		}},
		"tag and digest that disagree": {12, false, func(w *ways) (string, []string) {
			return "$H/shop/api:1@" + w.arm, []string{w.arm, w.index.Digest.String()}
		}},
		"length": {12, false, func(w *ways) (string, []string) {
			e := w.entries["shop/api:1"]
			e.length++
			w.entries["shop/api:1"] = e
			return byTag, []string{fmt.Sprint(e.length), fmt.Sprint(w.index.Size)}
		}},
		"media type": {12, false, func(w *ways) (string, []string) {
			e := w.entries["shop/api:1"]
			e.mediaType = ocispec.MediaTypeImageManifest
			w.entries["shop/api:1"] = e
			return byTag, []string{ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex}
		}},
		"wrong host": {23, false, func(w *ways) (string, []string) {
			w.trust = []string{"--scope", "registry.acme.io/**"}
			return byTag, []string{"no trust speaks for"}
		}},
		"host that only looks alike": {23, false, func(w *ways) (string, []string) {
			w.trust = []string{"--scope", w.host[:len(w.host)-1] + "/**", "--scope", "localhost" + w.host[len("127.0.0.1"):] + "/**"}
			return byTag, []string{"no trust speaks for"}
		}},
		"repository beside the scope": {23, false, func(w *ways) (string, []string) {
			w.trust = []string{"--scope", w.host + "/shop/ap", "--scope", w.host + "/shop/api/*"}
			return byTag, []string{"no trust speaks for"}
		}},
		"stale trust": {20, false, func(w *ways) (string, []string) {
			w.now = time.Now().AddDate(0, 0, 31)
			return byTag, []string{"expired"}
		}},
	}
	maps.Copy(all, waysOfRevocation())
	maps.Copy(all, waysOfPolicy())
	maps.Copy(all, waysOfSignatures())
	return all
}

func waysOfRevocation() map[string]way {
	const byTag = "$H/shop/api:1"
	image := func(digest string) string {
		return `{"version":1,"images":[{"digest":"` + digest + `","reason":"CVE-2026-1234","time":"2026-01-02T03:04:05Z"}],"certificates":[]}`
	}
	return map[string]way{
		"revoked index": {24, false, func(w *ways) (string, []string) {
			w.revoke(image(w.index.Digest.String()))
			return byTag, []string{"CVE-2026-1234", "2026-01-02T03:04:05Z", w.index.Digest.String(), "revocations.json, targets v2"}
		}},
		"revoked digest, by digest": {24, false, func(w *ways) (string, []string) {
			w.revoke(image(w.index.Digest.String()))
			return "$H/shop/api@" + w.index.Digest.String(), []string{"CVE-2026-1234"}
		}},
		"platform of a revoked index": {24, false, func(w *ways) (string, []string) {
			w.revoke(image(w.index.Digest.String()))
			return "$H/shop/api@" + w.arm, []string{"CVE-2026-1234"}
		}},
		"index with a revoked platform": {24, false, func(w *ways) (string, []string) {
			w.revoke(image(w.arm))
			return byTag, []string{"CVE-2026-1234", w.arm}
		}},
		"revoked platform": {24, false, func(w *ways) (string, []string) {
			w.revoke(image(w.arm))
			return "$H/shop/api@" + w.arm, []string{"CVE-2026-1234"}
		}},
		"certificate revoked by list": {24, false, func(w *ways) (string, []string) {
			w.revoke(`{"version":1,"images":[],"certificates":[{"sha256":"` + tuftest.Digest(w.leaf.Chain[0].Raw)[7:] + `","reason":"stolen","time":"2026-01-02T03:04:05Z"}]}`)
			return byTag, []string{"stolen", `"revocation": "revoked"`, "revocations.json, targets v2"}
		}},
		"certificate revoked by CRL": {24, false, func(w *ways) (string, []string) {
			w.crl(notationsign.CRLOptions{Number: 8, Revoked: w.leaf.Chain[:1]})
			return byTag, []string{`"revocation": "revoked"`, "CRL acme number 8"}
		}},
		"certificate revoked by a CRL that has ended": {24, false, func(w *ways) (string, []string) {
			w.crl(notationsign.CRLOptions{Number: 8, Revoked: w.leaf.Chain[:1], ThisUpdate: time.Now().AddDate(0, -2, 0), NextUpdate: time.Now().AddDate(0, -1, 0)})
			return byTag, []string{"CRL acme number 8"}
		}},
		"revoked at a level that only logs": {24, false, func(w *ways) (string, []string) {
			w.policy["signatureVerification"] = map[string]any{"level": "audit"}
			w.trust = append(w.trust, "--min-level", "audit")
			w.crl(notationsign.CRLOptions{Number: 8, Revoked: w.leaf.Chain[:1]})
			return byTag, []string{"CRL acme number 8"}
		}},
		"CRL that has ended": {0, false, func(w *ways) (string, []string) {
			w.crl(notationsign.CRLOptions{Number: 8, ThisUpdate: time.Now().AddDate(0, -2, 0), NextUpdate: time.Now().AddDate(0, -1, 0)})
			return byTag, []string{`"stale": true`}
		}},
		"no CRL that covers": {13, false, func(w *ways) (string, []string) {
			w.repo.RemoveTarget("notation/crl/acme.crl")
			w.repo.RemoveTarget("notation/crl/acme.issuer.pem")
			return byTag, []string{`"revocation": "unknown"`}
		}},
		"revocations of a later version": {25, false, func(w *ways) (string, []string) {
			w.revoke(`{"version":2,"images":[],"certificates":[]}`)
			return byTag, []string{"revocations"}
		}},
		"revocations that are no list": {25, false, func(w *ways) (string, []string) {
			w.revoke(`{"version":1,"images":[],"certificates":[],"pardons":[]}`)
			return byTag, []string{"revocations"}
		}},
	}
}

func waysOfPolicy() map[string]way {
	const byTag = "$H/shop/api:1"
	level := func(l string) any { return map[string]any{"level": l} }
	return map[string]way{
		"no policy": {33, false, func(w *ways) (string, []string) {
			w.policy = nil
			return byTag, []string{"no trust policy"}
		}},
		"no statement": {13, false, func(w *ways) (string, []string) {
			w.policy["registryScopes"] = []string{w.host + "/shop/web"}
			return byTag, []string{"no policy statement", w.host + "/shop/api"}
		}},
		"statement for a repository of others": {33, false, func(w *ways) (string, []string) {
			w.policy["registryScopes"] = []string{"registry.example.com/shop/api", w.host + "/shop/api"}
			return byTag, []string{"registry.example.com/shop/api"}
		}},
		"level skip": {10, false, func(w *ways) (string, []string) {
			w.policy["signatureVerification"], w.policy["trustStores"], w.policy["trustedIdentities"] = level("skip"), []string{}, []string{}
			w.trust = append(w.trust, "--min-level", "audit")
			return byTag, []string{`"level": "skip"`, `"outcome": "refused"`}
		}},
		"level audit": {10, false, func(w *ways) (string, []string) {
			w.policy["signatureVerification"] = level("audit")
			return byTag, []string{`"level": "audit"`, `"outcome": "refused"`}
		}},
		"level permissive": {10, false, func(w *ways) (string, []string) {
			w.policy["signatureVerification"] = level("permissive")
			return byTag, []string{`"level": "permissive"`, `"outcome": "refused"`}
		}},
		"level permissive where that will do": {0, false, func(w *ways) (string, []string) {
			w.policy["signatureVerification"] = level("permissive")
			w.trust = append(w.trust, "--min-level", "permissive")
			return byTag, []string{`"level": "permissive"`, `"outcome": "accepted"`}
		}},
		"identity": {13, false, func(w *ways) (string, []string) {
			w.policy["trustedIdentities"] = []string{"x509.subject: C=US, ST=WA, O=Acme, CN=somebody"}
			return byTag, []string{"authenticity"}
		}},
	}
}

func waysOfSignatures() map[string]way {
	const byTag = "$H/shop/api:1"
	past := time.Now().AddDate(-1, 0, 0)
	ended := func(w *ways) *notationsign.Identity {
		return good(w.ca.Leaf(notationsign.CertificateOptions{Name: "ended", NotBefore: past.AddDate(0, -1, 0), NotAfter: past.AddDate(0, 1, 0)}))
	}
	// stamped signs with a certificate that has ended since, and a timestamp.
	stamped := func(w *ways) *notationsign.Authority {
		root := good(notationsign.NewRoot(notationsign.CertificateOptions{Name: "tsa", NotBefore: past.AddDate(-1, 0, 0)}))
		leaf := good(root.Leaf(notationsign.CertificateOptions{Name: "stamps", Timestamping: true, NotBefore: past.AddDate(-1, 0, 0)}))
		tsa := &tuftest.TSA{Chain: leaf.Chain, Key: leaf.Key, Now: func() time.Time { return past }}
		w.sign(ended(w), notationsign.Options{SigningTime: past, Timestamper: tsa, TSARoots: tsa.Roots(), TSAValidator: unrevoked{}})
		w.policy["trustStores"] = []string{"ca:acme", "tsa:time"}
		return root
	}
	return map[string]way{
		"no signature": {10, true, func(*ways) (string, []string) { return byTag, []string{"no signature"} }},
		"untrusted authority": {13, true, func(w *ways) (string, []string) {
			other := good(notationsign.NewRoot(notationsign.CertificateOptions{Name: "ca"}))
			w.sign(good(other.Leaf(notationsign.CertificateOptions{Name: "leaf"})), notationsign.Options{})
			return byTag, []string{"authenticity", `"store": ""`}
		}},
		"untrusted authority beside a good signature": {0, false, func(w *ways) (string, []string) {
			other := good(notationsign.NewRoot(notationsign.CertificateOptions{Name: "ca"}))
			w.sign(good(other.Leaf(notationsign.CertificateOptions{Name: "leaf"})), notationsign.Options{})
			return byTag, []string{`"outcome": "verified"`}
		}},
		"expired certificate": {13, true, func(w *ways) (string, []string) {
			w.sign(ended(w), notationsign.Options{SigningTime: past})
			return byTag, []string{"authenticTimestamp"}
		}},
		"expired certificate, good timestamp": {0, true, func(w *ways) (string, []string) {
			w.anchor("tsa/time", stamped(w))
			return byTag, []string{`"timestamp": "` + past.UTC().Truncate(time.Second).Format(time.RFC3339)}
		}},
		"expired certificate, timestamp of a stranger": {13, true, func(w *ways) (string, []string) {
			stamped(w)
			w.anchor("tsa/time", good(notationsign.NewRoot(notationsign.CertificateOptions{Name: "tsa"})))
			return byTag, []string{"authenticTimestamp"}
		}},
		"expired signature": {13, true, func(w *ways) (string, []string) {
			w.sign(w.leaf, notationsign.Options{SigningTime: time.Now().Add(-30 * time.Minute), Expiry: time.Now().Add(-time.Minute)})
			return byTag, []string{`"type": "expiry"`}
		}},
		"tampered envelope": {12, true, func(w *ways) (string, []string) {
			envelope := good(notationsign.Envelope(w.t.Context(), w.index, w.leaf, notationsign.Options{}))
			at := bytes.Index(envelope, []byte(`"payload":"`)) + 40
			envelope[at] ^= 1
			good(notationsign.Attach(w.t.Context(), w.images, w.index, notationsign.JWS, envelope, w.leaf.Chain))
			return byTag, []string{"signature envelope is not good"}
		}},
		"signature of another image": {12, true, func(w *ways) (string, []string) {
			other := good(notationsign.PushIndex(w.t.Context(), w.images, []byte("other"), ""))
			envelope := good(notationsign.Envelope(w.t.Context(), other, w.leaf, notationsign.Options{}))
			good(notationsign.Attach(w.t.Context(), w.images, w.index, notationsign.JWS, envelope, w.leaf.Chain))
			return byTag, []string{"signature envelope is not good"}
		}},
		"malformed signature beside a good one": {0, false, func(w *ways) (string, []string) {
			good(notationsign.Attach(w.t.Context(), w.images, w.index, notationsign.COSE, []byte("no envelope"), w.leaf.Chain))
			return byTag, []string{`"outcome": "verified"`}
		}},
	}
}

// unrevoked finds no certificate revoked: for signing.
type unrevoked struct{}

func (unrevoked) ValidateContext(_ context.Context, o revocation.ValidateContextOptions) ([]*result.CertRevocationResult, error) {
	out := make([]*result.CertRevocationResult, len(o.CertChain))
	for i := range out {
		out[i] = &result.CertRevocationResult{Result: result.ResultOK}
	}
	return out, nil
}
