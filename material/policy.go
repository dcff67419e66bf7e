package material

import "github.com/notaryproject/notation-go/verifier/trustpolicy"

// ParsePolicy reads a Notation trust policy more strictly than Notation does,
// which takes unknown and repeated members: exactly one JSON object, every
// member known and given once (also in another spelling), then Notation's own
// validation. ErrInvalid.
func ParsePolicy(data []byte) (*trustpolicy.Document, error) { panic("not built") }
