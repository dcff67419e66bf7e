package ceremony

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tufoci/tufoci/metadata"
)

// Sign signs each role with those of the keys that may sign it, and returns the signature file to send back. The
// ceremony itself has the signatures too. metadata.ErrKeyMissing for a key that may sign none of the roles.
func (c *Ceremony) Sign(ctx context.Context, keys ...metadata.SigningKey) ([]byte, error) {
	made, err := c.Changeset.Sign(ctx, keys...)
	if err != nil {
		return nil, err
	}
	return encode(signatureFile{signatureFormat, formatVersion, c.TxID, made})
}

// Add adds what somebody sent back: a signature file, a copy of the ceremony with signatures, a metadata.DetachedSignature
// in JSON; or with the name or id of a key a signature as any tool writes it. It returns the roles that it is over. What is
// there already is no error, and nothing is lost. ErrOther, ErrNeedsKey, metadata.ErrSignature.
func (c *Ceremony) Add(data []byte, key string) (roles []string, err error) {
	switch name, _ := formatOf(data); {
	case key != "":
		return c.AddFile(key, data)
	case name == fileFormat:
		other, err := Parse(data)
		if err != nil {
			return nil, err
		}
		if err := c.same(other.TxID); err != nil {
			return nil, err
		}
		return c.Merge(other.Changeset)
	case name == signatureFormat:
		var f signatureFile
		if err := decode(data, maxSignatureFile, signatureFormat, &f); err != nil {
			return nil, err
		}
		if err := c.same(f.TxID); err != nil {
			return nil, err
		}
		if len(f.Signatures) == 0 {
			return nil, fmt.Errorf("%w: it holds none", metadata.ErrSignature)
		}
		return c.Changeset.Add(f.Signatures...)
	case bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")):
		s, err := metadata.ParseDetachedSignature(data)
		if err != nil {
			return nil, err
		}
		return c.Changeset.Add(*s)
	}
	return nil, ErrNeedsKey
}

// maxSignatureFile bounds a signature file, in bytes: there are few roles that people sign together.
const maxSignatureFile = 1 << 20

// same refuses what is of another ceremony.
func (c *Ceremony) same(txid string) error {
	if txid != c.TxID {
		return fmt.Errorf("%w: it is for txid %s, this one is %s", ErrOther, txid, c.TxID)
	}
	return nil
}
