package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// simulator is a repository as the suite's own simulates it: each role is edited and
// published by itself, so that it can break any rule; what was published is asked for by
// the number of its turn, not by the version in it; and every request is counted.
type simulator struct {
	t      testing.TB
	server *httptest.Server
	path   string // of its URLs: the name of the test

	root      *rootMetadata
	timestamp *metaMetadata
	snapshot  *metaMetadata
	targets   map[string]*targetsMetadata // delegated roles too
	signers   map[string][]*tuftest.Key
	hashes    bool // snapshot and timestamp state length and hash

	mu        sync.Mutex
	published map[string][][]byte
	artifacts map[string]*artifact // by target path
	metadata  []string             // requests: "root 2", "timestamp", "snapshot 1"
	files     []string             // requests: target paths
}

type header struct {
	Type        string `json:"_type"`
	SpecVersion string `json:"spec_version"`
	Version     int64  `json:"version"`
	Expires     string `json:"expires"`
}

type keyRole struct {
	KeyIDs    []string `json:"keyids"`
	Threshold int      `json:"threshold"`
	Unknown   string   `json:"another-field,omitempty"`
}

type rootMetadata struct {
	header
	Consistent bool                `json:"consistent_snapshot"`
	Keys       map[string]any      `json:"keys"`
	Roles      map[string]*keyRole `json:"roles"`
	Unknown    string              `json:"custom-field,omitempty"`
}

type metaFile struct {
	Version int64             `json:"version"`
	Length  int               `json:"length,omitempty"`
	Hashes  map[string]string `json:"hashes,omitempty"`
}

type metaMetadata struct {
	header
	Meta map[string]*metaFile `json:"meta"`
}

type targetsMetadata struct {
	header
	Targets     map[string]*targetEntry `json:"targets"`
	Delegations *delegations            `json:"delegations,omitempty"`
}

type targetEntry struct {
	Length int               `json:"length"`
	Hashes map[string]string `json:"hashes"`
}

type delegations struct {
	Keys  map[string]any   `json:"keys"`
	Roles []*delegatedRole `json:"roles"`
}

type delegatedRole struct {
	Name        string   `json:"name"`
	Paths       []string `json:"paths"`
	Terminating bool     `json:"terminating"`
	keyRole
}

type artifact struct {
	data   []byte
	hashes map[string]string
}

// now is when the repositories are made; they live for 30 days.
var now = tuftest.Epoch

func expires(after time.Duration) string { return now.Add(after).Format(time.RFC3339) }

const day = 24 * time.Hour

func newSimulator(t testing.TB, name string) *simulator {
	head := func(kind string) header { return header{kind, "1.0.31", 1, expires(30 * day)} }
	s := &simulator{
		t:         t,
		path:      url.PathEscape(name),
		root:      &rootMetadata{header: head("root"), Consistent: true, Keys: map[string]any{}, Roles: map[string]*keyRole{}},
		timestamp: &metaMetadata{head("timestamp"), map[string]*metaFile{}},
		snapshot:  &metaMetadata{head("snapshot"), map[string]*metaFile{}},
		targets:   map[string]*targetsMetadata{"targets": {header: head("targets"), Targets: map[string]*targetEntry{}}},
		signers:   map[string][]*tuftest.Key{},
		published: map[string][][]byte{},
		artifacts: map[string]*artifact{},
	}
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		s.root.Roles[role] = &keyRole{Threshold: 1}
		s.addKey(role)
	}
	s.publish("targets", "snapshot", "timestamp", "root")
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		s.server.CloseClientConnections()
		s.server.Close()
	})
	return s
}

// addKey gives a top-level role one more key that signs it.
func (s *simulator) addKey(role string) *tuftest.Key {
	return s.addSigner(role, tuftest.NewKey(s.t, tuftest.ECDSAP256))
}

func (s *simulator) addSigner(role string, key *tuftest.Key) *tuftest.Key {
	s.addPublic(role, key)
	s.signers[role] = append(s.signers[role], key)
	return key
}

// addPublic lists a key for a top-level role, once more if it is listed already.
func (s *simulator) addPublic(role string, key *tuftest.Key) {
	s.root.Keys[key.ID] = key.Public
	s.root.Roles[role].KeyIDs = append(s.root.Roles[role].KeyIDs, key.ID)
}

// clearKeys takes all keys from a top-level role.
func (s *simulator) clearKeys(role string) {
	s.root.Roles[role].KeyIDs, s.signers[role] = nil, nil
}

// rotate replaces the key of a top-level role.
func (s *simulator) rotate(role string) {
	s.clearKeys(role)
	s.addKey(role)
}

// dropSigner lets the last key of a role sign no more.
func (s *simulator) dropSigner(role string) {
	s.signers[role] = s.signers[role][:len(s.signers[role])-1]
}

func (s *simulator) delegate(from, name string, terminating bool, paths ...string) {
	if s.targets[name] == nil {
		s.targets[name] = &targetsMetadata{header: header{"targets", "1.0.31", 1, expires(30 * day)}, Targets: map[string]*targetEntry{}}
	}
	by := s.targets[from]
	if by.Delegations == nil {
		by.Delegations = &delegations{Keys: map[string]any{}}
	}
	key := tuftest.NewKey(s.t, tuftest.Ed25519)
	s.signers[name] = append(s.signers[name], key)
	by.Delegations.Keys[key.ID] = key.Public
	role := &delegatedRole{Name: name, Paths: paths, Terminating: terminating, keyRole: keyRole{KeyIDs: []string{key.ID}, Threshold: 1}}
	by.Delegations.Roles = append(by.Delegations.Roles, role)
}

// artifact lists a target file with its sha256, or with other hashes, and serves it.
func (s *simulator) artifact(role, name, content string, algorithms ...string) {
	if len(algorithms) == 0 {
		algorithms = []string{"sha256"}
	}
	short, long := sha256.Sum256([]byte(content)), sha512.Sum512([]byte(content))
	hashes := map[string]string{}
	for _, algorithm := range algorithms {
		hashes[algorithm] = hex.EncodeToString(long[:])
		if algorithm == "sha256" {
			hashes[algorithm] = hex.EncodeToString(short[:])
		}
	}
	s.targets[role].Targets[name] = &targetEntry{len(content), hashes}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.artifacts[name] = &artifact{[]byte(content), hashes}
}

// substitute serves other bytes for a target file.
func (s *simulator) substitute(name, content string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.artifacts[name].data = []byte(content)
}

// publish signs roles, each under its next version, and lets those above name them. As
// in the suite, a snapshot or timestamp that names them is published only if it is asked
// for, in its turn.
func (s *simulator) publish(roles ...string) {
	for _, role := range roles {
		head, signed := s.signed(role)
		if len(s.published[role]) > 0 {
			head.Version++
		}
		data := s.sign(signed, s.signers[role])
		s.store(role, append(s.published[role], data))
		meta := &metaFile{Version: head.Version}
		if s.hashes {
			sum := sha256.Sum256(data)
			meta.Length, meta.Hashes = len(data), map[string]string{"sha256": hex.EncodeToString(sum[:])}
		}
		switch role {
		case "root", "timestamp":
		case "snapshot":
			s.timestamp.Meta["snapshot.json"] = meta
		default:
			s.snapshot.Meta[role+".json"] = meta
		}
	}
}

func (s *simulator) signed(role string) (*header, any) {
	switch role {
	case "root":
		return &s.root.header, s.root
	case "timestamp":
		return &s.timestamp.header, s.timestamp
	case "snapshot":
		return &s.snapshot.header, s.snapshot
	}
	return &s.targets[role].header, s.targets[role]
}

func (s *simulator) store(role string, versions [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published[role] = versions
}

// forget unpublishes a role: its next version is the one that it has now.
func (s *simulator) forget(role string) { s.store(role, nil) }

// restart unpublishes a role that then begins again with version 1.
func (s *simulator) restart(role string) {
	s.forget(role)
	head, _ := s.signed(role)
	head.Version = 1
}

// latest is what was published last of a role.
func (s *simulator) latest(role string) []byte {
	versions := s.published[role]
	return versions[len(versions)-1]
}

// edit replaces what was published last of a role.
func (s *simulator) edit(role string, change func([]byte) []byte) {
	versions := slices.Clone(s.published[role])
	versions[len(versions)-1] = change(s.latest(role))
	s.store(role, versions)
}

// editSignatures changes the signatures of what was published last of a role.
func (s *simulator) editSignatures(role string, change func([]signature) []signature) {
	s.edit(role, func(data []byte) []byte {
		var file struct {
			Signatures []signature     `json:"signatures"`
			Signed     json.RawMessage `json:"signed"`
		}
		s.check(json.Unmarshal(data, &file))
		file.Signatures = change(file.Signatures)
		data, err := json.Marshal(file)
		s.check(err)
		return data
	})
}

type signature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

func (s *simulator) sign(signed any, keys []*tuftest.Key) []byte {
	s.t.Helper()
	payload, err := cjson.EncodeCanonical(signed)
	s.check(err)
	signatures := []signature{}
	for _, key := range keys {
		sig, err := signBy(key.Private, payload)
		s.check(err)
		signatures = append(signatures, signature{key.ID, hex.EncodeToString(sig)})
	}
	data, err := json.MarshalIndent(map[string]any{"signatures": signatures, "signed": signed}, "", " ")
	s.check(err)
	return data
}

func signBy(key crypto.Signer, payload []byte) ([]byte, error) {
	sum := sha256.Sum256(payload)
	switch key := key.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(key, payload), nil
	case *ecdsa.PrivateKey:
		return ecdsa.SignASN1(rand.Reader, key, sum[:])
	default:
		return key.Sign(rand.Reader, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	}
}

// addUnknown puts a member that clients do not know into a key, whose id changes.
func addUnknown(s *simulator, key *tuftest.Key, name string, value any) *tuftest.Key {
	changed := *key
	changed.Public = maps.Clone(key.Public)
	changed.Public[name] = value
	canonical, err := cjson.EncodeCanonical(changed.Public)
	s.check(err)
	sum := sha256.Sum256(canonical)
	changed.ID = hex.EncodeToString(sum[:])
	return &changed
}

func (s *simulator) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// serve answers as the suite's server does.
func (s *simulator) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, isMetadata := strings.CutPrefix(r.URL.EscapedPath(), "/"+s.path+"/metadata/")
	var data []byte
	if isMetadata {
		data = s.serveMetadata(strings.TrimSuffix(name, ".json"))
	} else if name, ok := strings.CutPrefix(r.URL.EscapedPath(), "/"+s.path+"/targets/"); ok {
		data = s.serveTarget(name)
	}
	if data == nil || r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(data)
}

func (s *simulator) serveMetadata(name string) []byte {
	if name == "timestamp" {
		s.metadata = append(s.metadata, name)
		return s.nth("timestamp", len(s.published["timestamp"]))
	}
	number, role, _ := strings.Cut(name, ".")
	s.metadata = append(s.metadata, role+" "+number)
	turn, err := strconv.Atoi(number)
	plain, unescapeErr := url.PathUnescape(role)
	if err != nil || unescapeErr != nil {
		return nil
	}
	return s.nth(plain, turn)
}

func (s *simulator) nth(role string, turn int) []byte {
	if turn < 1 || turn > len(s.published[role]) {
		return nil
	}
	return s.published[role][turn-1]
}

func (s *simulator) serveTarget(name string) []byte {
	dir, base := path.Split(name)
	hash, base, _ := strings.Cut(base, ".")
	s.files = append(s.files, dir+base)
	found := s.artifacts[dir+base]
	if found == nil || !slices.Contains(slices.Collect(maps.Values(found.hashes)), hash) {
		return nil
	}
	return found.data
}

// asked returns the requests for metadata so far.
func (s *simulator) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.metadata)
}

// downloads returns the requests for target files so far.
func (s *simulator) downloads() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.files)
}

func (s *simulator) url(part string) string {
	return fmt.Sprintf("%s/%s/%s/", s.server.URL, s.path, part)
}
