package metadata

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

const (
	// seenFile in .tufoci says when each key was last at work. It is a help for people who look for a key, of this machine
	// alone; nothing is decided by it.
	seenFile = "seen.json"
	// maxSeen bounds it, in bytes.
	maxSeen = 1 << 20
)

// KeySeen is when and where a private key was last at work for this workspace. The zero value: never.
type KeySeen struct {
	Time   time.Time `json:"time"`
	URI    string    `json:"uri"`              // by which it was reached
	Tested bool      `json:"tested,omitempty"` // it signed for a test, not for metadata
}

// text is "last signed 2026-11-23T11:00Z", with the URI if it is not the one given.
func (s KeySeen) text(uri string) string {
	if s.Time.IsZero() {
		return "never seen here"
	}
	did := "signed"
	if s.Tested {
		did = "tested"
	}
	text := "last " + did + " " + s.Time.UTC().Format("2006-01-02T15:04Z")
	if s.URI != uri {
		text += " by " + s.URI
	}
	return text
}

// lastSeen is when each key was last at work, by key id. What cannot be read was never seen.
func (w *Workspace) lastSeen() map[string]KeySeen {
	if w.seen != nil {
		return w.seen
	}
	w.seen = map[string]KeySeen{}
	data, err := readBounded(w.path(seenFile), maxSeen)
	if err != nil {
		return w.seen
	}
	var read map[string]KeySeen
	if json.Unmarshal(data, &read) == nil {
		maps.Copy(w.seen, read)
	}
	return w.seen
}

// note remembers that a key was at work; recordSeen writes it down.
func (w *Workspace) note(key *tuf.Key, uri string, tested bool) {
	id, err := key.ID()
	if err != nil {
		return
	}
	w.lastSeen()[id] = KeySeen{Time: w.now().UTC().Truncate(time.Second), URI: uri, Tested: tested}
	w.seenChanged = true
}

// recordSeen writes down which keys were at work. It is called ahead of what depends on their signatures, and an error
// holds nothing up: a signature that was made is worth more than a note of it.
func (w *Workspace) recordSeen() {
	if !w.seenChanged || w.readOnly {
		return
	}
	if data, err := json.MarshalIndent(w.lastSeen(), "", "  "); err == nil {
		_ = w.disk.Write(w.path(seenFile), append(data, '\n'), 0o600)
	}
	w.seenChanged = false
}

// noteSigned remembers the keys, each a name of tufoci.yaml or a URI, that have signed.
func (s *signers) noteSigned(names []string) {
	for _, name := range names {
		uri := name
		if k, ok := s.w.cfg.Keys[name]; ok {
			uri = k.URI
		}
		if signer := s.opened[uri]; signer != nil {
			s.w.note(signer.Key(), uri, false)
		}
	}
}

// missingKey adds to an error about a private key that is not there which keys the roles take, and where each was last
// seen.
func (w *Workspace) missingKey(err error, roles ...string) error {
	accepts, acceptsErr := w.accepts(roles)
	if acceptsErr != nil {
		return err
	}
	return fmt.Errorf("%w; %s", err, accepts)
}

// NameKeys adds to an error of Refresh what the workspace knows of the keys that would do: their names, where they are,
// who holds them and when they were last at work.
func (w *Workspace) NameKeys(e *NoKeysError) {
	for _, role := range e.Roles {
		for _, r := range role.Rules {
			for i, k := range r.Keys {
				for name := range w.cfg.Keys {
					if public, id, err := w.publicKey(name); err == nil && id == k.ID {
						r.Keys[i] = w.keyInfo(id, public, k.Signed)
					}
				}
			}
		}
	}
}
