package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

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
		"more material than is read": {
			spoil: func(w *world, image ocispec.Descriptor) string {
				for _, name := range []string{"a", "b"} {
					w.repo.AddEntry("targets", "notation/crl/"+name+".crl", 32<<20+1, image.Digest.Encoded(), nil)
				}
				return ""
			},
			want: verify.ErrMaterial, text: text("larger than 67108864 bytes together"),
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
