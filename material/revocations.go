package material

import "time"

// Revocations is the content of revocations.json, and of the files below
// revocations/, layout v1: what must not run or be believed, whatever else is
// signed.
type Revocations struct {
	Images       []RevokedImage
	Certificates []RevokedCertificate
}

// RevokedImage is one revoked manifest or index.
type RevokedImage struct {
	Digest string `json:"digest"` // "sha256:" and hex
	// Repository limits it to one repository, without a host; "": everywhere.
	Repository string    `json:"repository,omitempty"`
	Reason     string    `json:"reason"`
	Time       time.Time `json:"time"`
}

// RevokedCertificate is one revoked certificate of any place in a chain.
type RevokedCertificate struct {
	SHA256 string    `json:"sha256"` // hex of the DER
	Reason string    `json:"reason"`
	Time   time.Time `json:"time"`
}

// ParseRevocations reads a list strictly: version 1, no unknown or repeated
// member, digests and times in their form. ErrInvalid.
func ParseRevocations(data []byte) (*Revocations, error) { panic("not built") }

// Marshal writes a list in a fixed order: sorted, entries once.
func (r *Revocations) Marshal() ([]byte, error) { panic("not built") }

// Add takes in the entries of o; of an entry that both have, that of r stays.
func (r *Revocations) Add(o *Revocations) { panic("not built") }

// Missing returns the entries of r that o does not have.
func (r *Revocations) Missing(o *Revocations) *Revocations { panic("not built") }

// Image returns the entry that revokes a manifest in a repository (its path
// without host), or nil.
func (r *Revocations) Image(digest, repository string) *RevokedImage { panic("not built") }

// Certificate returns the entry that revokes the certificate with this hex
// sha256, or nil.
func (r *Revocations) Certificate(sha256 string) *RevokedCertificate { panic("not built") }
