package publish_test

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/publish"
)

const (
	policyName = "notation/trustpolicy.json"
	policy     = `{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],"signatureVerification":{"level":"strict"},"trustStores":["ca:acme"],"trustedIdentities":["*"]}]}`
	crlName    = "notation/crl/acme.crl"
)

// authority makes a CA; everything about it is current at the time of these tests.
func authority(t testing.TB) *notationsign.Authority {
	t.Helper()
	ca, err := notationsign.NewRoot(notationsign.CertificateOptions{Name: "root", NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// crl makes a CRL of as many entries; 6000 are more than a workspace keeps.
func crl(t testing.TB, ca *notationsign.Authority, number int64, entries int) string {
	t.Helper()
	o := notationsign.CRLOptions{Number: number, ThisUpdate: now.AddDate(0, 0, -1), NextUpdate: now.AddDate(1, 0, 0)}
	for n := range entries {
		o.Entries = append(o.Entries, x509.RevocationListEntry{SerialNumber: big.NewInt(int64(n + 1)), RevocationTime: now})
	}
	der, err := ca.CRL(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(der)
}

// trusted is an author that has published a CA, its CRL, a policy and revocations.
func trusted(t testing.TB, entries int) (*tuftest.Registry, *author, *notationsign.Authority) {
	t.Helper()
	g, a, ca := registry(t), newAuthor(t), authority(t)
	a.stage("", "notation/x509/ca/acme/ca.pem", string(ca.PEM()))
	a.stage("", crlName, crl(t, ca, 5, entries))
	a.stage("", "notation/crl/acme.issuer.pem", string(ca.PEM()))
	a.stage("", policyName, policy)
	a.stage("", "revocations.json", revocations("a"))
	var warned warnings
	if _, err := a.try(t.Context(), g, publish.Options{Warn: warned.add}); err != nil {
		t.Fatal(err)
	}
	if warned.String() != "" {
		t.Fatalf("warned of what is right: %s", &warned)
	}
	return g, a, ca
}

func revocations(digit string) string {
	return fmt.Sprintf(`{"version":1,"images":[{"digest":"sha256:%s","reason":"r","time":"2026-08-01T10:02:00Z"}]}`, strings.Repeat(digit, 64))
}

func TestPublishRefusesContent(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	for _, c := range []struct {
		name  string
		stage func(a *author, ca *notationsign.Authority)
		rule  string
	}{
		{"a policy that names no store", func(a *author, _ *notationsign.Authority) {
			a.stage("", policyName, strings.Replace(policy, "ca:acme", "ca:other", 1))
		}, "policy-store"},
		{"a policy of other members", func(a *author, _ *notationsign.Authority) {
			a.stage("", policyName, strings.Replace(policy, `"version"`, `"comment":"","version"`, 1))
		}, "policy"},
		{"a store that a policy names is gone", func(a *author, _ *notationsign.Authority) {
			a.remove("notation/x509/ca/acme/ca.pem")
		}, "policy-store"},
		{"an older CRL", func(a *author, ca *notationsign.Authority) {
			a.stage("", crlName, crl(a.t, ca, 4, 0))
		}, "crl-older"},
		{"a CRL without issuer", func(a *author, _ *notationsign.Authority) {
			a.remove("notation/crl/acme.issuer.pem")
		}, "crl"},
		{"only the custom object of a CRL", func(a *author, _ *notationsign.Authority) {
			same, err := a.ws.TargetData(crlName)
			if err != nil {
				a.t.Fatal(err)
			}
			o := metadata.TargetOptions{Custom: json.RawMessage(`{"tufoci":{"urls":["nowhere"]}}`)}
			if _, err := a.ws.AddTarget(crlName, same, o); err != nil {
				a.t.Fatal(err)
			}
		}, "crl"},
		{"unreadable revocations", func(a *author, _ *notationsign.Authority) {
			a.stage("", "revocations.json", `{"version":2}`)
		}, "revocations"},
		{"unreadable revocations of the role", func(a *author, _ *notationsign.Authority) {
			a.delegateRevocations()
			a.stage("revocations", "revocations/a.json", `{"version":2}`)
		}, "revocations"},
		{"another file of the role", func(a *author, _ *notationsign.Authority) {
			a.delegateRevocations()
			a.stage("revocations", "revocations/README", `x`)
		}, "name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g, a, ca := trusted(t, 0)
			c.stage(a, ca)
			before := a.files()
			g.Reset()
			_, err := a.try(t.Context(), g, publish.Options{})
			wantErr(t, err, metadata.ErrLint)
			lint, _ := errors.AsType[*metadata.LintError](err)
			if !slices.ContainsFunc(lint.Findings, func(f metadata.Finding) bool {
				return f.Rule == c.rule && f.Level == metadata.LevelError && f.Role != ""
			}) {
				t.Errorf("findings %v, want one of %s", lint.Findings, c.rule)
			}
			if got := writes(g); len(got) > 0 {
				t.Errorf("wrote %+v", got)
			}
			if after := a.files(); len(after) != len(before) {
				t.Error("the workspace changed")
			}
		})
	}
}

// The same at the first publish, when there is no head.
func TestFirstPublishRefusesContent(t *testing.T) {
	t.Parallel()
	g, a := registry(t), newAuthor(t)
	a.stage("", policyName, policy)
	_, err := a.try(t.Context(), g, publish.Options{})
	wantErr(t, err, metadata.ErrLint)
	a.stage("", "notation/x509/ca/acme/ca.pem", string(authority(t).PEM()))
	a.publish(g)
}

func TestPublishWarnsOfContent(t *testing.T) {
	t.Parallel()
	g, a, _ := trusted(t, 0)
	a.stage("", "revocations.json", revocations("b"))
	var warned warnings
	if _, err := a.try(t.Context(), g, publish.Options{Warn: warned.add}); err != nil {
		t.Fatal(err)
	}
	if want := "targets: revocations.json: no more revoked: image sha256:aaaa"; !strings.Contains(warned.String(), want) {
		t.Errorf("warned %q, want %q", &warned, want)
	}
}

// A publish that changes nothing under reserved names asks for none of them,
// also not for what the workspace does not hold.
func TestPublishReadsContentOnlyIfItChanged(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	g, a, ca := trusted(t, 6000)
	blobs := func() int {
		n := 0
		for _, r := range g.Requests() {
			if r.Method == "GET" && strings.Contains(r.Path, "/blobs/") {
				n++
			}
		}
		return n
	}
	// After the first of these the CRL is not in the inline layer any more.
	for _, content := range []string{"more", "and more"} {
		a.stage("", "more.txt", content)
		g.Reset()
		a.publish(g)
		if n := blobs(); n != 0 {
			t.Errorf("%d blobs were read for another target", n)
		}
	}

	// The CRL is large: judging a new certificate beside it means reading it, once.
	a.stage("", "notation/x509/ca/acme/new.pem", string(authority(t).PEM()))
	g.Reset()
	a.publish(g)
	if n := blobs(); n != 1 {
		t.Errorf("%d blobs were read for a certificate, want 1", n)
	}

	// Its successor is judged by it.
	a.stage("", crlName, crl(t, ca, 4, 6000))
	_, err := a.try(t.Context(), g, publish.Options{})
	wantErr(t, err, metadata.ErrLint)
	a.stage("", crlName, crl(t, ca, 6, 6000))
	a.publish(g)
}

// What another publisher has published is judged together with what is staged here.
func TestPublishJudgesWhatItTakesOver(t *testing.T) {
	t.Parallel()
	g, a, _ := trusted(t, 0)
	a.delegateRevocations()
	a.publish(g)
	b := a.twin()
	a.stage("", "revocations.json", `{"version":1}`)
	a.stage("", policyName, policy+"\n")
	a.publish(g)
	b.stage("revocations", "revocations/a.json", revocations("a"))
	var warned warnings
	if _, err := b.try(t.Context(), g, publish.Options{Warn: warned.add}); err != nil {
		t.Fatal(err)
	}
	if warned.String() != "" {
		t.Errorf("warned: %s", &warned)
	}
	if got := content(t, g, b, policyName); got != policy+"\n" {
		t.Errorf("policy %q", got)
	}
}

// A head that shows other bytes under the name of a CRL is no way to make it
// older: nothing is judged by bytes that are not signed.
func TestPublishJudgesBySignedBytesOnly(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	g, a, ca := trusted(t, 6000)
	a.delegate("team", 0)
	a.publish(g)
	b := a.twin()
	a.stage("team", "team/more.txt", "more")
	a.publish(g)
	manifest, _ := g.Manifest(repository, channel)
	var m ocispec.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		t.Fatal(err)
	}
	shown := slices.IndexFunc(m.Layers, func(l ocispec.Descriptor) bool {
		return strings.HasSuffix(l.Annotations[ocispec.AnnotationTitle], ".acme.crl")
	})
	other := slices.IndexFunc(m.Layers, func(l ocispec.Descriptor) bool {
		return strings.HasSuffix(l.Annotations[ocispec.AnnotationTitle], ".hello.txt")
	})
	m.Layers[shown].Digest, m.Layers[shown].Size = m.Layers[other].Digest, m.Layers[other].Size
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	g.PutManifest(repository, channel, manifest)
	b.stage("", crlName, crl(t, ca, 4, 0))
	if _, err := b.try(t.Context(), g, publish.Options{}); err == nil || !strings.Contains(err.Error(), "the head lacks") {
		t.Errorf("an older CRL: %v", err)
	}
}

func (a *author) remove(paths ...string) {
	a.t.Helper()
	if _, err := a.ws.RemoveTarget("", paths...); err != nil {
		a.t.Fatal(err)
	}
}

func (a *author) delegateRevocations() {
	a.t.Helper()
	root, err := a.ws.Role("root")
	if err != nil {
		a.t.Fatal(err)
	}
	if err := a.ws.AddDelegation(metadata.DelegationOptions{Name: "revocations", Keys: []string{root.Keys[0].Name}}); err != nil {
		a.t.Fatal(err)
	}
}
