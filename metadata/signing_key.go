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
	Opener     KeyOpener                                 // for keys that are neither in files nor in variables; nil: there are none
}

// OpenKeys opens private keys by URI, without a workspace. Each is named after its file or variable: file:online.pem is
// online, env:ONLINE_KEY is online_key; a key in a token, after its object. ErrInvalid for two whose passphrases could not
// be told apart, ErrKeyMissing, ErrPassphrase, ErrKey.
func OpenKeys(uris []string, o OpenKeysOptions) ([]SigningKey, error) {
	source := keySource{o.Dir, o.Env, o.Passphrase, o.Opener}
	named := map[string]string{}
	var keys []SigningKey
	for _, uri := range uris {
		name, err := freshName(uri, named)
		if err != nil {
			return nil, err
		}
		named[passphraseVariable(name)] = name
		signer, err := source.read(name, uri, nil)
		if err != nil {
			return nil, err
		}
		keys = append(keys, SigningKey{name, signer})
	}
	return keys, nil
}

// freshName names a key after its URI, apart from those that are named already by variable. A key without a passphrase
// gets a number where its name is taken.
func freshName(uri string, named map[string]string) (string, error) {
	name := nameOfURI(uri)
	other, taken := named[passphraseVariable(name)]
	if !taken {
		return name, nil
	}
	if u, err := parseKeyURI(uri); err != nil || u.foreign == "" {
		return "", sharedVariable(other, name)
	}
	for n := 2; ; n++ {
		numbered := fmt.Sprintf("%s-%d", name, n)
		if _, taken := named[passphraseVariable(numbered)]; !taken {
			return numbered, nil
		}
	}
}

// SigningKeys are the keys of tufoci.yaml that are at hand, or those named, each a name of tufoci.yaml or a key URI. Those
// of tufoci.yaml are opened when they first sign. ErrKeyMissing.
func (w *Workspace) SigningKeys(names ...string) ([]SigningKey, error) {
	open := w.newSigners()
	if len(names) == 0 {
		for _, name := range slices.Sorted(maps.Keys(w.cfg.Keys)) {
			if w.hasKey(name) {
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
