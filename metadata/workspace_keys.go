package metadata

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// publicKey finds a key and its TUF key id by its name in tufoci.yaml. ErrKeyMissing.
func (w *Workspace) publicKey(name string) (*tuf.Key, string, error) {
	k, ok := w.cfg.Keys[name]
	if !ok {
		return nil, "", fmt.Errorf("%w: tufoci.yaml has no key %q", ErrKeyMissing, name)
	}
	key, err := ParsePublicKey([]byte(k.Public))
	if err != nil {
		return nil, "", fmt.Errorf("key %q: %w", name, err)
	}
	id, err := key.ID()
	return key, id, err
}

// keyName finds the name in tufoci.yaml of a key in metadata; "" if it has none.
func (w *Workspace) keyName(key *tuf.Key) string {
	for _, name := range slices.Sorted(maps.Keys(w.cfg.Keys)) {
		if k, _, err := w.publicKey(name); err == nil && sameKey(k, key) {
			return name
		}
	}
	return ""
}

// keyInfos describes the keys of rules, and which of them have signed the newest file of the role. With role "" there is
// no such file.
func (w *Workspace) keyInfos(role string, rules ...rule) ([]KeyInfo, error) {
	signed := map[string]bool{}
	var out []KeyInfo
	for _, r := range rules {
		if f := w.current(role); f != nil {
			var err error
			if signed, err = f.signed(r); err != nil {
				return nil, err
			}
		}
		for _, id := range r.ids {
			if !slices.ContainsFunc(out, func(k KeyInfo) bool { return k.ID == id }) {
				out = append(out, w.keyInfo(id, r.keys[id], signed[id]))
			}
		}
	}
	return out, nil
}

func (w *Workspace) keyInfo(id string, key *tuf.Key, signed bool) KeyInfo {
	name := w.keyName(key)
	k := w.cfg.Keys[name]
	info := KeyInfo{ID: id, Name: name, URI: k.URI, Owner: k.Owner, Type: key.Type, Scheme: key.Scheme, Signed: signed}
	if own, err := key.ID(); err == nil {
		info.Seen = w.lastSeen()[own]
	}
	return info
}

// signers opens private keys, each once.
type signers struct {
	w      *Workspace
	opened map[string]Signer // by URI
}

// newSigners shares the keys that are open, so that nobody is asked twice for a passphrase.
func (w *Workspace) newSigners() *signers { return &signers{w: w, opened: w.opened} }

// named opens the key of a name in tufoci.yaml or of a key URI. ErrKeyMissing, ErrPassphrase, ErrKey.
func (s *signers) named(nameOrURI string) (Signer, error) {
	k, ok := s.w.cfg.Keys[nameOrURI]
	switch {
	case !ok && !strings.ContainsAny(nameOrURI, ":/."):
		return nil, fmt.Errorf("%w: tufoci.yaml has no key %q", ErrKeyMissing, nameOrURI)
	case !ok:
		return s.open(nameOrURI, nameOrURI, nil)
	case k.URI == "":
		return nil, fmt.Errorf("%w: key %q is held elsewhere: tufoci.yaml has only its public key", ErrKeyMissing, nameOrURI)
	}
	pub, _, err := s.w.publicKey(nameOrURI)
	if err != nil {
		return nil, err
	}
	return s.open(nameOrURI, k.URI, pub)
}

// open opens the private key behind a URI. With want it must be that key.
func (s *signers) open(name, uri string, want *tuf.Key) (Signer, error) {
	signer := s.opened[uri]
	if signer == nil {
		var err error
		if signer, err = s.w.keySource().read(name, uri, want); err != nil {
			return nil, err
		}
		s.opened[uri] = signer
	}
	if want != nil && !sameKey(signer.Key(), want) {
		return nil, fmt.Errorf("%w: key %q: %s holds another key than tufoci.yaml says", ErrKey, name, uri)
	}
	return signer, nil
}

// keySource is where private keys are read, and who knows their passphrases.
type keySource struct {
	dir        string // relative paths are relative to it
	env        func(name string) (string, bool)
	passphrase func(keyName string) ([]byte, error)
	opener     KeyOpener
}

func (w *Workspace) keySource() keySource { return keySource{w.dir, w.env, w.passphrase, w.opener} }

// read opens the private key at a URI. With want it is that key, or has yet to prove it when it signs.
func (s keySource) read(name, uri string, want *tuf.Key) (Signer, error) {
	u, err := parseKeyURI(uri)
	if err != nil {
		return nil, err
	}
	if u.foreign != "" {
		return s.openForeign(name, u.foreign, want)
	}
	data, err := u.read(s.dir, s.env)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: key %q: %v", ErrKeyMissing, name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	var passphrase []byte
	if IsEncrypted(data) {
		if passphrase, err = s.askPassphrase(name); err != nil {
			return nil, fmt.Errorf("key %q: %w", name, err)
		}
	}
	private, err := DecodePrivateKey(data, passphrase)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	signer, err := NewSigner(private)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	return signer, nil
}

// openForeign opens a key that is neither in a file nor in a variable.
func (s keySource) openForeign(name, uri string, want *tuf.Key) (Signer, error) {
	if s.opener == nil {
		return nil, fmt.Errorf("%w: key %q: nothing here opens %s", ErrKeyMissing, name, uri)
	}
	signer, err := s.opener.OpenKey(name, uri, want)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	return checkedSigner{signer}, nil
}

// has reports whether something can be read at a URI, or whether a KeyOpener has the key; "" is nothing.
func (s keySource) has(uri string, public *tuf.Key) bool {
	u, err := parseKeyURI(uri)
	if err != nil {
		return false
	}
	if u.foreign != "" {
		return s.opener != nil && s.opener.HasKey(u.foreign, public)
	}
	_, err = u.read(s.dir, s.env)
	return err == nil
}

func (s keySource) askPassphrase(name string) ([]byte, error) {
	if s.passphrase == nil {
		return nil, fmt.Errorf("%w: nobody can be asked", ErrPassphrase)
	}
	return s.passphrase(name)
}

// hasKey reports whether the private key of a name in tufoci.yaml is at hand.
func (w *Workspace) hasKey(name string) bool {
	pub, _, err := w.publicKey(name)
	return err == nil && w.keySource().has(w.cfg.Keys[name].URI, pub)
}

// atHand lists the names of the keys among those of the rules that tufoci.yaml has a URI for, and whose private key is
// there. It opens none.
func (s *signers) atHand(rules ...rule) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.w.cfg.Keys)) {
		pub, _, err := s.w.publicKey(name)
		if err != nil || !inRules(rules, pub) || !s.w.hasKey(name) {
			continue
		}
		names = append(names, name)
	}
	return names
}

// inRules reports whether a key is in any of the rules.
func inRules(rules []rule, key *tuf.Key) bool {
	return slices.ContainsFunc(rules, func(r rule) bool { return len(r.idsOf(key)) > 0 })
}

// sign adds the signature of one key to a file, under every id by which a rule knows the key, in place of an older one.
// Signatures that count under no rule are dropped. It reports whether the key is in any rule.
func (e *envelope) sign(ctx context.Context, signer Signer, rules []rule) (bool, error) {
	var ids []string
	for _, r := range rules {
		ids = append(ids, r.idsOf(signer.Key())...)
	}
	if len(ids) == 0 {
		return false, nil
	}
	p, err := e.payload()
	if err != nil {
		return false, err
	}
	sig, err := signer.Sign(ctx, p)
	if err != nil {
		return false, err
	}
	if err := VerifySignature(signer.Key(), p, sig); err != nil {
		return false, err
	}
	e.Signatures = slices.DeleteFunc(e.Signatures, func(s tuf.Signature) bool {
		return slices.Contains(ids, s.KeyID) || !slices.ContainsFunc(rules, func(r rule) bool { return r.keys[s.KeyID] != nil })
	})
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		e.Signatures = append(e.Signatures, tuf.Signature{KeyID: id, Signature: sig})
	}
	return true, nil
}

// signed tells which keys of a rule have signed the file.
func (f *roleFile) signed(r rule) (map[string]bool, error) {
	e, err := f.envelope()
	if err != nil {
		return nil, err
	}
	p, err := e.payload()
	if err != nil {
		return nil, err
	}
	return r.signed(p, e.Signatures), nil
}
