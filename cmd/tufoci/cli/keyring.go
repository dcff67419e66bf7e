package cli

import (
	"slices"

	"github.com/tufoci/tufoci/metadata"
)

// keyring keeps private keys open from one run to the next, so that nobody is asked
// again for a passphrase. A nil one keeps nothing.
type keyring struct {
	keys   []metadata.SigningKey      // of the command line
	opened map[string]metadata.Signer // of a workspace, by key id
}

func newKeyring() *keyring { return &keyring{opened: map[string]metadata.Signer{}} }

// open opens the keys of the command line, the first time.
func (r *keyring) open(open func() ([]metadata.SigningKey, error)) (_ []metadata.SigningKey, err error) {
	if r == nil {
		return open()
	}
	if r.keys == nil {
		r.keys, err = open()
	}
	return r.keys, err
}

// hold opens those keys of a workspace that sign something which a refresh renews,
// and are not open yet. The others are root's, and stay closed.
func (r *keyring) hold(w *metadata.Workspace, keys []metadata.SigningKey) error {
	if r == nil {
		return nil
	}
	all, err := w.Keys()
	if err != nil {
		return err
	}
	for i, k := range keys {
		id, err := k.Key().ID()
		if err != nil {
			return err
		}
		if r.opened[id] == nil {
			known := slices.IndexFunc(all, func(known metadata.Key) bool { return known.ID == id })
			if known >= 0 && !slices.ContainsFunc(all[known].Roles, func(role string) bool { return role != "root" }) {
				continue
			}
			if r.opened[id], err = metadata.OpenLate(k.Signer); err != nil {
				return err
			}
		}
		keys[i].Signer = r.opened[id]
	}
	return nil
}
