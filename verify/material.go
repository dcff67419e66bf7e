package verify

import (
	"context"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/revocation/crl"
	"github.com/notaryproject/notation-core-go/revocation/purpose"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/trust"
)

// Material is what Notation needs, as one verified view of a trust repository
// delivers it. It never changes and is safe for concurrent use.
type Material struct{}

// Load reads the material of a view. Scopes are those of the trust: a policy
// statement with a scope outside them is ErrPolicyScope. Errors: ErrMaterial,
// trust.ErrRevocations, and those of reading targets.
func Load(ctx context.Context, view *trust.View, scopes []trust.Scope) (*Material, error) {
	panic("not built")
}

// Set is all of it, parsed.
func (m *Material) Set() *material.Set { panic("not built") }

// Revocations of images and certificates.
func (m *Material) Revocations() *material.Revocations { panic("not built") }

// Policy is the trust policy; nil if there is none. It is not to be changed.
func (m *Material) Policy() *trustpolicy.Document { panic("not built") }

// TrustStore holds the certificates by type and store, for notation-go. It has the
// rules of its disk store. Revoked certificates are no anchors.
func (m *Material) TrustStore() truststore.X509TrustStore { panic("not built") }

// CRLFetcher gives the CRLs by the URLs of their distribution points, for
// notation-core-go, and never uses the network.
func (m *Material) CRLFetcher() crl.Fetcher { panic("not built") }

// Validator says which certificates are revoked, by the revocations and CRLs of
// the material, for notation-go. It uses no network: a certificate that names a
// distribution point or OCSP server and that no CRL covers is "unknown".
func (m *Material) Validator(p purpose.Purpose) revocation.Validator { panic("not built") }
