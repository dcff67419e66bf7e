package tuftest

import (
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
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
	// SHA512 lists target files by that hash alone, as the first go-tuf did.
	SHA512 bool
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

	earlier *Repo // of NewStatesRepo: what was published before
	next    *Repo // of Next
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
	algorithm := "sha256"
	if r.opts.SHA512 {
		algorithm = "sha512"
	}
	sum, err := hex.DecodeString(entry.Hashes[algorithm])
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
	fork.next = nil
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

// ForkFor is Fork for another test, which its failures are of: that of one input of a fuzz target.
func (r *Repo) ForkFor(t testing.TB) *Repo {
	f := r.Fork()
	f.t = t
	return f
}
