package metadata

import (
	"context"
	"fmt"
	"maps"
	"slices"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// SigningKey is a private key, under a name for messages and passphrases.
type SigningKey struct {
	Name string
	Signer
}

// OpenKeysOptions are the surroundings of OpenKeys.
type OpenKeysOptions struct {
	Dir        string                                    // relative paths are relative to it; "" is the working directory
	Env        func(name string) (value string, ok bool) // for env: keys
	Passphrase func(keyName string) ([]byte, error)      // asked when a private key is encrypted
}

// OpenKeys opens private keys by URI, without a workspace. Each is named after its file or variable: file:online.pem is
// online, env:ONLINE_KEY is online_key. ErrInvalid for two whose passphrases could not be told apart, ErrKeyMissing,
// ErrPassphrase, ErrKey.
func OpenKeys(uris []string, o OpenKeysOptions) ([]SigningKey, error) {
	source := keySource{o.Dir, o.Env, o.Passphrase}
	named := map[string]string{}
	var keys []SigningKey
	for _, uri := range uris {
		name := keyNameOf(uri)
		variable := passphraseVariable(name)
		if other, taken := named[variable]; taken {
			return nil, sharedVariable(other, name)
		}
		named[variable] = name
		signer, err := source.read(name, uri)
		if err != nil {
			return nil, err
		}
		keys = append(keys, SigningKey{name, signer})
	}
	return keys, nil
}

// SigningKeys are the keys of tufoci.yaml that are at hand, or those named, each a name of tufoci.yaml or a key URI. Those
// of tufoci.yaml are opened when they first sign. ErrKeyMissing.
func (w *Workspace) SigningKeys(names ...string) ([]SigningKey, error) {
	open := w.newSigners()
	if len(names) == 0 {
		for _, name := range slices.Sorted(maps.Keys(w.cfg.Keys)) {
			if w.keySource().has(w.cfg.Keys[name].URI) {
				names = append(names, name)
			}
		}
	}
	var keys []SigningKey
	for _, name := range names {
		pub, _, err := w.publicKey(name)
		if err == nil {
			keys = append(keys, SigningKey{name, &lateSigner{pub, func() (Signer, error) { return open.named(name) }}})
			continue
		}
		signer, err := open.named(name)
		if err != nil {
			return nil, err
		}
		keys = append(keys, SigningKey{name, signer})
	}
	for i, k := range keys {
		if slices.ContainsFunc(keys[:i], func(other SigningKey) bool { return other.Name == k.Name }) {
			return nil, fmt.Errorf("%w: key %q is named twice", ErrInvalid, k.Name)
		}
	}
	return keys, nil
}

// lateSigner opens its private key when it first signs: nobody is asked for the passphrase of a key that has nothing to
// sign.
type lateSigner struct {
	pub  *tuf.Key
	open func() (Signer, error)
}

func (s *lateSigner) Key() *tuf.Key { return s.pub }

func (s *lateSigner) Sign(ctx context.Context, payload []byte) ([]byte, error) {
	signer, err := s.open()
	if err != nil {
		return nil, err
	}
	return signer.Sign(ctx, payload)
}
