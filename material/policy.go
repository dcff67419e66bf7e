package material

import (
	"fmt"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"
)

// MaxPolicySize bounds a trust policy, in bytes.
const MaxPolicySize = 1 << 20

// policyMembers are the names of all members of a trust policy (Notary Project
// trust store and trust policy specification, version 1.0).
var policyMembers = []string{
	"version", "trustPolicies", "name", "registryScopes", "signatureVerification", "trustStores", "trustedIdentities",
	"level", "verifyTimestamp", "override", "integrity", "authenticity", "authenticTimestamp", "expiry", "revocation",
}

// ParsePolicy reads a Notation trust policy more strictly than Notation does,
// which takes unknown and repeated members: exactly one JSON object, every
// member known and given once (also in another spelling), then Notation's own
// validation. ErrInvalid.
func ParsePolicy(data []byte) (*trustpolicy.Document, error) {
	if len(data) > MaxPolicySize {
		return nil, fmt.Errorf("%w: trust policy of %d bytes, at most %d are allowed", ErrInvalid, len(data), MaxPolicySize)
	}
	var doc trustpolicy.Document
	if err := decodeStrict(data, policyMembers, &doc); err != nil {
		return nil, fmt.Errorf("%w: trust policy: %v", ErrInvalid, err)
	}
	if err := doc.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	return &doc, nil
}
