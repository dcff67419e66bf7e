package verify

import (
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

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
