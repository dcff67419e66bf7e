package tuftest

import (
	"slices"
)

// Publish writes new versions of all roles that were changed, and of snapshot
// and timestamp always.
func (r *Repo) Publish() {
	r.t.Helper()
	if r.role("root").dirty {
		r.writeRoot()
	}
	for name, role := range r.roles {
		if role.dirty && name != "root" && name != "snapshot" && name != "timestamp" {
			role.version++
			role.dirty = false
			r.data[name] = r.sign(r.targetsSigned(role), role.keys)
		}
	}
	r.role("snapshot").version++
	r.role("snapshot").dirty = false
	r.data["snapshot"] = r.sign(r.snapshotSigned(), r.role("snapshot").keys)
	r.PublishTimestamp()
}

// PublishTimestamp writes a new timestamp and nothing else.
func (r *Repo) PublishTimestamp() {
	r.t.Helper()
	r.role("timestamp").version++
	r.role("timestamp").dirty = false
	r.data["timestamp"] = r.sign(r.timestampSigned(), r.role("timestamp").keys)
}

// writeRoot signs the next root with its keys and those of the one before.
func (r *Repo) writeRoot() {
	r.t.Helper()
	root := r.role("root")
	root.version++
	root.dirty = false
	r.roots = append(r.roots, r.sign(r.rootSigned(), r.rootSigners()))
	r.lastRootKeys = root.keys
	r.allRootKeys = append(r.allRootKeys, root.keys...)
}

func (r *Repo) rootSigners() []*Key {
	signers := slices.Clone(r.role("root").keys)
	for _, key := range r.lastRootKeys {
		if !slices.ContainsFunc(signers, func(k *Key) bool { return k.ID == key.ID }) {
			signers = append(signers, key)
		}
	}
	return signers
}
