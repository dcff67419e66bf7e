package material

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Names of targets.
const (
	// PolicyName is the Notation trust policy.
	PolicyName = "notation/trustpolicy.json"
	// RevocationsName is the list of revocations of the top-level role targets.
	RevocationsName = "revocations.json"
)

const (
	notationTree    = "notation/"
	x509Tree        = "notation/x509/"
	crlTree         = "notation/crl/"
	revocationsTree = "revocations/"
	crlEnd          = ".crl"
	issuerEnd       = ".issuer.pem"
	// maxComponent bounds a name that becomes one of a file or directory, in bytes: with what a store of Notation is called
	// beside it, every file system takes it.
	maxComponent = 128
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

// StoreTypes are all of them.
var StoreTypes = []StoreType{StoreCA, StoreSigningAuthority, StoreTSA}

var (
	fileNameRE = regexp.MustCompile(`^[a-zA-Z0-9_.-]+$`)
	crlNameRE  = regexp.MustCompile(`^[a-zA-Z0-9_-][a-zA-Z0-9_.-]*$`)
)

// IsFileName reports whether Notation takes a name for a store or a file in one:
// [a-zA-Z0-9_.-]+. It takes "." and "..", too.
func IsFileName(name string) bool { return fileNameRE.MatchString(name) }

// CertificateName is the target of a certificate file:
// notation/x509/TYPE/STORE/FILE. ErrInvalid for what Notation could not read
// back from disk: an unknown type, a store or file that is not [a-zA-Z0-9_.-]+
// or is "." or "..", or has more than 128 bytes.
func CertificateName(t StoreType, store, file string) (string, error) {
	if !slices.Contains(StoreTypes, t) {
		return "", fmt.Errorf("%w: trust store type %q; there are %s, %s and %s", ErrInvalid, t, StoreCA, StoreSigningAuthority, StoreTSA)
	}
	for what, name := range map[string]string{"store": store, "file": file} {
		if !IsFileName(name) || name == "." || name == ".." || len(name) > maxComponent {
			return "", fmt.Errorf("%w: %s name %q; want at most %d of a-z, A-Z, 0-9, '_', '.' and '-'", ErrInvalid, what, name, maxComponent)
		}
	}
	return x509Tree + string(t) + "/" + store + "/" + file, nil
}

// ParseCertificateName is the inverse of [CertificateName].
func ParseCertificateName(name string) (t StoreType, store, file string, ok bool) {
	rest, ok := strings.CutPrefix(name, x509Tree)
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 {
		return "", "", "", false
	}
	if again, err := CertificateName(StoreType(parts[0]), parts[1], parts[2]); err != nil || again != name {
		return "", "", "", false
	}
	return StoreType(parts[0]), parts[1], parts[2], true
}

// CRLName is the target of a CRL, IssuerName that of the certificate which
// issued it: notation/crl/NAME.crl and notation/crl/NAME.issuer.pem. ErrInvalid
// unless name is [a-zA-Z0-9_-][a-zA-Z0-9_.-]* and at most 128 bytes.
func CRLName(name string) (string, error) { return crlFile(name, crlEnd) }

// IssuerName is the target of the issuer of a CRL; see [CRLName].
func IssuerName(name string) (string, error) { return crlFile(name, issuerEnd) }

func crlFile(name, end string) (string, error) {
	if !crlNameRE.MatchString(name) || len(name) > maxComponent {
		return "", fmt.Errorf("%w: CRL name %q; want at most %d of a-z, A-Z, 0-9, '_', '.' and '-', the first no dot", ErrInvalid, name, maxComponent)
	}
	return crlTree + name + end, nil
}

// ParseCRLName is the inverse of [CRLName] and, with issuer, of [IssuerName].
func ParseCRLName(target string) (name string, issuer, ok bool) {
	rest, ok := strings.CutPrefix(target, crlTree)
	if !ok {
		return "", false, false
	}
	if name, ok = strings.CutSuffix(rest, crlEnd); !ok {
		name, ok = strings.CutSuffix(rest, issuerEnd)
		issuer = ok
	}
	if _, err := CRLName(name); !ok || err != nil {
		return "", false, false
	}
	return name, issuer, true
}

// IsRevocations reports whether a target is a list of revocations:
// revocations.json, or revocations/NAME.json of the role that can only deny.
func IsRevocations(target string) bool {
	name, below := strings.CutPrefix(target, revocationsTree)
	return target == RevocationsName || below && strings.HasSuffix(name, ".json") && !strings.Contains(name, "/")
}

// Reserved reports whether a target is for [Read] and [Lint] to judge. What is here
// clients read from the role targets alone, see Reserved of package trust.
func Reserved(target string) bool {
	return strings.HasPrefix(target, notationTree) || target == RevocationsName || strings.HasPrefix(target, revocationsTree)
}
