package trust

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// The rules below follow TUF spec section 4.

func (c *checker) file(role string) *rule {
	signers := map[string]bool{}
	signature := &rule{
		kind: anObject,
		members: map[string]*rule{
			"keyid": {kind: aString, text: func(id string) error {
				if signers[id] {
					return fmt.Errorf("a second signature of key %q", id)
				}
				signers[id] = true
				return nil
			}},
			// Real repositories have empty signatures; they do not count.
			"sig": {kind: aString, text: func(s string) error {
				if _, err := hex.DecodeString(s); err != nil {
					return errors.New("a signature in hex is needed")
				}
				return nil
			}},
		},
		required: []string{"keyid", "sig"},
	}
	return &rule{
		kind:     anObject,
		members:  map[string]*rule{"signed": c.signed(role), "signatures": {kind: anArray, each: signature}},
		required: []string{"signed", "signatures"},
	}
}

func (c *checker) signed(role string) *rule {
	r := &rule{
		kind: anObject,
		members: map[string]*rule{
			"spec_version": {kind: aString, text: specVersion},
			"version":      wholeNumber(1),
			"expires":      {kind: aString, text: expiry},
		},
		required: []string{"_type", "spec_version", "version", "expires"},
	}
	kind := role
	switch role {
	case tuf.ROOT:
		c.root(r)
	case tuf.TIMESTAMP:
		r.members["meta"] = metaFiles("snapshot.json")
		r.required = append(r.required, "meta")
	case tuf.SNAPSHOT:
		r.members["meta"] = metaFiles("targets.json")
		r.required = append(r.required, "meta")
	default:
		kind = tuf.TARGETS
		c.targets(r)
	}
	r.members["_type"] = &rule{kind: aString, text: func(s string) error {
		if s != kind {
			return fmt.Errorf("%q is needed, not %q", kind, s)
		}
		return nil
	}}
	return r
}

func (c *checker) root(r *rule) {
	role := &rule{
		kind:     anObject,
		members:  map[string]*rule{"keyids": keyIDs(), "threshold": wholeNumber(1)},
		required: []string{"keyids", "threshold"},
	}
	r.members["consistent_snapshot"] = &rule{kind: aBool}
	r.members["keys"] = c.keys()
	r.members["roles"] = &rule{
		kind: anObject, each: role,
		required: []string{tuf.ROOT, tuf.TIMESTAMP, tuf.SNAPSHOT, tuf.TARGETS},
	}
	r.required = append(r.required, "keys", "roles")
}

func (c *checker) targets(r *rule) {
	entry := &rule{
		kind: anObject,
		members: map[string]*rule{
			"length": wholeNumber(0),
			"hashes": hashes(),
			"custom": {kind: anObject},
		},
		required: []string{"length", "hashes"},
	}
	r.members["targets"] = &rule{kind: anObject, each: entry}
	r.members["delegations"] = c.delegations()
	r.required = append(r.required, "targets")
}

func (c *checker) delegations() *rule {
	c.names = map[string]bool{}
	role := &rule{
		kind: anObject,
		members: map[string]*rule{
			"name":               {kind: aString, text: c.delegatedName},
			"keyids":             keyIDs(),
			"threshold":          wholeNumber(1),
			"terminating":        {kind: aBool},
			"paths":              {kind: anArray, each: &rule{kind: aString}},
			"path_hash_prefixes": {},
		},
		required: []string{"name", "keyids", "threshold"},
		finish: func(seen map[string]bool) error {
			// Libraries disagree on how these are compared.
			if seen["path_hash_prefixes"] {
				return errors.New("path_hash_prefixes are not supported, only paths and succinct_roles")
			}
			return nil
		},
	}
	bins := &rule{
		kind: anObject,
		members: map[string]*rule{
			"keyids": keyIDs(), "threshold": wholeNumber(1),
			"bit_length": numberUpTo(1, 32), "name_prefix": {kind: aString},
		},
		required: []string{"keyids", "threshold", "bit_length", "name_prefix"},
	}
	return &rule{
		kind: anObject,
		members: map[string]*rule{
			"keys": c.keys(), "roles": {kind: anArray, each: role}, "succinct_roles": bins,
		},
		required: []string{"keys"},
		finish: func(seen map[string]bool) error {
			if seen["roles"] == seen["succinct_roles"] {
				return errors.New(`one of "roles" and "succinct_roles" is needed, not both`)
			}
			return nil
		},
	}
}

// delegatedName refuses delegations to a role with the name of a top-level one:
// its file would stand where that of the top-level role stands.
func (c *checker) delegatedName(name string) error {
	switch name {
	case "":
		return errors.New("a role without a name")
	case tuf.ROOT, tuf.TIMESTAMP, tuf.SNAPSHOT, tuf.TARGETS:
		return fmt.Errorf("a delegated role cannot be called %q", name)
	}
	if c.names[name] {
		return fmt.Errorf("role %q is delegated to twice", name)
	}
	c.names[name] = true
	return nil
}

func (c *checker) keys() *rule {
	keep := func(to *string) func(string) error {
		return func(s string) error { *to = s; return nil }
	}
	value := &rule{
		kind:     anObject,
		members:  map[string]*rule{"public": {kind: aString, text: keep(&c.public)}},
		required: []string{"public"},
	}
	key := &rule{
		kind: anObject,
		members: map[string]*rule{
			"keytype": {kind: aString, text: keep(&c.keyType)}, "scheme": {kind: aString}, "keyval": value,
		},
		required: []string{"keytype", "scheme", "keyval"},
		finish:   func(map[string]bool) error { return publicKey(c.keyType, c.public) },
	}
	return &rule{kind: anObject, each: key}
}

// publicKey checks the encoding of a public key, as far as nothing else does.
// Key types that are not known are left to the verification.
func publicKey(keyType, public string) error {
	switch keyType {
	case tuf.KeyTypeEd25519:
		if raw, err := hex.DecodeString(public); err != nil || len(raw) != 32 {
			return errors.New("an ed25519 key is 32 bytes in hex")
		}
	case tuf.KeyTypeECDSA_SHA2_P256, tuf.KeyTypeECDSA_SHA2_P256_COMPAT, tuf.KeyTypeRSASSA_PSS_SHA256:
		if !strings.Contains(public, "-----BEGIN ") {
			return fmt.Errorf("%s keys are read in PEM only; hex-encoded ones, as in the first roots of Sigstore, are not: pin a later root", keyType)
		}
	}
	if keyType == tuf.KeyTypeRSASSA_PSS_SHA256 {
		return rsaSize(public)
	}
	return nil
}

// maxKeyBits is the size of an RSA key, in bits, as in crypto/tls. Whoever may
// delegate could else name a key with which one signature takes hours to verify, and
// no deadline interrupts that.
const maxKeyBits = 8192

// rsaSize refuses a key that is too large. What is none is left to the verification.
func rsaSize(public string) error {
	block, _ := pem.Decode([]byte(public))
	if block == nil {
		return nil
	}
	var key *rsa.PublicKey
	if parsed, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
		key, _ = parsed.(*rsa.PublicKey)
	} else {
		key, _ = x509.ParsePKCS1PublicKey(block.Bytes)
	}
	if key != nil && key.N.BitLen() > maxKeyBits {
		return fmt.Errorf("a key of %d bits, at most %d are allowed", key.N.BitLen(), maxKeyBits)
	}
	return nil
}

func keyIDs() *rule { return &rule{kind: anArray, each: &rule{kind: aString}} }

func metaFiles(required string) *rule {
	entry := &rule{
		kind: anObject,
		members: map[string]*rule{
			"version": wholeNumber(1), "length": wholeNumber(1), "hashes": hashes(),
		},
		required: []string{"version"},
	}
	return &rule{kind: anObject, each: entry, required: []string{required}}
}

// hashes takes any algorithm; whether it is known shows when it is needed.
func hashes() *rule {
	return &rule{
		kind: anObject,
		each: &rule{kind: aString, text: func(s string) error {
			if raw, err := hex.DecodeString(s); err != nil || len(raw) == 0 {
				return errors.New("a hash in hex is needed")
			}
			return nil
		}},
		finish: func(seen map[string]bool) error {
			if len(seen) == 0 {
				return errors.New("a hash is needed")
			}
			return nil
		},
	}
}

func wholeNumber(least uint64) *rule { return numberUpTo(least, maxNumber) }

func numberUpTo(least, most uint64) *rule {
	return &rule{kind: aNumber, number: func(n json.Number) error {
		// ParseUint takes no sign, fraction or exponent.
		if v, err := strconv.ParseUint(n.String(), 10, 64); err != nil || v < least || v > most {
			return fmt.Errorf("a whole number from %d to %d is needed, not %s", least, most, n)
		}
		return nil
	}}
}

// specVersion refuses other major versions, as TUF spec section 5.3.2 ff. ask of
// clients in the definition of spec_version (section 4.3).
func specVersion(s string) error {
	if s != "1" && !strings.HasPrefix(s, "1.") {
		return fmt.Errorf("version 1 of the specification is needed, not %q", s)
	}
	return nil
}

func expiry(s string) error {
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		return errors.New("a time as in RFC 3339 is needed")
	}
	return nil
}
