package tuftest

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// AddTarget adds a file to the role targets.
func (r *Repo) AddTarget(name string, data []byte) {
	r.t.Helper()
	r.AddTargetTo("targets", name, data)
}

// AddTargetTo adds a file to a role. For a role with bins it goes to the bin
// that its name falls into. Whether the role may list the name is not checked.
func (r *Repo) AddTargetTo(roleName, name string, data []byte) {
	r.t.Helper()
	sum := sha256.Sum256(data)
	r.AddEntry(roleName, name, int64(len(data)), hex.EncodeToString(sum[:]), nil)
	named := sum[:]
	if r.opts.SHA512 {
		long := sha512.Sum512(data)
		named = long[:]
		r.role(r.holder(roleName, name)).targets[name].Hashes = map[string]string{"sha512": hex.EncodeToString(named)}
	}
	r.content[r.targetTitle(name, named)] = data
}

// AddEntry adds a target without a file, as image targets are: length in
// bytes and hex SHA-256 of something that is stored elsewhere.
func (r *Repo) AddEntry(roleName, name string, length int64, sha256Hex string, custom any) {
	r.t.Helper()
	to := r.role(r.holder(roleName, name))
	to.targets[name] = &entry{Length: length, Hashes: map[string]string{"sha256": sha256Hex}, Custom: custom}
	to.dirty = true
}

// RemoveTarget removes a name from every role that lists it. The file is no
// longer in Files once no role lists its bytes.
func (r *Repo) RemoveTarget(name string) {
	for _, role := range r.roles {
		if _, ok := role.targets[name]; ok {
			delete(role.targets, name)
			role.dirty = true
		}
	}
}

// Delegate makes a role with keys of its own, the last one that parent
// delegates to. Delegating to an existing role adds a second delegator with
// the same keys.
func (r *Repo) Delegate(parent, name string, paths []string, terminating bool) {
	r.t.Helper()
	from := r.role(parent)
	if _, ok := r.roles[name]; !ok {
		r.roles[name] = r.newRole()
	}
	from.delegations = append(from.delegations, &delegation{name: name, paths: paths, terminating: terminating})
	from.dirty = true
}

// ImagePaths are the patterns of a role for images: images/ and one to eight
// components.
func ImagePaths() []string {
	paths := make([]string, 8)
	for i := range paths {
		paths[i] = "images" + strings.Repeat("/*", i+1)
	}
	return paths
}

// DelegateBins makes a terminating role for ImagePaths below parent, whose
// only delegation is TAP 15 succinct roles over bins (a power of two). Bins
// are named "<role>-<hex>" and share one set of keys.
func (r *Repo) DelegateBins(parent, name string, bins int) {
	r.t.Helper()
	if bins < 2 || bins&(bins-1) != 0 {
		r.t.Fatalf("%d bins: not a power of two", bins)
	}
	r.Delegate(parent, name, ImagePaths(), true)
	hub := r.role(name)
	hub.bins, hub.binPrefix = bins, name
	keys := r.newKeys()
	for i := range bins {
		bin := &role{keys: keys, threshold: r.opts.Threshold, dirty: true, targets: map[string]*entry{}}
		r.roles[binName(name, i, bins)] = bin
	}
}

// binName follows TAP 15: the bin number in hex, padded to the longest.
func binName(prefix string, bin, bins int) string {
	return fmt.Sprintf("%s-%0*x", prefix, len(fmt.Sprintf("%x", bins-1)), bin)
}

// holder is the role that lists name on behalf of roleName: itself, or a bin
// chosen by the first bits of the name's SHA-256 (TAP 15).
func (r *Repo) holder(roleName, name string) string {
	hub := r.role(roleName)
	if hub.bins == 0 {
		return roleName
	}
	sum := sha256.Sum256([]byte(name))
	first := uint32(sum[0])<<24 | uint32(sum[1])<<16 | uint32(sum[2])<<8 | uint32(sum[3])
	bits := len(fmt.Sprintf("%b", hub.bins)) - 1
	return binName(hub.binPrefix, int(first>>(32-bits)), hub.bins)
}

// RotateKey gives a role new keys. A new root or delegator names them at the
// next Publish; a new root is signed by the old keys as well.
func (r *Repo) RotateKey(name string) {
	r.t.Helper()
	r.SetKeys(name, r.newKeys(), r.opts.Threshold)
}

// SetKeys gives a role these keys and this threshold from the next Publish on.
func (r *Repo) SetKeys(name string, keys []*Key, threshold int) {
	r.t.Helper()
	changed := r.role(name)
	changed.keys, changed.threshold, changed.dirty = keys, threshold, true
	if slices.Contains(topLevel, name) {
		r.role("root").dirty = true
		return
	}
	for _, from := range r.roles {
		for _, d := range from.delegations {
			from.dirty = from.dirty || d.name == name
		}
	}
}

// SetExpiry fixes when a role expires, from the next Publish on, instead of
// the repository's life after signing.
func (r *Repo) SetExpiry(name string, expires time.Time) {
	r.t.Helper()
	r.role(name).expires = expires
	r.role(name).dirty = true
}

// SetVersion lets the next Publish write this version of a role.
func (r *Repo) SetVersion(name string, version int64) {
	r.t.Helper()
	r.role(name).version = version - 1
	r.role(name).dirty = true
}

// Touch lets the next Publish write a new version of roles without a change.
func (r *Repo) Touch(names ...string) {
	r.t.Helper()
	for _, name := range names {
		r.role(name).dirty = true
	}
}

// Adopt takes a root that was not published here for the newest one: the next root
// is signed and numbered to follow it.
func (r *Repo) Adopt(root []byte) {
	r.roots = append(r.roots, root)
	r.role("root").version++
}
