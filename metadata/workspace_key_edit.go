package metadata

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

var (
	// ErrKeyExists: tufoci.yaml has a key of that name, or the file for it exists.
	ErrKeyExists = errors.New("key exists already")
	// ErrKeyInUse: a role still names the key.
	ErrKeyInUse = errors.New("key is in use")
)

// Key is a key of tufoci.yaml.
type Key struct {
	Name   string
	URI    string // "" when the private key is held elsewhere
	Owner  string
	ID     string // TUF key id, 64 hex characters
	Type   string // ed25519, ecdsa, rsa
	Scheme string
	Public string   // PEM
	Roles  []string // that the newest metadata lets it sign; "bins" for all hash bins
	Seen   KeySeen  // when it was last at work here
}

// KeyOptions describe a key that comes into tufoci.yaml.
type KeyOptions struct {
	Type  KeyType // GenerateKey only; default ed25519
	URI   string  // GenerateKey only: where a KeyOpener makes the key, instead of in a file
	File  string  // of the private key; default .tufoci/keys/NAME.pem. Relative paths are relative to the workspace
	Owner string  // who holds it, for people
}

// GenerateKey makes a private key, writes it encrypted with its passphrase to a file that must not exist yet, and adds it
// to tufoci.yaml. With a URI it is made there, in a token or a service, and never leaves it.
// ErrKeyExists, ErrPassphrase, ErrInvalid, ErrKey, ErrKeyMissing.
func (w *Workspace) GenerateKey(name string, o KeyOptions) (*Key, error) {
	if err := w.newKeyName(name); err != nil {
		return nil, err
	}
	if o.URI != "" {
		return w.createKey(name, o)
	}
	private, err := GenerateKey(o.Type)
	if err != nil {
		return nil, err
	}
	return w.keepKey(name, private, o)
}

// createKey has a KeyOpener make the key.
func (w *Workspace) createKey(name string, o KeyOptions) (*Key, error) {
	u, err := parseKeyURI(o.URI)
	switch {
	case err != nil:
		return nil, err
	case u.foreign == "":
		return nil, fmt.Errorf("%w: %s: a key is made in a file, or at pkcs11:ATTRIBUTES or NAME://RESOURCE", ErrInvalid, o.URI)
	case o.File != "":
		return nil, fmt.Errorf("%w: a key is made in a file or at a URI, not at both", ErrInvalid)
	case w.opener == nil:
		return nil, fmt.Errorf("%w: key %q: nothing here opens %s", ErrKeyMissing, name, o.URI)
	}
	public, err := w.opener.CreateKey(name, o.URI, o.Type)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	return w.recordKey(name, o.URI, public, o.Owner)
}

// ImportKey takes a private key and keeps it as GenerateKey does. ErrKeyExists, ErrPassphrase, ErrInvalid, ErrKey.
func (w *Workspace) ImportKey(name string, private crypto.Signer, o KeyOptions) (*Key, error) {
	if err := w.newKeyName(name); err != nil {
		return nil, err
	}
	return w.keepKey(name, private, o)
}

// AddKey adds a public key whose private half is held elsewhere. ErrKeyExists, ErrInvalid, ErrKey.
func (w *Workspace) AddKey(name string, public []byte, owner string) (*Key, error) {
	if err := w.newKeyName(name); err != nil {
		return nil, err
	}
	key, err := ParsePublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	return w.recordKey(name, "", key, owner)
}

// AddKeyURI adds a key whose private half is at a URI, which is opened to learn the public one. ErrKeyExists, ErrInvalid,
// ErrKeyMissing, ErrPassphrase, ErrKey.
func (w *Workspace) AddKeyURI(name, uri, owner string) (*Key, error) {
	if err := w.newKeyName(name); err != nil {
		return nil, err
	}
	signer, err := w.newSigners().open(name, uri, nil)
	if err != nil {
		return nil, err
	}
	return w.recordKey(name, uri, signer.Key(), owner)
}

// RemoveKey takes a key out of tufoci.yaml. Its file stays: deleting the only copy of a key is for its owner to do.
// ErrKeyMissing, ErrKeyInUse with the roles.
func (w *Workspace) RemoveKey(name string) (*Key, error) {
	key, err := w.Key(name)
	if err != nil {
		return nil, err
	}
	if len(key.Roles) > 0 {
		return nil, fmt.Errorf("%w: %q may sign %s", ErrKeyInUse, name, strings.Join(key.Roles, ", "))
	}
	return key, w.UpdateConfig(func(c *Config) error {
		delete(c.Keys, name)
		return nil
	})
}

// Keys lists the keys of tufoci.yaml by name.
func (w *Workspace) Keys() ([]Key, error) {
	roles, err := w.keyRoles()
	if err != nil {
		return nil, err
	}
	var out []Key
	for _, name := range slices.Sorted(maps.Keys(w.cfg.Keys)) {
		pub, id, err := w.publicKey(name)
		if err != nil {
			return nil, err
		}
		k := w.cfg.Keys[name]
		out = append(out, Key{
			Name: name, URI: k.URI, Owner: k.Owner, ID: id, Type: pub.Type, Scheme: pub.Scheme, Public: k.Public, Roles: roles[name],
			Seen: w.lastSeen()[id],
		})
	}
	return out, nil
}

// Key describes one key of tufoci.yaml. ErrKeyMissing.
func (w *Workspace) Key(name string) (*Key, error) {
	keys, err := w.Keys()
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if k.Name == name {
			return &k, nil
		}
	}
	return nil, fmt.Errorf("%w: tufoci.yaml has no key %q", ErrKeyMissing, name)
}

// keyRoles lists the roles of every named key.
func (w *Workspace) keyRoles() (map[string][]string, error) {
	infos, err := w.Roles()
	if err != nil {
		return nil, err
	}
	roles := map[string][]string{}
	for _, r := range infos {
		for _, k := range r.Keys {
			if k.Name != "" {
				roles[k.Name] = append(roles[k.Name], r.Name)
			}
		}
	}
	return roles, nil
}

func (w *Workspace) newKeyName(name string) error {
	if err := checkKeyName(name); err != nil {
		return err
	}
	if _, exists := w.cfg.Keys[name]; exists {
		return fmt.Errorf("%w: %q", ErrKeyExists, name)
	}
	for other := range w.cfg.Keys { // before a file is written for the key
		if passphraseVariable(other) == passphraseVariable(name) {
			return sharedVariable(other, name)
		}
	}
	return w.writable()
}

// keepKey writes the private key first: a key that tufoci.yaml names is there.
func (w *Workspace) keepKey(name string, private crypto.Signer, o KeyOptions) (*Key, error) {
	pub, err := PublicKey(private.Public())
	if err != nil {
		return nil, err
	}
	if err := w.freshKey(name, pub); err != nil {
		return nil, err
	}
	passphrase, err := w.keySource().askPassphrase(name)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	data, err := EncodePrivateKey(private, passphrase)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	uri, err := w.writeKey(name, o.File, data)
	if err != nil {
		return nil, err
	}
	return w.recordKey(name, uri, pub, o.Owner)
}

// writeKey writes a new private key file and returns its URI.
func (w *Workspace) writeKey(name, file string, data []byte) (uri string, err error) {
	if file == "" {
		file = filepath.Join(stateDir, keysDir, name+".pem")
		if _, err := w.disk.Mkdir(w.path(keysDir), 0o700); err != nil {
			return "", err
		}
	}
	path := file
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.dir, file)
	}
	switch _, err := os.Lstat(path); {
	case err == nil:
		return "", fmt.Errorf("%w: file %s", ErrKeyExists, path)
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if err := w.disk.Write(path, data, 0o600); err != nil {
		return "", err
	}
	return "file:" + filepath.ToSlash(file), nil
}

// recordKey adds the key to tufoci.yaml.
func (w *Workspace) recordKey(name, uri string, pub *tuf.Key, owner string) (*Key, error) {
	if err := w.freshKey(name, pub); err != nil {
		return nil, err
	}
	public, err := MarshalPublicKey(pub)
	if err != nil {
		return nil, err
	}
	err = w.UpdateConfig(func(c *Config) error {
		if c.Keys == nil {
			c.Keys = map[string]KeyConfig{}
		}
		c.Keys[name] = KeyConfig{URI: uri, Public: string(public), Owner: owner}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return w.Key(name)
}

// freshKey refuses a second name for one key: it could be counted twice by people.
func (w *Workspace) freshKey(name string, pub *tuf.Key) error {
	if other := w.keyName(pub); other != "" {
		return fmt.Errorf("%w: %q and %q would be one key", ErrKeyExists, other, name)
	}
	return nil
}
