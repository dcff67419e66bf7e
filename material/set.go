package material

import (
	"crypto/x509"
	"encoding/json"
	"time"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"
)

// File is the bytes of one target under a reserved name.
type File struct {
	Name   string
	Data   []byte
	Custom json.RawMessage
}

// Set is all of the Notation material of one repository.
type Set struct {
	// Stores by type and name. A store has at least one certificate.
	Stores map[StoreType]map[string][]*x509.Certificate
	// Files are the certificates of Stores by the name of their target.
	Files map[string][]*x509.Certificate
	CRLs  []*CRL
	// Policy is nil if there is none; PolicyData are its bytes.
	Policy     *trustpolicy.Document
	PolicyData []byte
}

// Read makes a Set of the files below notation/ and revocations*; others are
// passed over. It is all or nothing: a file that breaks its rules, a CRL without
// its issuer, an unknown name below notation/x509 or notation/crl is ErrInvalid.
func Read(files []File) (*Set, error) { panic("not built") }

// Finding is what Lint says.
type Finding struct {
	Warning bool   // does not stop a publish
	Rule    string // short name
	Name    string // of the target
	Message string
}

// LintOptions of [Lint].
type LintOptions struct {
	// Previous is what is published now; nil for nothing.
	Previous []File
	// TimestampExpires is the expiry of the timestamp that delivers the files.
	TimestampExpires, Now time.Time // zero: not checked
}

// Lint finds what clients would refuse or what weakens trust, each file for
// itself and then all together: a policy that names a store that no target
// provides; a store that no policy names (warning); a CRL whose issuer neither is
// in a store nor chains to one, whose number goes back, or that ends before the
// timestamp that delivers it (warning); a revoked list that lost entries
// (warning); a revocation list that cannot be read; levels below strict
// (warning).
func Lint(files []File, o LintOptions) []Finding { panic("not built") }
