package material

import "errors"

var (
	// ErrInvalid: a name, a certificate, a CRL, a policy or a list of revocations
	// breaks its rules. The text says which.
	ErrInvalid = errors.New("invalid trust material")
	// ErrIssuer: a CRL was not issued by a certificate of a store, nor by one that
	// chains to one.
	ErrIssuer = errors.New("issuer of the CRL is not trusted")
	// ErrOlder: a CRL has a lower number, or an earlier date, than the one that it
	// would replace.
	ErrOlder = errors.New("CRL is older than the one it replaces")
)
