package verify_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io/fs"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/revocation/crl"
	"github.com/notaryproject/notation-core-go/revocation/purpose"
	"github.com/notaryproject/notation-core-go/revocation/result"
	"github.com/notaryproject/notation-go/verifier/truststore"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/verify"
)

// files make a set of material.
func set(t *testing.T, files ...material.File) *material.Set {
	t.Helper()
	s, err := material.Read(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// crlFiles are a CRL with its issuer.
func crlFiles(name string, by *notationsign.Authority, o notationsign.CRLOptions) []material.File {
	return []material.File{
		{Name: "notation/crl/" + name + ".crl", Data: must(by.CRL(o))},
		{Name: "notation/crl/" + name + ".issuer.pem", Data: by.PEM()},
	}
}

func TestValidator(t *testing.T) {
	t.Parallel()
	now := time.Now()
	root := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "root"}))
	other := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "root"}))
	plain := must(root.Leaf(notationsign.CertificateOptions{Name: "plain"}))
	named := must(root.Leaf(notationsign.CertificateOptions{Name: "named", CRLURLs: []string{crlURL}}))
	ocsp := must(root.Leaf(notationsign.CertificateOptions{Name: "ocsp", OCSPURLs: []string{"http://ocsp.acme.example"}}))
	fresh := must(root.Leaf(notationsign.CertificateOptions{Name: "fresh", CRLURLs: []string{crlURL}, FreshestURLs: []string{deltaURL}}))
	old := notationsign.CRLOptions{Number: 3, ThisUpdate: now.AddDate(0, -2, 0), NextUpdate: now.AddDate(0, -1, 0)}
	revoking := func(o notationsign.CRLOptions, c *notationsign.Identity) notationsign.CRLOptions {
		o.Revoked = []*x509.Certificate{c.Chain[0]}
		return o
	}
	entry := func(c *notationsign.Identity, code int, extensions ...pkix.Extension) notationsign.CRLOptions {
		return notationsign.CRLOptions{Number: 3, Entries: []x509.RevocationListEntry{{
			SerialNumber: c.Chain[0].SerialNumber, RevocationTime: now.Add(-time.Hour), ReasonCode: code, ExtraExtensions: extensions,
		}}}
	}
	invalid := pkix.Extension{
		Id: asn1.ObjectIdentifier{2, 5, 29, 24}, Value: must(asn1.MarshalWithParams(now.Add(-30*time.Minute).UTC(), "generalized")),
	}
	behind, formless := invalid, invalid
	behind.Value, formless.Value = append(slices.Clone(invalid.Value), 5, 0), []byte{5, 0}
	// A scope of certificates of users, and one of those of authorities, RFC 5280 section 5.2.5.
	onlyCA := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0x03, 0x82, 0x01, 0xff}}
	denied := func(c *x509.Certificate) *material.Revocations {
		return &material.Revocations{Certificates: []material.RevokedCertificate{{SHA256: material.SHA256(c), Reason: "stolen", Time: now}}}
	}

	for name, tt := range map[string]struct {
		leaf        *notationsign.Identity
		files       []material.File
		revocations *material.Revocations
		signed      time.Time
		want        result.Result
		root        result.Result
	}{
		"nothing to ask":                  {leaf: plain, want: result.ResultNonRevokable},
		"a CRL where none is named":       {leaf: plain, files: crlFiles("a", root, notationsign.CRLOptions{Number: 3}), want: result.ResultOK},
		"no CRL":                          {leaf: named, want: result.ResultUnknown},
		"no CRL instead of OCSP":          {leaf: ocsp, want: result.ResultUnknown},
		"a CRL instead of OCSP":           {leaf: ocsp, files: crlFiles("a", root, notationsign.CRLOptions{Number: 3}), want: result.ResultOK},
		"a CRL":                           {leaf: named, files: crlFiles("a", root, notationsign.CRLOptions{Number: 3}), want: result.ResultOK},
		"a CRL past its end":              {leaf: named, files: crlFiles("a", root, old), want: result.ResultOK},
		"a CRL of the future":             {leaf: named, files: crlFiles("a", root, notationsign.CRLOptions{Number: 3, ThisUpdate: now.Add(time.Hour)}), want: result.ResultUnknown},
		"a CRL of another issuer":         {leaf: named, files: crlFiles("a", other, notationsign.CRLOptions{Number: 3}), want: result.ResultUnknown},
		"revoked":                         {leaf: named, files: crlFiles("a", root, revoking(notationsign.CRLOptions{Number: 3}, named)), want: result.ResultRevoked},
		"revoked by another issuer":       {leaf: plain, files: crlFiles("a", other, revoking(notationsign.CRLOptions{Number: 3}, plain)), want: result.ResultNonRevokable},
		"revoked where no CRL is named":   {leaf: plain, files: crlFiles("a", root, revoking(notationsign.CRLOptions{Number: 3}, plain)), want: result.ResultRevoked},
		"revoked past its end":            {leaf: named, files: crlFiles("a", root, revoking(old, named)), want: result.ResultRevoked},
		"revoked in the older one of two": {leaf: named, files: append(crlFiles("a", root, revoking(notationsign.CRLOptions{Number: 3}, named)), crlFiles("b", root, notationsign.CRLOptions{Number: 4})...), want: result.ResultRevoked},
		"a CRL of another scope":          {leaf: named, files: crlFiles("a", root, notationsign.CRLOptions{Number: 3, Extensions: []pkix.Extension{onlyCA}}), want: result.ResultUnknown},
		"revoked by a CRL of another scope": {
			leaf: named, want: result.ResultRevoked,
			files: crlFiles("a", root, revoking(notationsign.CRLOptions{Number: 3, Extensions: []pkix.Extension{onlyCA}}, named)),
		},
		"on hold":                       {leaf: named, files: crlFiles("a", root, entry(named, 6)), want: result.ResultRevoked},
		"bad since before it signed":    {leaf: named, files: crlFiles("a", root, entry(named, 1, invalid)), signed: now.Add(-time.Minute), want: result.ResultRevoked},
		"bad since after it signed":     {leaf: named, files: crlFiles("a", root, entry(named, 1, invalid)), signed: now.Add(-2 * time.Hour), want: result.ResultOK},
		"bad since, with bytes behind":  {leaf: named, files: crlFiles("a", root, entry(named, 1, behind)), signed: now.Add(-2 * time.Hour), want: result.ResultRevoked},
		"bad since, of no form":         {leaf: named, files: crlFiles("a", root, entry(named, 1, formless)), signed: now.Add(-2 * time.Hour), want: result.ResultRevoked},
		"bad since, without a time":     {leaf: named, files: crlFiles("a", root, entry(named, 1, invalid)), want: result.ResultRevoked},
		"a delta without its base":      {leaf: fresh, files: crlFiles("d", root, notationsign.CRLOptions{Number: 4, Base: 3}), want: result.ResultUnknown},
		"a base without its delta":      {leaf: fresh, files: crlFiles("a", root, notationsign.CRLOptions{Number: 3}), want: result.ResultUnknown},
		"a base with its delta":         {leaf: fresh, files: append(crlFiles("a", root, notationsign.CRLOptions{Number: 3}), crlFiles("d", root, notationsign.CRLOptions{Number: 4, Base: 3})...), want: result.ResultOK},
		"a delta of a later base":       {leaf: fresh, files: append(crlFiles("a", root, notationsign.CRLOptions{Number: 3}), crlFiles("d", root, notationsign.CRLOptions{Number: 6, Base: 5})...), want: result.ResultUnknown},
		"a delta of before the base":    {leaf: fresh, files: append(crlFiles("a", root, notationsign.CRLOptions{Number: 5}), crlFiles("d", root, notationsign.CRLOptions{Number: 4, Base: 3})...), want: result.ResultUnknown},
		"a newer base without a delta":  {leaf: fresh, files: slices.Concat(crlFiles("a", root, notationsign.CRLOptions{Number: 5}), crlFiles("b", root, notationsign.CRLOptions{Number: 3}), crlFiles("d", root, notationsign.CRLOptions{Number: 4, Base: 3})), want: result.ResultUnknown},
		"a delta of another scope":      {leaf: fresh, files: append(crlFiles("a", root, notationsign.CRLOptions{Number: 3}), crlFiles("d", root, notationsign.CRLOptions{Number: 4, Base: 3, Extensions: []pkix.Extension{onlyCA}})...), want: result.ResultUnknown},
		"a delta of the future":         {leaf: fresh, files: append(crlFiles("a", root, notationsign.CRLOptions{Number: 3}), crlFiles("d", root, notationsign.CRLOptions{Number: 4, Base: 3, ThisUpdate: now.Add(time.Hour)})...), want: result.ResultUnknown},
		"a delta of another issuer":     {leaf: fresh, files: append(crlFiles("a", root, notationsign.CRLOptions{Number: 3}), crlFiles("d", other, notationsign.CRLOptions{Number: 4, Base: 3})...), want: result.ResultUnknown},
		"revoked by a delta":            {leaf: fresh, files: append(crlFiles("a", root, notationsign.CRLOptions{Number: 3}), crlFiles("d", root, revoking(notationsign.CRLOptions{Number: 4, Base: 3}, fresh))...), want: result.ResultRevoked},
		"revoked by a delta, not asked": {leaf: named, files: append(crlFiles("a", root, notationsign.CRLOptions{Number: 3}), crlFiles("d", root, revoking(notationsign.CRLOptions{Number: 4, Base: 3}, named))...), want: result.ResultRevoked},
		"revoked by a list":             {leaf: named, files: crlFiles("a", root, notationsign.CRLOptions{Number: 3}), revocations: denied(named.Chain[0]), want: result.ResultRevoked},
		"revoked by its other sha256":   {leaf: named, files: crlFiles("a", root, notationsign.CRLOptions{Number: 3}), revocations: denied(resigned(named.Chain[0], root)), want: result.ResultRevoked},
		"a root revoked by its other":   {leaf: plain, revocations: denied(resigned(root.Certificate, root)), want: result.ResultNonRevokable, root: result.ResultRevoked},
		"a root revoked by a list":      {leaf: plain, revocations: denied(root.Certificate), want: result.ResultNonRevokable, root: result.ResultRevoked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := tt.revocations
			if r == nil {
				r = &material.Revocations{}
			}
			m := verify.NewMaterial(set(t, tt.files...), r, func() time.Time { return now })
			got, err := m.Validator(purpose.CodeSigning).ValidateContext(t.Context(), revocation.ValidateContextOptions{CertChain: tt.leaf.Chain, AuthenticSigningTime: tt.signed})
			if err != nil {
				t.Fatal(err)
			}
			if tt.root == 0 {
				tt.root = result.ResultNonRevokable
			}
			if len(got) != 2 || got[0].Result != tt.want || got[1].Result != tt.root {
				t.Errorf("got %s, %s, want %s, %s", got[0].Result, got[1].Result, tt.want, tt.root)
			}
			if len(got[0].ServerResults) == 0 || (got[0].Result == result.ResultUnknown) != (got[0].ServerResults[0].Error != nil) {
				t.Errorf("what is not known has no reason: %+v", got[0].ServerResults)
			}
		})
	}
}

// A validator is asked about chains of its purpose.
func TestValidatorRefuses(t *testing.T) {
	t.Parallel()
	root := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "root"}))
	leaf := must(root.Leaf(notationsign.CertificateOptions{Name: "leaf"}))
	m := verify.NewMaterial(set(t), &material.Revocations{}, time.Now)
	for name, tt := range map[string]struct {
		p     purpose.Purpose
		chain []*x509.Certificate
	}{
		"nothing":         {purpose.CodeSigning, nil},
		"another purpose": {purpose.Timestamping, leaf.Chain},
		"no purpose":      {purpose.Purpose(7), leaf.Chain},
		"no root":         {purpose.CodeSigning, leaf.Chain[:1]},
		"more in a leaf":  {purpose.CodeSigning, []*x509.Certificate{stuffed(leaf.Chain[0]), leaf.Chain[1]}},
		"more in a root":  {purpose.CodeSigning, []*x509.Certificate{leaf.Chain[0], stuffed(leaf.Chain[1])}},
	} {
		_, err := m.Validator(tt.p).ValidateContext(t.Context(), revocation.ValidateContextOptions{CertChain: tt.chain})
		if !errors.As(err, new(result.InvalidChainError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// parts are those of a certificate.
type parts struct {
	TBS, Algorithm asn1.RawValue
	Signature      asn1.BitString
}

func partsOf(c *x509.Certificate) (p parts) {
	must(asn1.Unmarshal(c.Raw, &p))
	return p
}

// resigned is a certificate with the other value of the same signature of its issuer,
// which needs no key: n-s for s.
func resigned(c *x509.Certificate, by *notationsign.Authority) *x509.Certificate {
	var value struct{ R, S *big.Int }
	must(asn1.Unmarshal(c.Signature, &value))
	value.S.Sub(by.Key.Params().N, value.S)
	p := partsOf(c)
	p.Signature.Bytes = must(asn1.Marshal(value))
	p.Signature.BitLength = 8 * len(p.Signature.Bytes)
	return must(x509.ParseCertificate(must(asn1.Marshal(p))))
}

// stuffed is a certificate with something behind its signature.
func stuffed(c *x509.Certificate) *x509.Certificate {
	p := partsOf(c)
	return must(x509.ParseCertificate(must(asn1.Marshal(struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
		More           int
	}{p.TBS, p.Algorithm, p.Signature, 1}))))
}

func TestTrustStore(t *testing.T) {
	t.Parallel()
	a := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "a"}))
	b := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "b"}))
	s := set(
		t,
		material.File{Name: "notation/x509/ca/acme/a.pem", Data: a.PEM()},
		material.File{Name: "notation/x509/ca/acme/b.pem", Data: b.PEM()},
		material.File{Name: "notation/x509/tsa/acme/a.pem", Data: a.PEM()},
	)
	revocations := &material.Revocations{Certificates: []material.RevokedCertificate{{SHA256: material.SHA256(a.Certificate)}}}
	store := verify.NewMaterial(s, revocations, time.Now).TrustStore()
	got, err := store.GetCertificates(t.Context(), truststore.TypeCA, "acme")
	if err != nil || len(got) != 1 || !got[0].Equal(b.Certificate) {
		t.Errorf("the store without the revoked certificate: %v, %v", got, err)
	}
	if len(s.Stores[material.StoreCA]["acme"]) != 2 {
		t.Error("the material was changed")
	}
	for name, tt := range map[string]struct {
		kind  truststore.Type
		store string
		gone  bool
	}{
		"only revoked":          {truststore.TypeTSA, "acme", true},
		"unknown":               {truststore.TypeCA, "other", true},
		"another type":          {truststore.TypeSigningAuthority, "acme", true},
		"no type":               {"root", "acme", false},
		"no name":               {truststore.TypeCA, "", false},
		"a name that is a path": {truststore.TypeCA, "../acme", false},
	} {
		got, err := store.GetCertificates(t.Context(), tt.kind, tt.store)
		if err == nil || got != nil || errors.Is(err, fs.ErrNotExist) != tt.gone {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestCRLFetcher(t *testing.T) {
	t.Parallel()
	root := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "root"}))
	urls := []byte(`{"tufoci":{"urls":["` + crlURL + `"]}}`)
	files := append(crlFiles("a", root, notationsign.CRLOptions{Number: 3}), crlFiles("b", root, notationsign.CRLOptions{Number: 4})...)
	files = append(files, crlFiles("c", root, notationsign.CRLOptions{Number: 2})...)
	files[0].Custom, files[2].Custom, files[4].Custom = urls, urls, urls
	files = append(files, crlFiles("d", root, notationsign.CRLOptions{Number: 6, Base: 4})...)
	files[6].Custom = urls // no complete CRL, whatever it says of itself
	files = append(files, crlFiles("e", root, notationsign.CRLOptions{Number: 5, Base: 4})...)
	other := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "root"}))
	files = append(files, crlFiles("f", other, notationsign.CRLOptions{Number: 7, Base: 4})...)
	fetcher := verify.NewMaterial(set(t, files...), &material.Revocations{}, time.Now).CRLFetcher()
	got, err := fetcher.Fetch(t.Context(), crlURL)
	if err != nil || got.BaseCRL.Number.Int64() != 4 || got.DeltaCRL == nil || got.DeltaCRL.Number.Int64() != 6 {
		t.Errorf("not the newest: %+v, %v", got, err)
	}
	// Where they have no numbers, the date decides.
	unnumbered := append(crlFiles("a", root, notationsign.CRLOptions{Number: 1, ThisUpdate: time.Now().Add(-time.Minute)}),
		crlFiles("b", root, notationsign.CRLOptions{Number: 1, ThisUpdate: time.Now().Add(-time.Hour)})...)
	unnumbered[0].Custom, unnumbered[2].Custom = urls, urls
	s := set(t, unnumbered...)
	for _, c := range s.CRLs {
		c.List.Number = nil
	}
	got, err = verify.NewMaterial(s, &material.Revocations{}, time.Now).CRLFetcher().Fetch(t.Context(), crlURL)
	if err != nil || !got.BaseCRL.ThisUpdate.Equal(s.CRLs[0].List.ThisUpdate) {
		t.Errorf("not the newest without numbers: %+v, %v", got, err)
	}
	if got, err := fetcher.Fetch(t.Context(), crlURL+"2"); !errors.Is(err, crl.ErrCacheMiss) || got != nil {
		t.Errorf("a CRL that nobody has: %v, %v", got, err)
	}
}
