package notationdir

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/notaryproject/notation-go/dir"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/trust"
)

// must is for what cannot fail in a test.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// authorities are made once: keys take time.
var authorities = func() (all []*notationsign.Authority) {
	for i := range 6 {
		all = append(all, must(notationsign.NewRoot(notationsign.CertificateOptions{Name: fmt.Sprintf("ca %d", i)})))
	}
	return all
}()

// world is a directory of notation and a clock.
type world struct {
	t     *testing.T
	o     Options
	clock *time.Time
}

func newWorld(t *testing.T) *world {
	now := time.Now().UTC().Truncate(time.Second)
	w := &world{t: t, clock: &now}
	root := t.TempDir()
	w.o = Options{Config: filepath.Join(root, "config"), Cache: filepath.Join(root, "cache"), Now: w.now}
	return w
}

func (w *world) now() time.Time { return *w.clock }

func (w *world) pass(d time.Duration) { *w.clock = w.clock.Add(d) }

// policy is a policy of statements NAME=STORES=SCOPES, lists separated by spaces.
func policy(statements ...string) []byte {
	doc := trustpolicy.Document{Version: "1.0"}
	for _, s := range statements {
		part := strings.Split(s, "=")
		doc.TrustPolicies = append(doc.TrustPolicies, trustpolicy.TrustPolicy{
			Name: part[0], TrustStores: strings.Fields(part[1]), RegistryScopes: strings.Fields(part[2]),
			TrustedIdentities: []string{"*"}, SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: "strict"},
		})
	}
	return must(json.Marshal(doc))
}

// input is a trust with the CAs of these numbers in its store "ca", and a policy for
// all of its repositories.
func input(name string, version int64, cas ...int) Input {
	files := []material.File{{Name: material.PolicyName, Data: policy("all=ca:ca=*")}}
	for _, ca := range cas {
		files = append(files, certificate("ca/ca", ca))
	}
	return inputOf(name, version, files...)
}

func certificate(store string, ca int) material.File {
	return material.File{Name: fmt.Sprintf("notation/x509/%s/%d.pem", store, ca), Data: authorities[ca].PEM()}
}

func inputOf(name string, version int64, files ...material.File) Input {
	host := name + ".example"
	role := trust.RoleStatus{Version: version, Expires: time.Now().UTC().Truncate(time.Second).Add(24 * time.Hour), SHA256: strings.Repeat("0", 64)}
	return Input{
		Trust:        name,
		Scopes:       []trust.Scope{must(trust.ParseScope(host + "/**"))},
		Status:       trust.Status{Root: role, Timestamp: role, Snapshot: role, Targets: role, RootSHA256: strings.Repeat("1", 64)},
		Set:          must(material.Read(files)),
		Repositories: []string{host + "/shop/api"},
	}
}

// revocationList is the file of a CRL and of its issuer.
func revocationList(name string, ca int, o notationsign.CRLOptions, urls ...string) []material.File {
	custom := must(json.Marshal(map[string]any{"tufoci": map[string]any{"urls": urls}}))
	return []material.File{
		{Name: "notation/crl/" + name + ".crl", Data: must(authorities[ca].CRL(o)), Custom: custom},
		{Name: "notation/crl/" + name + ".issuer.pem", Data: authorities[ca].PEM()},
	}
}

func (w *world) sync(in Input) *Report {
	w.t.Helper()
	r, err := Sync(w.t.Context(), in, w.o)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// with is the world with other options.
func (w *world) with(mode PolicyMode) *world {
	c := *w
	c.o.Policy = mode
	return &c
}

// tree is every file and directory below both directories, with content, mode and
// time of the last change.
func (w *world) tree() map[string]string {
	w.t.Helper()
	tree := map[string]string{}
	for _, root := range []string{w.o.Config, w.o.Cache} {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info := must(e.Info())
			tree[path] = fmt.Sprint(info.Mode(), info.ModTime())
			if info.Mode().IsRegular() {
				tree[path] += string(must(os.ReadFile(path)))
			}
			return nil
		})
		if err != nil && !os.IsNotExist(err) {
			w.t.Fatal(err)
		}
	}
	return tree
}

func (w *world) same(what string, before map[string]string) {
	w.t.Helper()
	after := w.tree()
	for path := range after {
		if before[path] != after[path] {
			w.t.Errorf("%s: %s changed", what, path)
		}
	}
	for path := range before {
		if after[path] == "" {
			w.t.Errorf("%s: %s is gone", what, path)
		}
	}
}

func (w *world) write(file, content string) {
	w.t.Helper()
	file = filepath.Join(w.o.Config, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// document is the policy that notation reads: version 1 by one name, version 2 by
// the other first.
func readDocument(config string, version int) (*trustpolicy.Document, error) {
	name := filepath.Join(config, policyFile)
	if version == 2 {
		if _, err := os.Stat(filepath.Join(config, policyFileOCI)); err == nil {
			name = filepath.Join(config, policyFileOCI)
		}
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var doc trustpolicy.Document
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&doc); err != nil {
		return nil, err
	}
	return &doc, doc.Validate()
}

// readAnchors is what notation trusts for an image: the certificates of all stores
// of its statement.
func readAnchors(ctx context.Context, config string, version int, repository string) ([]*x509.Certificate, error) {
	doc, err := readDocument(config, version)
	if err != nil {
		return nil, err
	}
	st, err := doc.GetApplicableTrustPolicy(repository + "@sha256:" + strings.Repeat("a", 64))
	if err != nil {
		return nil, err
	}
	disk := truststore.NewX509TrustStore(dir.NewSysFS(config))
	var certs []*x509.Certificate
	for _, s := range st.TrustStores {
		kind, name, _ := strings.Cut(s, ":")
		found, err := disk.GetCertificates(ctx, truststore.Type(kind), name)
		if err != nil {
			return nil, err
		}
		certs = append(certs, found...)
	}
	return certs, nil
}

// trusts returns the numbers of the CAs that notation trusts for an image, as both
// versions read it.
func (w *world) trusts(repository string) ([]int, error) {
	var both [2][]int
	for i := range both {
		certs, err := readAnchors(w.t.Context(), w.o.Config, i+1, repository)
		if err != nil {
			return nil, err
		}
		both[i] = numbers(certs)
	}
	if !slices.Equal(both[0], both[1]) {
		return nil, fmt.Errorf("notation 1 trusts %v, notation 2 %v", both[0], both[1])
	}
	return both[0], nil
}

// numbers are those of the CAs that are trusted, sorted.
func numbers(certs []*x509.Certificate) (out []int) {
	for _, c := range certs {
		out = append(out, slices.IndexFunc(authorities, func(a *notationsign.Authority) bool { return a.Certificate.Equal(c) }))
	}
	slices.Sort(out)
	return out
}

// expect checks what notation trusts; no CAs: it refuses.
func (w *world) expect(repository string, cas ...int) {
	w.t.Helper()
	got, err := w.trusts(repository)
	if len(cas) == 0 && err == nil || len(cas) > 0 && (err != nil || !slices.Equal(got, cas)) {
		w.t.Errorf("notation trusts %v for %s, want %v: %v", got, repository, cas, err)
	}
}

// stores are the names of the stores on disk.
func (w *world) stores() []string {
	names, err := filepath.Glob(filepath.Join(w.o.Config, "truststore", "x509", "*", "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	for i, name := range names {
		names[i] = filepath.Base(name)
	}
	return names
}
