package metadata

import (
	"crypto/aes"
	"crypto/des"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

// What a key file may cost to open. A file states these costs itself, so that a bad one could otherwise take hours or
// all memory.
const (
	maxPBKDF2Rounds = 10_000_000
	maxScryptMemory = 256 << 20 // bytes
	maxScryptPasses = 16
)

// convertAdvice is for keys in forms that are not read.
const convertAdvice = "convert it: openssl pkcs8 -topk8 -in FILE -out FILE.p8"

// Object identifiers of PKCS#5 v2.1 (RFC 8018) and scrypt (RFC 7914).
var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}

	oidHMACWithSHA1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
	oidHMACWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}

	oidAES128CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES192CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}
	oidAES256CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
	oidTripleDES = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}
)

type encryptedKeyInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2Parameters struct {
	Derivation pkix.AlgorithmIdentifier
	Encryption pkix.AlgorithmIdentifier
}

type pbkdf2Parameters struct {
	Salt      []byte
	Rounds    int
	KeyLength int                      `asn1:"optional"`
	PRF       pkix.AlgorithmIdentifier `asn1:"optional"`
}

type scryptParameters struct {
	Salt                []byte
	Cost, Block, Passes int
	KeyLength           int `asn1:"optional"`
}

// checkEncryption holds the frame of an encrypted PKCS#8 key to what can be opened at a bounded cost. After it, what
// fails is the passphrase. ErrKey.
func checkEncryption(der []byte) error {
	var info encryptedKeyInfo
	if rest, err := asn1.Unmarshal(der, &info); err != nil || len(rest) > 0 {
		return fmt.Errorf("%w: not an encrypted PKCS#8 key", ErrKey)
	}
	if !info.Algorithm.Algorithm.Equal(oidPBES2) {
		return fmt.Errorf("%w: encrypted in an old way (%s); %s", ErrKey, info.Algorithm.Algorithm, convertAdvice)
	}
	var params pbes2Parameters
	if _, err := asn1.Unmarshal(info.Algorithm.Parameters.FullBytes, &params); err != nil {
		return fmt.Errorf("%w: damaged parameters of PBES2", ErrKey)
	}
	if err := checkDerivation(params.Derivation); err != nil {
		return err
	}
	return checkCipher(params.Encryption, info.Data)
}

func checkDerivation(a pkix.AlgorithmIdentifier) error {
	switch {
	case a.Algorithm.Equal(oidPBKDF2):
		var p pbkdf2Parameters
		if _, err := asn1.Unmarshal(a.Parameters.FullBytes, &p); err != nil {
			return fmt.Errorf("%w: damaged parameters of PBKDF2", ErrKey)
		}
		if prf := p.PRF.Algorithm; len(prf) > 0 && !prf.Equal(oidHMACWithSHA1) && !prf.Equal(oidHMACWithSHA256) {
			return fmt.Errorf("%w: PBKDF2 with %s; %s", ErrKey, prf, convertAdvice)
		}
		if p.KeyLength != 0 {
			return fmt.Errorf("%w: PBKDF2 with a key length of its own; %s", ErrKey, convertAdvice)
		}
		if p.Rounds < 1 || p.Rounds > maxPBKDF2Rounds {
			return fmt.Errorf("%w: PBKDF2 with %d rounds; at most %d are run", ErrKey, p.Rounds, maxPBKDF2Rounds)
		}
	case a.Algorithm.Equal(oidScrypt):
		var p scryptParameters
		if _, err := asn1.Unmarshal(a.Parameters.FullBytes, &p); err != nil {
			return fmt.Errorf("%w: damaged parameters of scrypt", ErrKey)
		}
		if p.Cost < 2 || p.Block < 1 || p.Passes < 1 || p.Passes > maxScryptPasses || p.Cost > maxScryptMemory/128/p.Block {
			return fmt.Errorf("%w: scrypt with N=%d, r=%d, p=%d; at most %d MiB are used", ErrKey, p.Cost, p.Block, p.Passes, maxScryptMemory>>20)
		}
	default:
		return fmt.Errorf("%w: key derivation %s; %s", ErrKey, a.Algorithm, convertAdvice)
	}
	return nil
}

// checkCipher makes sure that iv and data have the lengths that a block cipher in CBC mode needs.
func checkCipher(a pkix.AlgorithmIdentifier, data []byte) error {
	block := aes.BlockSize
	switch {
	case a.Algorithm.Equal(oidAES128CBC), a.Algorithm.Equal(oidAES192CBC), a.Algorithm.Equal(oidAES256CBC):
	case a.Algorithm.Equal(oidTripleDES):
		block = des.BlockSize
	default:
		return fmt.Errorf("%w: cipher %s; %s", ErrKey, a.Algorithm, convertAdvice)
	}
	var iv []byte
	if _, err := asn1.Unmarshal(a.Parameters.FullBytes, &iv); err != nil || len(iv) != block {
		return fmt.Errorf("%w: damaged parameters of the cipher", ErrKey)
	}
	if len(data) == 0 || len(data)%block != 0 {
		return fmt.Errorf("%w: encrypted data of %d bytes", ErrKey, len(data))
	}
	return nil
}
