package material

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/notationsign"
)

const revokesA = `{"version":1,"images":[{"digest":"sha256:` + hexA + `","reason":"CVE-1","time":"2026-08-01T10:02:00Z"}]}`

// world is everything that travels, well-formed.
type world struct {
	root, between *notationsign.Authority
	leaf          *x509.Certificate
	files         []File
}

func newWorld(t testing.TB) *world {
	t.Helper()
	root := newRoot(t, "root")
	between := newIntermediate(t, root, "between")
	w := &world{root: root, between: between, leaf: newLeaf(t, between)}
	w.files = []File{
		{Name: "notation/x509/ca/acme/root.pem", Data: root.PEM()},
		{Name: "notation/crl/acme.crl", Data: w.crl(t, notationsign.CRLOptions{Number: 7}), Custom: []byte(`{"tufoci":{"urls":["http://crl.acme.io/a"]}}`)},
		{Name: "notation/crl/acme.issuer.pem", Data: between.PEM()},
		{Name: PolicyName, Data: []byte(strings.Replace(goodPolicy, `"override":{"revocation":"log"},`, "", 1))},
		{Name: RevocationsName, Data: []byte(revokesA)},
	}
	return w
}

func (w *world) crl(t testing.TB, o notationsign.CRLOptions) []byte {
	t.Helper()
	return makeCRL(t, w.between, o)
}

// with are the files of the world, some replaced, added or, with nil, removed.
func (w *world) with(changes map[string][]byte) []File {
	files := slices.Clone(w.files)
	for name, data := range changes {
		i := slices.IndexFunc(files, func(f File) bool { return f.Name == name })
		switch {
		case i >= 0 && data == nil:
			files = slices.Delete(files, i, i+1)
		case i >= 0:
			files[i].Data = data
		default:
			files = append(files, File{Name: name, Data: data})
		}
	}
	return files
}

func TestRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := newRoot(t, "other")
	set, err := Read(w.with(map[string][]byte{
		"notation/x509/ca/acme/other.pem": other.PEM(),
		"notation/x509/tsa/acme/tsa.pem":  other.PEM(),
		"revocations/oncall.json":         []byte(`{"version":1,"certificates":[{"sha256":"` + hexB + `","reason":"r","time":"2026-08-01T10:02:00Z"}]}`),
		"charts/shop.tgz":                 []byte("x"),
		"notation/README":                 []byte("x"),
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Stores[StoreCA]["acme"]; len(got) != 2 || !got[0].Equal(other.Certificate) || !got[1].Equal(w.root.Certificate) {
		t.Errorf("store ca:acme has %d certificates", len(got))
	}
	if len(set.Stores[StoreTSA]["acme"]) != 1 || len(set.Stores) != 2 {
		t.Errorf("stores: %v", set.Stores)
	}
	if got := set.Files["notation/x509/ca/acme/root.pem"]; len(got) != 1 || !got[0].Equal(w.root.Certificate) || len(set.Files) != 3 {
		t.Errorf("files: %v", set.Files)
	}
	if len(set.CRLs) != 1 || set.CRLs[0].Name != "acme" || set.CRLs[0].URLs[0] != "http://crl.acme.io/a" {
		t.Errorf("CRLs: %+v", set.CRLs)
	}
	if set.Policy == nil || len(set.PolicyData) == 0 {
		t.Error("no policy")
	}
	if set.Revocations.Image("sha256:"+hexA, "") == nil || set.Revocations.Certificate(hexB) == nil {
		t.Errorf("revocations: %+v", set.Revocations)
	}
	if empty, err := Read(nil); err != nil || empty.Policy != nil || empty.Revocations == nil {
		t.Errorf("nothing: %+v, %v", empty, err)
	}
}

func TestReadIsAllOrNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, files := range map[string][]File{
		"a bad certificate":         w.with(map[string][]byte{"notation/x509/ca/acme/root.pem": []byte("x")}),
		"a leaf as anchor":          w.with(map[string][]byte{"notation/x509/ca/acme/leaf.pem": notationsign.EncodePEM(w.leaf)}),
		"an unknown type of store":  w.with(map[string][]byte{"notation/x509/caa/acme/root.pem": w.root.PEM()}),
		"a directory in a store":    w.with(map[string][]byte{"notation/x509/ca/acme/new/root.pem": w.root.PEM()}),
		"a bad CRL":                 w.with(map[string][]byte{"notation/crl/acme.crl": []byte("x")}),
		"a CRL without issuer":      w.with(map[string][]byte{"notation/crl/acme.issuer.pem": nil}),
		"a CRL of another issuer":   w.with(map[string][]byte{"notation/crl/acme.issuer.pem": w.root.PEM()}),
		"an unknown name of a CRL":  w.with(map[string][]byte{"notation/crl/acme.txt": []byte("x")}),
		"a bad policy":              w.with(map[string][]byte{PolicyName: []byte("{}")}),
		"bad revocations":           w.with(map[string][]byte{RevocationsName: []byte("{}")}),
		"bad revocations of a role": w.with(map[string][]byte{"revocations/oncall.json": []byte("{}")}),
		"no list of revocations":    w.with(map[string][]byte{"revocations/README": []byte("x")}),
		"a name twice":              append(w.with(nil), w.files[0]),
	} {
		if set, err := Read(files); !errors.Is(err, ErrInvalid) || set != nil {
			t.Errorf("%s: %v, %v; want ErrInvalid", name, set, err)
		}
	}
}

func TestCheckIssuer(t *testing.T) {
	t.Parallel()
	root, other := newRoot(t, "root"), newRoot(t, "other")
	first := newIntermediate(t, root, "first")
	second := newIntermediate(t, first, "second")
	stranger := newIntermediate(t, newRoot(t, "root"), "first") // names as above, other keys
	const name = "notation/crl/acme.crl"
	crlOf := func(a *notationsign.Authority, chain ...*x509.Certificate) []File {
		return []File{
			{Name: name, Data: makeCRL(t, a, notationsign.CRLOptions{Number: 1})},
			{Name: "notation/crl/acme.issuer.pem", Data: notationsign.EncodePEM(append([]*x509.Certificate{a.Certificate}, chain...)...)},
		}
	}
	store := func(kind string, a *notationsign.Authority) File {
		return File{Name: "notation/x509/" + kind + "/acme/a.pem", Data: a.PEM()}
	}
	with := func(files []File, more ...File) []File { return append(files, more...) }
	for _, c := range []struct {
		name  string
		files []File
		ok    bool
	}{
		{"a certificate of a store", with(crlOf(root), store("ca", root)), true},
		{"of a store of another type", with(crlOf(root), store("tsa", root)), true},
		{"an intermediate in a store", with(crlOf(first), store("signingAuthority", first)), true},
		{"below a store", with(crlOf(first), store("ca", root)), true},
		{"two below a store, with its chain", with(crlOf(second, first.Certificate), store("ca", root)), true},
		{"two below a store, through another CRL's issuer", with(crlOf(second), store("ca", root),
			File{Name: "notation/crl/b.crl", Data: makeCRL(t, first, notationsign.CRLOptions{Number: 1})},
			File{Name: "notation/crl/b.issuer.pem", Data: first.PEM()}), true},
		{"two below a store, without the one between", with(crlOf(second), store("ca", root)), false},
		{"two below a store, another of its name between", with(crlOf(second, stranger.Certificate), store("ca", root)), false},
		{"no store", crlOf(root), false},
		{"another store", with(crlOf(first), store("ca", other)), false},
		{"names alike", with(crlOf(stranger), store("ca", root)), false},
		{"a root that came along", with(crlOf(first, root.Certificate), store("ca", other)), false},
		{"a stranger with the chain of others", with(crlOf(other, first.Certificate), store("ca", root)), false},
		{"above the store", with(crlOf(root), store("ca", first)), false},
	} {
		set, err := Read(c.files)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		i := slices.IndexFunc(set.CRLs, func(l *CRL) bool { return l.Name == "acme" })
		switch err := set.CheckIssuer(set.CRLs[i]); {
		case c.ok && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case !c.ok && !errors.Is(err, ErrIssuer):
			t.Errorf("%s: %v, want ErrIssuer", c.name, err)
		}
	}
}

func TestLint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	other := newRoot(t, "other")
	expired, err := notationsign.NewRoot(notationsign.CertificateOptions{Name: "old", NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	policy := func(old, new string) map[string][]byte {
		data := strings.Replace(string(w.files[3].Data), old, new, 1)
		if data == string(w.files[3].Data) {
			t.Fatalf("nothing is %q", old)
		}
		return map[string][]byte{PolicyName: []byte(data)}
	}
	crl := func(o notationsign.CRLOptions) map[string][]byte {
		return map[string][]byte{"notation/crl/acme.crl": w.crl(t, o)}
	}
	const repository = `{"version":1,"images":[{"digest":"sha256:` + hexA + `","repository":"registry.acme.io/shop","reason":"r","time":"2026-08-01T10:02:00Z"}]}`
	for _, c := range []struct {
		name    string
		changes map[string][]byte
		before  []File
		want    []string // rule, with "?" for a warning
	}{
		{"all well", nil, w.files, nil},
		{"the first time", nil, nil, nil},
		{"a bad certificate", map[string][]byte{"notation/x509/ca/acme/other.pem": []byte("x")}, nil, []string{"certificate"}},
		{"an unknown name", map[string][]byte{"notation/x509/ca/root.pem": w.root.PEM()}, nil, []string{"name"}},
		{"a name that nobody reads", map[string][]byte{"notation/trustpolicy.oci.json": []byte("{}")}, nil, []string{"name?"}},
		{"an issuer without CRL", map[string][]byte{"notation/crl/b.issuer.pem": w.root.PEM()}, nil, []string{"name?"}},
		{"a CRL without issuer", map[string][]byte{"notation/crl/acme.issuer.pem": nil}, w.files, []string{"crl"}},
		{"an expired certificate", map[string][]byte{"notation/x509/ca/acme/old.pem": expired.PEM()}, nil, []string{"certificate?"}},
		{"a bad policy", map[string][]byte{PolicyName: []byte("{}")}, nil, []string{"policy", "store?"}},
		{"a store that no target provides", policy(`"ca:acme"`, `"ca:acme","ca:other"`), nil, []string{"policy-store"}},
		{"a store of another type", policy(`"ca:acme"`, `"tsa:acme"`), nil, []string{"policy-store", "store?"}},
		{"no policy", map[string][]byte{PolicyName: nil}, nil, []string{"store?"}},
		{"a store that no policy names", map[string][]byte{"notation/x509/ca/other/o.pem": other.PEM()}, nil, []string{"store?"}},
		{"level permissive", policy(`"strict"`, `"permissive"`), nil, []string{"policy-level?"}},
		{"level audit", policy(`"strict"`, `"audit"`), nil, []string{"policy-level?"}},
		{"an override below strict", policy(`"level":"strict"`, `"level":"strict","override":{"revocation":"skip"}`), nil, []string{"policy-level?"}},
		{"an override up to strict", policy(`"level":"strict"`, `"level":"permissive","override":{"revocation":"enforce","expiry":"enforce","authenticTimestamp":"enforce"}`), nil, nil},
		{"level skip", map[string][]byte{PolicyName: []byte(`{"version":"1.0","trustPolicies":[{"name":"n","registryScopes":["*"],"signatureVerification":{"level":"skip"}}]}`)}, nil, []string{"store?", "policy-level?"}},
		{"an identity that matches nothing", policy(`"trustedIdentities":["*"]`, `"trustedIdentities":["spiffe:x"]`), nil, []string{"policy-identity?"}},
		{"a CRL of a stranger", map[string][]byte{"notation/crl/acme.crl": makeCRL(t, other, notationsign.CRLOptions{Number: 8}), "notation/crl/acme.issuer.pem": other.PEM()}, nil, []string{"crl-issuer"}},
		{"a CRL of another CA in place of one", map[string][]byte{"notation/crl/acme.crl": makeCRL(t, w.root, notationsign.CRLOptions{Number: 8}), "notation/crl/acme.issuer.pem": w.root.PEM()}, w.files, []string{"crl-other"}},
		{"a newer CRL", crl(notationsign.CRLOptions{Number: 8}), w.files, nil},
		{"an older CRL", crl(notationsign.CRLOptions{Number: 6}), w.files, []string{"crl-older"}},
		{"a CRL of an earlier date", crl(notationsign.CRLOptions{Number: 8, ThisUpdate: now.Add(-10 * time.Hour)}), w.files, []string{"crl-older"}},
		{"a CRL that is gone", map[string][]byte{"notation/crl/acme.crl": nil, "notation/crl/acme.issuer.pem": nil}, w.files, []string{"crl-removed?"}},
		{"a CRL that ends before the timestamp", crl(notationsign.CRLOptions{Number: 8, NextUpdate: now.Add(time.Hour)}), nil, []string{"crl-date?"}},
		{"a CRL that is past", crl(notationsign.CRLOptions{Number: 8, ThisUpdate: now.Add(-2 * time.Hour), NextUpdate: now.Add(-time.Hour)}), nil, []string{"crl-date?"}},
		{"a CRL to come", crl(notationsign.CRLOptions{Number: 8, ThisUpdate: now.Add(time.Hour)}), nil, []string{"crl-date?"}},
		{"bad revocations", map[string][]byte{RevocationsName: []byte("{}")}, nil, []string{"revocations"}},
		{"a revocation that is gone", map[string][]byte{RevocationsName: []byte(`{"version":1}`)}, w.files, []string{"revocation-lost?"}},
		{"a list that is gone", map[string][]byte{RevocationsName: nil}, w.files, []string{"revocation-lost?"}},
		{"a revocation that moved", map[string][]byte{RevocationsName: nil, "revocations/a.json": []byte(revokesA)}, w.files, nil},
		{"a repository with a host", map[string][]byte{RevocationsName: []byte(repository)}, nil, []string{"revocation-repository?"}},
		{"what was bad before", nil, w.with(map[string][]byte{RevocationsName: []byte("{}")}), nil},
	} {
		var got []string
		for _, f := range Lint(w.with(c.changes), LintOptions{Previous: c.before, TimestampExpires: now.Add(24 * time.Hour), Now: now}) {
			rule := f.Rule
			if f.Warning {
				rule += "?"
			}
			if f.Name == "" || f.Message == "" {
				t.Errorf("%s: %+v", c.name, f)
			}
			got = append(got, rule)
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestLintPutsErrorsFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	findings := Lint(w.with(map[string][]byte{"notation/README": []byte("x"), "revocations/a.json": []byte("x"), "notation/crl/acme.crl": nil}), LintOptions{Previous: w.files})
	if !slices.IsSortedFunc(findings, func(a, b Finding) int {
		if a.Warning == b.Warning {
			return 0
		} else if b.Warning {
			return -1
		}
		return 1
	}) || len(findings) < 3 {
		t.Errorf("%+v", findings)
	}
	// Times that are not given are not judged.
	old := w.crl(t, notationsign.CRLOptions{Number: 8, ThisUpdate: time.Now().Add(-2 * time.Hour), NextUpdate: time.Now().Add(-time.Hour)})
	if findings := Lint(w.with(map[string][]byte{"notation/crl/acme.crl": old}), LintOptions{}); len(findings) > 0 {
		t.Errorf("%+v", findings)
	}
}

// A list that loses thousands of entries is not thousands of warnings.
func TestLintSumsUp(t *testing.T) {
	t.Parallel()
	many := &Revocations{}
	for n := range 5 * maxLost {
		many.Images = append(many.Images, RevokedImage{Digest: "sha256:" + strings.Repeat("0", 62) + string("0123456789abcdef"[n/16]) + string("0123456789abcdef"[n%16]), Reason: "r", Time: revokedAt})
	}
	data, err := many.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	findings := Lint(nil, LintOptions{Previous: []File{{Name: RevocationsName, Data: data}}})
	if len(findings) != maxLost+1 || !strings.Contains(findings[maxLost].Message, "40 more") {
		t.Errorf("%d findings, the last %+v", len(findings), findings[len(findings)-1])
	}
}
