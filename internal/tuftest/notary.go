package tuftest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// Notary is what Docker Content Trust, Notary v1, says of one repository of images:
// metadata in the form of its time, signed by ECDSA keys as raw r and s.
type Notary struct {
	// Keys by role: root, with a certificate, targets, snapshot, timestamp,
	// targets/releases. Roles that are added to it can sign too.
	Keys map[string]*NotaryKey
	// Targets are the entries of targets and of the delegations, which exist if they
	// are here.
	Targets map[string]map[string]any
	// Expires and Version are those of a role that has others than all.
	Expires map[string]time.Time
	Version map[string]int
	// Edit changes the signed part of a role before it is signed.
	Edit map[string]func(signed map[string]any)
	// RootSigners sign root; default is its key.
	RootSigners []*NotaryKey

	t   testing.TB
	now time.Time
}

// NotaryKey is a key with its id in metadata and, of a root key, that of the key
// without its certificate.
type NotaryKey struct {
	ID, CanonicalID string
	public          map[string]any
	private         *ecdsa.PrivateKey
}

// NewNotary makes the metadata of a repository with this name, in which nothing is
// signed. It expires a year after now.
func NewNotary(t testing.TB, gun string, now time.Time) *Notary {
	t.Helper()
	n := &Notary{
		Keys: map[string]*NotaryKey{}, Targets: map[string]map[string]any{"targets": {}}, Expires: map[string]time.Time{},
		Version: map[string]int{}, Edit: map[string]func(map[string]any){}, t: t, now: now,
	}
	for _, role := range []string{"targets", "snapshot", "timestamp", "targets/releases"} {
		n.Keys[role] = NewNotaryKey(t, "", now)
	}
	n.Keys["root"] = NewNotaryKey(t, gun, now)
	return n
}

// NewNotaryKey makes a key, with a certificate of this name if it is not "".
func NewNotaryKey(t testing.TB, name string, now time.Time) *NotaryKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	k := &NotaryKey{private: private}
	k.public, k.ID = notaryPublic(t, "ecdsa", der)
	k.CanonicalID = k.ID
	if name == "" {
		return k
	}
	return k.Certified(t, name, now, false)
}

// Certified is the same key with another certificate, which may be that of an authority.
func (k *NotaryKey) Certified(t testing.TB, name string, now time.Time, authority bool) *NotaryKey {
	t.Helper()
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), BasicConstraintsValid: authority, IsCA: authority,
	}
	raw, err := x509.CreateCertificate(rand.Reader, cert, cert, k.private.Public(), k.private)
	if err != nil {
		t.Fatal(err)
	}
	certified := *k
	certified.public, certified.ID = notaryPublic(t, "ecdsa-x509", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
	return &certified
}

// Public is the key as metadata has it.
func (k *NotaryKey) Public() map[string]any { return k.public }

// notaryPublic is a key as metadata has it, and its id.
func notaryPublic(t testing.TB, kind string, public []byte) (map[string]any, string) {
	t.Helper()
	key := map[string]any{"keytype": kind, "keyval": map[string]any{
		"private": nil, "public": base64.StdEncoding.EncodeToString(public),
	}}
	canonical, err := cjson.EncodeCanonical(key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(canonical)
	return key, hex.EncodeToString(sum[:])
}

// T is the test that it was made for.
func (n *Notary) T() testing.TB { return n.t }

// Sign lets a role sign a tag of a manifest.
func (n *Notary) Sign(role, tag string, manifest []byte) {
	if n.Targets[role] == nil {
		n.Targets[role] = map[string]any{}
	}
	n.Targets[role][tag] = notaryMeta(manifest)
}

func notaryMeta(data []byte) map[string]any {
	short, long := sha256.Sum256(data), sha512.Sum512(data)
	return map[string]any{"length": len(data), "hashes": map[string]any{
		"sha256": base64.StdEncoding.EncodeToString(short[:]), "sha512": base64.StdEncoding.EncodeToString(long[:]),
	}}
}

// Files are the metadata files by name, "targets/releases.json".
func (n *Notary) Files() map[string][]byte {
	n.t.Helper()
	files := map[string][]byte{}
	keys, roles := map[string]any{}, map[string]any{}
	for _, role := range topLevel {
		k := n.Keys[role]
		keys[k.ID] = k.public
		roles[role] = map[string]any{"keyids": []string{k.ID}, "threshold": 1}
	}
	signers := n.RootSigners
	if signers == nil {
		signers = []*NotaryKey{n.Keys["root"]}
	}
	files["root.json"] = n.file("root", map[string]any{"_type": "Root", "consistent_snapshot": false, "keys": keys, "roles": roles}, signers...)
	meta := map[string]any{"root": notaryMeta(files["root.json"])}
	for role, targets := range n.Targets {
		signed := map[string]any{"_type": "Targets", "targets": targets, "delegations": n.delegations(role)}
		files[role+".json"] = n.file(role, signed, n.Keys[role])
		meta[role] = notaryMeta(files[role+".json"])
	}
	files["snapshot.json"] = n.file("snapshot", map[string]any{"_type": "Snapshot", "meta": meta}, n.Keys["snapshot"])
	stamp := map[string]any{"snapshot": notaryMeta(files["snapshot.json"])}
	files["timestamp.json"] = n.file("timestamp", map[string]any{"_type": "Timestamp", "meta": stamp}, n.Keys["timestamp"])
	return files
}

// delegations of targets are all other roles that sign.
func (n *Notary) delegations(role string) map[string]any {
	keys, roles := map[string]any{}, []any{}
	for name := range n.Targets {
		if role == "targets" && name != role {
			keys[n.Keys[name].ID] = n.Keys[name].public
			roles = append(roles, map[string]any{"name": name, "keyids": []string{n.Keys[name].ID}, "paths": []string{""}, "threshold": 1})
		}
	}
	return map[string]any{"keys": keys, "roles": roles}
}

func (n *Notary) file(role string, signed map[string]any, signers ...*NotaryKey) []byte {
	n.t.Helper()
	expires, ok := n.Expires[role]
	if !ok {
		expires = n.now.AddDate(1, 0, 0)
	}
	signed["expires"], signed["version"] = expires.Format(time.RFC3339Nano), max(n.Version[role], 1)
	if edit := n.Edit[role]; edit != nil {
		edit(signed)
	}
	payload, err := cjson.EncodeCanonical(signed)
	if err != nil {
		n.t.Fatal(err)
	}
	sum := sha256.Sum256(payload)
	var signatures []any
	for _, k := range signers {
		r, s, err := ecdsa.Sign(rand.Reader, k.private, sum[:])
		if err != nil {
			n.t.Fatal(err)
		}
		raw := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		signatures = append(signatures, map[string]any{"keyid": k.ID, "method": "ecdsa", "sig": base64.StdEncoding.EncodeToString(raw)})
	}
	data, err := json.Marshal(map[string]any{"signed": signed, "signatures": signatures})
	if err != nil {
		n.t.Fatal(err)
	}
	return data
}
