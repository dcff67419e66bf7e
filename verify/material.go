package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/revocation/crl"
	"github.com/notaryproject/notation-core-go/revocation/purpose"
	"github.com/notaryproject/notation-go/verifier/truststore"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/trust"
)

const (
	// maxMaterial is the size of all Notation files of a trust together, in bytes:
	// CRLs are the large ones, of a few MiB at most.
	maxMaterial = 64 << 20
	// materialReads is how many files that are not in the inline layer are read at
	// the same time.
	materialReads = 8
	// materialPrefix is before the names of all files that are read.
	materialPrefix = "notation/"
)

// Material is what Notation needs, as one verified view of a trust repository
// delivers it. It never changes and is safe for concurrent use.
type Material struct {
	set    *material.Set    // with the revocations of the view
	now    func() time.Time // for the age of CRLs
	scopes []trust.Scope
	view   *trust.View
	// repositories are those that image targets name, without their hosts.
	repositories *memo[map[string]bool]
}

// Load reads the material of a view. Scopes are those of the trust: a policy
// statement with a scope outside them is ErrPolicyScope. Errors: ErrMaterial,
// trust.ErrRevocations, and those of reading targets.
func Load(ctx context.Context, view *trust.View, scopes []trust.Scope) (*Material, error) {
	revocations, err := view.Revocations(ctx)
	if err != nil {
		return nil, err
	}
	return load(ctx, view, scopes, revocations, time.Now)
}

// ReadSet reads the certificates, CRLs and policy of a view, without its revocations,
// and without asking for which images they speak. Errors as [Load].
func ReadSet(ctx context.Context, view *trust.View) (*material.Set, error) {
	files, err := readFiles(ctx, view)
	if err != nil {
		return nil, err
	}
	set, err := material.Read(files)
	if err != nil {
		return nil, &Refusal{Kind: ErrMaterial, Err: err}
	}
	return set, nil
}

// load reads what is not known yet. The age of CRLs is by now.
func load(ctx context.Context, view *trust.View, scopes []trust.Scope, revocations *material.Revocations, now func() time.Time) (*Material, error) {
	set, err := ReadSet(ctx, view)
	if err != nil {
		return nil, err
	}
	set.Revocations = revocations
	m := &Material{set: set, now: now, scopes: scopes, view: view, repositories: newMemo[map[string]bool]()}
	return m, m.checkScopes()
}

// readFiles reads all targets below notation/, several at a time.
func readFiles(ctx context.Context, view *trust.View) ([]material.File, error) {
	targets, err := view.Reserved(ctx)
	if err != nil {
		return nil, err
	}
	var files []material.File
	var total int64
	for _, t := range targets {
		if !strings.HasPrefix(t.Path, materialPrefix) {
			continue
		}
		if total += t.Length; total > maxMaterial {
			return nil, &Refusal{Kind: ErrMaterial, Detail: fmt.Sprintf("files of Notation are larger than %d bytes together", maxMaterial)}
		}
		files = append(files, material.File{Name: t.Path, Custom: t.Custom})
	}
	errs := make([]error, len(files))
	free := make(chan struct{}, materialReads)
	var all sync.WaitGroup
	for i := range files {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			files[i].Data, _, errs[i] = view.Get(ctx, files[i].Name)
		})
	}
	all.Wait()
	return files, errors.Join(errs...)
}

// checkScopes refuses a policy that speaks for repositories which the trust may not
// speak for. "*" is judged when it is used.
func (m *Material) checkScopes() error {
	if m.set.Policy == nil {
		return nil
	}
	for _, statement := range m.set.Policy.TrustPolicies {
		for _, scope := range statement.RegistryScopes {
			if scope != anyRepository && !within(scope, m.scopes) {
				return &Refusal{
					Kind: ErrPolicyScope, Name: material.PolicyName,
					Detail: fmt.Sprintf("statement %q has the scope %q", statement.Name, scope),
				}
			}
		}
	}
	return nil
}

func within(repository string, scopes []trust.Scope) bool {
	for _, s := range scopes {
		if s.Match(repository) {
			return true
		}
	}
	return false
}

// Set is all of it, parsed. It is not to be changed. Its policy is as published: "*"
// in it means the repositories of the trust, where notation-go takes it for every
// one; see PolicyFor.
func (m *Material) Set() *material.Set { return m.set }

// Revocations of images and certificates.
func (m *Material) Revocations() *material.Revocations { return m.set.Revocations }

// TrustStore holds the certificates by type and store, for notation-go. It has the
// rules of its disk store. Revoked certificates are no anchors.
func (m *Material) TrustStore() truststore.X509TrustStore { return trustStore{m} }

// CRLFetcher gives the CRLs by the URLs of their distribution points, for
// notation-core-go, and never uses the network. What it does not have is
// crl.ErrCacheMiss.
func (m *Material) CRLFetcher() crl.Fetcher { return crlFetcher{m} }

// Validator says which certificates are revoked, by the revocations and CRLs of
// the material, for notation-go. It uses no network: a certificate that names a
// distribution point or OCSP server and that no CRL covers is "unknown".
func (m *Material) Validator(p purpose.Purpose) revocation.Validator {
	return validator{m, p}
}
