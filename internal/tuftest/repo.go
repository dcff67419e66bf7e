package tuftest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"
)

// Epoch is the default reference time of a repository: the same in every run.
var Epoch = time.Date(2030, time.January, 1, 0, 0, 0, 0, time.UTC)

// RepoOptions say what a new repository looks like. The zero value is a
// consistent-snapshot repository with one ed25519 key a role.
type RepoOptions struct {
	// Now is the time of signing; zero means Epoch. SetNow moves it.
	Now time.Time
	// Life is the time from signing to expiry of every role; zero means 30 days.
	Life time.Duration
	// NonConsistent writes file names without versions and hashes.
	NonConsistent bool
	// Keys is the number of keys of each role; zero means Threshold, at least 1.
	Keys int
	// Threshold of each role; zero means 1.
	Threshold int
	// KeyType of all keys; empty means Ed25519.
	KeyType KeyType
	// BareMeta leaves length and hashes out of snapshot and timestamp.
	BareMeta bool
}

// Repo is a TUF repository in memory: what was published last, and the
// changes for the next Publish. It is not safe for concurrent use.
type Repo struct {
	t    testing.TB
	opts RepoOptions

	roots   [][]byte         // published root files, root v1 first
	roles   map[string]*role // all roles, top-level ones too
	data    map[string][]byte
	content map[string][]byte // target files by the title they have

	lastRootKeys []*Key // root keys that the newest root names
	allRootKeys  []*Key // every root key there ever was
}

// role is one role as the next Publish writes it.
type role struct {
	version   int64 // of what is published; 0 before
	expires   time.Time
	keys      []*Key
	threshold int
	dirty     bool

	targets     map[string]*entry
	delegations []*delegation
	bins        int // > 0: its only delegation is succinct
	binPrefix   string
}

type entry struct {
	Length int64             `json:"length"`
	Hashes map[string]string `json:"hashes"`
	Custom any               `json:"custom,omitempty"`
}

type delegation struct {
	name        string
	paths       []string
	terminating bool
}

var topLevel = []string{"root", "timestamp", "snapshot", "targets"}

// NewRepo makes a repository and publishes its first, empty version.
func NewRepo(t testing.TB, o RepoOptions) *Repo {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = Epoch
	}
	if o.Life == 0 {
		o.Life = 30 * 24 * time.Hour
	}
	o.Threshold = max(o.Threshold, 1)
	o.Keys = max(o.Keys, o.Threshold)
	r := &Repo{t: t, opts: o, roles: map[string]*role{}, data: map[string][]byte{}, content: map[string][]byte{}}
	for _, name := range topLevel {
		r.roles[name] = r.newRole()
	}
	r.Publish()
	return r
}

func (r *Repo) newRole() *role {
	r.t.Helper()
	return &role{keys: r.newKeys(), threshold: r.opts.Threshold, dirty: true, targets: map[string]*entry{}}
}

func (r *Repo) newKeys() []*Key {
	r.t.Helper()
	keys := make([]*Key, r.opts.Keys)
	for i := range keys {
		keys[i] = NewKey(r.t, r.opts.KeyType)
	}
	return keys
}

// role returns a role that exists; asking for another one fails the test.
func (r *Repo) role(name string) *role {
	r.t.Helper()
	found, ok := r.roles[name]
	if !ok {
		r.t.Fatalf("no role %q in the test repository", name)
	}
	return found
}

// Now is the time of signing.
func (r *Repo) Now() time.Time { return r.opts.Now }

// SetNow moves the time of signing for the roles that Publish writes next.
func (r *Repo) SetNow(now time.Time) { r.opts.Now = now }

// RootBytes returns root version 1, the usual pin.
func (r *Repo) RootBytes() []byte { return r.roots[0] }

// Roots returns all root files, version 1 first.
func (r *Repo) Roots() [][]byte { return slices.Clone(r.roots) }

// Keys returns the keys that sign a role now.
func (r *Repo) Keys(name string) []*Key { r.t.Helper(); return slices.Clone(r.role(name).keys) }

// Signer returns the first of the keys that sign a role now.
func (r *Repo) Signer(name string) *Key { r.t.Helper(); return r.role(name).keys[0] }

// Version returns the version of a role that was published last.
func (r *Repo) Version(name string) int64 { r.t.Helper(); return r.role(name).version }

// Roles returns the names of all roles, delegated ones too, sorted.
func (r *Repo) Roles() []string { return slices.Sorted(maps.Keys(r.roles)) }

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
	r.content[r.targetTitle(name, sum[:])] = data
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

// Data returns the published bytes of a role, the newest root for "root".
func (r *Repo) Data(name string) []byte {
	r.t.Helper()
	r.role(name)
	if name == "root" {
		return r.roots[len(r.roots)-1]
	}
	return r.data[name]
}

// Title returns the title of a role's published file, "metadata/3.targets.json".
func (r *Repo) Title(name string) string {
	r.t.Helper()
	version := r.role(name).version
	if name == "timestamp" || r.opts.NonConsistent && name != "root" {
		return "metadata/" + escape(name) + ".json"
	}
	return fmt.Sprintf("metadata/%d.%s.json", version, escape(name))
}

// Files returns what is published by title: every root, the current version
// of each other role, and the target files that a role lists. The map is the
// caller's to change.
func (r *Repo) Files() map[string][]byte {
	r.t.Helper()
	files := map[string][]byte{}
	for i, root := range r.roots {
		files[fmt.Sprintf("metadata/%d.root.json", i+1)] = root
	}
	for name, data := range r.data {
		files[r.Title(name)] = data
	}
	for _, role := range r.roles {
		for name, entry := range role.targets {
			if title, data, ok := r.file(name, entry); ok {
				files[title] = data
			}
		}
	}
	return files
}

// file is the file behind an entry, if it is one of ours.
func (r *Repo) file(name string, entry *entry) (title string, data []byte, ok bool) {
	r.t.Helper()
	sum, err := hex.DecodeString(entry.Hashes["sha256"])
	if err != nil {
		r.t.Fatalf("hash of %q: %v", name, err)
	}
	title = r.targetTitle(name, sum)
	data, ok = r.content[title]
	return title, data, ok
}

// targetTitle is the name that clients ask for a target file, below targets/.
func (r *Repo) targetTitle(name string, sum []byte) string {
	if r.opts.NonConsistent {
		return "targets/" + name
	}
	dir, base := path.Split(name)
	return "targets/" + dir + hex.EncodeToString(sum) + "." + base
}

// Fork returns an independent copy with the same keys and history: what a
// second publisher, or someone with stolen keys, goes on from.
func (r *Repo) Fork() *Repo {
	fork := *r
	fork.roots = slices.Clone(r.roots)
	fork.data = maps.Clone(r.data)
	fork.content = maps.Clone(r.content)
	fork.allRootKeys = slices.Clone(r.allRootKeys)
	fork.roles = make(map[string]*role, len(r.roles))
	for name, original := range r.roles {
		copied := *original
		copied.targets = maps.Clone(original.targets)
		copied.delegations = slices.Clone(original.delegations)
		fork.roles[name] = &copied
	}
	return &fork
}

// rawNumbers keeps integers exact through a decode and encode.
func rawNumbers(data []byte) (map[string]any, error) {
	var value map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	return value, decoder.Decode(&value)
}
