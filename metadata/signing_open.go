package metadata

// OpenLate opens a private key that would be opened when it first signs, as those of SigningKeys are, so that a wrong
// passphrase is found now. ErrKeyMissing, ErrPassphrase, ErrKey.
func OpenLate(s Signer) (Signer, error) {
	if late, ok := s.(*lateSigner); ok {
		return late.open()
	}
	return s, nil
}
