package verify

import (
	"context"
	"net/http"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// Trust is a named pin with its client.
type Trust struct {
	trust.Entry
	Client *trust.Client
}

// Options of [New]. Trusts and Open are needed.
type Options struct {
	// Trusts to choose from, by their scopes.
	Trusts []Trust
	// Open opens the place where an image is.
	Open func(ctx context.Context, image ociremote.ImageReference) (ociremote.Repository, error)
	// Require is added to what each trust requires.
	Require []string
	// Offline reads trusts from their state alone. Images then have to be in
	// layouts or archives.
	Offline bool
	// Online asks the network (CRL and OCSP, by HTTP) about certificates that no
	// CRL of the trust covers. What TUF delivers counts all the same. Nil: no
	// network.
	Online *http.Client
	// MaxSignatures is how many signatures of an image are looked at; 0 is 50.
	MaxSignatures int
	// Wait is how long an image that nothing vouches for yet is tried again:
	// replication may bring it before its trust.
	Wait time.Duration
	// Now is the clock; nil: time.Now. Notation itself reads the clock of the
	// machine.
	Now func() time.Time
}

// Verifier verifies images. Each of its trusts is refreshed once, when it is first
// needed, however many images there are. It is safe for concurrent use.
type Verifier struct{}

// New checks the options.
func New(o Options) (*Verifier, error) { panic("not built") }

// Image verifies one image. Of a layout or archive, as says which image it is
// (HOST/REPOSITORY with tag or digest); nil for one in a registry. The result has
// an Err unless the image may run.
//
// Requests are made at the same time where one does not need the other: for a
// digest, or a tag whose signed digest is in the state, the bundle, the image's
// manifest and its referrers; then the signature's manifest; then its envelope.
func (v *Verifier) Image(ctx context.Context, image ociremote.ImageReference, as *ociremote.ImageReference) *Result {
	panic("not built")
}

// Result is the answer for one image, with the evidence.
type Result struct {
	Image ociremote.ImageReference
	// As is what it was verified as; Image itself for a registry.
	As ociremote.ImageReference
	// Digest, MediaType and Size are those that the registry serves.
	Digest    digest.Digest
	MediaType string
	Size      int64
	// Verdicts are those of the trusts that decide, all of which must accept.
	Verdicts []Verdict
	// Level is the weakest policy level that was applied: "strict", "permissive",
	// "audit", "skip"; "" if no signature was required.
	Level string
	// Err is nil if the image may run. See the errors of this package; of several
	// the gravest.
	Err error
}

// Verdict is what one trust says.
type Verdict struct {
	Trust string
	// Canonical is HOST/REPOSITORY as the trust knows it, Scope the one that
	// matched.
	Canonical, Scope string
	// Status is what the trust's metadata rests on.
	Status trust.Status
	// Mappings are the signed entries that name the image, that of the tag first;
	// empty if mapping is not required and there is none.
	Mappings []Mapping
	// Statement of the policy that applied, and its level.
	Statement, Level string
	// Signatures are all that were looked at, in order; the last one is the good
	// one if there is one.
	Signatures []Signature
	// MoreSignatures: there are more than were looked at.
	MoreSignatures bool
	// Warnings that belong to this image alone.
	Warnings []string
	Err      error
}

// Mapping is one signed entry of the image.
type Mapping struct {
	Name        string // images/REPOSITORY:TAG
	Role        string
	RoleVersion int64
	Digest      digest.Digest
	Length      int64
	MediaType   string
	// Index is the index that the image is a platform of, "" for none: its
	// signature is checked.
	Index digest.Digest
}

// Signature is one signature of the image.
type Signature struct {
	// Digest of the manifest that refers to the image.
	Digest    digest.Digest
	MediaType string // of the envelope
	// Subject is what it signs: the image, or the index that it is a platform of.
	Subject digest.Digest
	Scheme  string
	// SigningTime is what the signer claims; Timestamp what a TSA says, zero for
	// none.
	SigningTime, Timestamp, Expiry time.Time
	Chain                          []Certificate
	TimestampChain                 []Certificate
	Checks                         []Check
	Accepted                       bool
	Err                            error
}

// Certificate is one of a chain, the leaf first.
type Certificate struct {
	Subject, Issuer, Serial, SHA256 string
	NotBefore, NotAfter             time.Time
	// Store is the trust store that holds it, "ca:acme"; "" for none.
	Store string
	// CRL that covers it.
	CRL *CRLEvidence
	// Revocation is "ok", "revoked", "unknown" or "not revokable".
	Revocation string
}

// CRLEvidence is the CRL that says whether a certificate is revoked.
type CRLEvidence struct {
	Name                   string
	Number                 string
	ThisUpdate, NextUpdate time.Time
	// Stale: past NextUpdate, and counted as current since the timestamp that
	// delivered it is.
	Stale bool
	Delta bool
}

// Check is one of Notation's validations.
type Check struct {
	Type   string // integrity, authenticity, expiry, authenticTimestamp, revocation
	Action string // enforce, log, skip
	Err    error
}
