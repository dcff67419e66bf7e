package material

// Names of targets.
const (
	// PolicyName is the Notation trust policy.
	PolicyName = "notation/trustpolicy.json"
	// RevocationsName is the list of revocations of the top-level role targets.
	RevocationsName = "revocations.json"
)

// StoreType is a type of Notation trust store (Notary Project trust store and
// trust policy specification, "Trust Store").
type StoreType string

// The store types.
const (
	StoreCA               StoreType = "ca"
	StoreSigningAuthority StoreType = "signingAuthority"
	StoreTSA              StoreType = "tsa"
)

// CertificateName is the target of a certificate file:
// notation/x509/TYPE/STORE/FILE. ErrInvalid for what Notation could not read
// back from disk: an unknown type, a store or file that is not [a-zA-Z0-9_.-]+
// or is "." or "..".
func CertificateName(t StoreType, store, file string) (string, error) { panic("not built") }

// ParseCertificateName is the inverse of [CertificateName].
func ParseCertificateName(name string) (t StoreType, store, file string, ok bool) { panic("not built") }

// CRLName is the target of a CRL, IssuerName that of the certificate which
// issued it: notation/crl/NAME.crl and notation/crl/NAME.issuer.pem. ErrInvalid
// unless name is [a-zA-Z0-9_-][a-zA-Z0-9_.-]*.
func CRLName(name string) (string, error) { panic("not built") }

// IssuerName: see [CRLName].
func IssuerName(name string) (string, error) { panic("not built") }
