package metadata

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// cabinet is a place with keys, as packages with a network have them.
type cabinet struct {
	keys  map[string]crypto.Signer // by URI
	gone  bool
	sign  func(payload []byte) ([]byte, error) // nil: as it should be
	calls []string
}

var errGone = fmt.Errorf("%w: the cabinet is locked", ErrKeyMissing)

type cabinetKey struct {
	c      *cabinet
	uri    string
	public *tuf.Key
}

func (k cabinetKey) Key() *tuf.Key { return k.public }

func (k cabinetKey) Sign(ctx context.Context, payload []byte) ([]byte, error) {
	k.c.calls = append(k.c.calls, "sign "+k.uri)
	if k.c.gone {
		return nil, errGone
	}
	if k.c.sign != nil {
		return k.c.sign(payload)
	}
	s, err := NewSigner(k.c.keys[k.uri])
	if err != nil {
		return nil, err
	}
	return s.Sign(ctx, payload)
}

func (c *cabinet) OpenKey(_, uri string, public *tuf.Key) (Signer, error) {
	if public == nil {
		c.calls = append(c.calls, "ask "+uri)
		if c.gone || c.keys[uri] == nil {
			return nil, errGone
		}
		var err error
		if public, err = PublicKey(c.keys[uri].Public()); err != nil {
			return nil, err
		}
	}
	return cabinetKey{c, uri, public}, nil
}

func (c *cabinet) HasKey(uri string, _ *tuf.Key) bool { return c.keys[uri] != nil && !c.gone }

func (c *cabinet) CreateKey(_, uri string, t KeyType) (*tuf.Key, error) {
	if c.keys[uri] != nil {
		return nil, ErrKeyExists
	}
	key, err := GenerateKey(t)
	if err != nil {
		return nil, err
	}
	c.keys[uri] = key
	return PublicKey(key.Public())
}

// withCabinet is a workspace whose key for targets is in a cabinet.
func withCabinet(t *testing.T) (*world, *Workspace, *cabinet) {
	t.Helper()
	w := newWorld(t)
	c := &cabinet{keys: map[string]crypto.Signer{"x://rel": testKey(t, KeyEd25519)}}
	o := w.initOptions()
	o.Keys["targets"] = []string{"x://rel"}
	o.Opener = c
	return w, w.init(o), c
}

// Keys of a cabinet are asked for their public half once, and are not touched until they sign.
func TestKeyOpener(t *testing.T) {
	t.Parallel()
	w, ws, c := withCabinet(t)
	if k, err := ws.Key("rel"); err != nil || k.URI != "x://rel" {
		t.Fatalf("%+v, %v", k, err)
	}
	if _, err := ws.SigningKeys(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.calls, ", "); got != "ask x://rel" {
		t.Errorf("calls: %s", got)
	}
	w.sign(ws)
	w.publish(ws)
	if got := strings.Join(c.calls, ", "); got != "ask x://rel, sign x://rel" {
		t.Errorf("calls: %s", got)
	}
	if _, err := ws.GenerateKey("new", KeyOptions{URI: "x://new", Owner: "Nora"}); err != nil || c.keys["x://new"] == nil || ws.Config().Keys["new"].Owner != "Nora" {
		t.Errorf("made there: %v", err)
	}
	for uri, want := range map[string]error{"x://new": ErrKeyExists, "file:new.pem": ErrInvalid, "vault:x": ErrInvalid} {
		if _, err := ws.GenerateKey("other", KeyOptions{URI: uri}); !errors.Is(err, want) {
			t.Errorf("%s: %v", uri, err)
		}
	}
	keys, err := OpenKeys([]string{"x://rel", "x://a/rel"}, OpenKeysOptions{Opener: &cabinet{keys: map[string]crypto.Signer{"x://rel": testKey(t, KeyEd25519), "x://a/rel": otherKey(t, KeyEd25519)}}})
	if err != nil || keys[0].Name != "rel" || keys[1].Name != "rel-2" {
		t.Errorf("%v, %v", keys, err)
	}
}

// What a device or a service signs in another way reaches no metadata, and the reason is named.
func TestForeignSignatureIsChecked(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		kind KeyType
		sign func(k crypto.Signer, payload []byte) ([]byte, error)
		want string
	}{
		"PKCS#1 v1.5": {KeyRSA3072, func(k crypto.Signer, payload []byte) ([]byte, error) {
			sum := sha256.Sum256(payload)
			return rsa.SignPKCS1v15(nil, k.(*rsa.PrivateKey), crypto.SHA256, sum[:])
		}, "PKCS#1 v1.5, which no scheme of TUF metadata takes; use"},
		"PSS, other hash": {KeyRSA3072, func(k crypto.Signer, payload []byte) ([]byte, error) {
			sum := sha512.Sum512(payload)
			return rsa.SignPSS(rand.Reader, k.(*rsa.PrivateKey), crypto.SHA512, sum[:], nil)
		}, "PSS with SHA-512"},
		"ECDSA, other hash": {KeyECDSAP384, func(k crypto.Signer, payload []byte) ([]byte, error) {
			sum := sha256.Sum256(payload)
			return ecdsa.SignASN1(rand.Reader, k.(*ecdsa.PrivateKey), sum[:])
		}, "ECDSA with SHA-256; a key on P-384 signs with SHA-384"},
		"another key": {KeyEd25519, func(_ crypto.Signer, payload []byte) ([]byte, error) {
			return otherKey(t, KeyEd25519).Sign(rand.Reader, payload, crypto.Hash(0))
		}, "another key is there"},
		"nothing": {KeyEd25519, func(crypto.Signer, []byte) ([]byte, error) { return nil, nil }, "does not verify"},
	} {
		c := &cabinet{keys: map[string]crypto.Signer{"x://k": testKey(t, tt.kind)}}
		c.sign = func(payload []byte) ([]byte, error) { return tt.sign(c.keys["x://k"], payload) }
		keys, err := OpenKeys([]string{"x://k"}, OpenKeysOptions{Opener: c})
		if err != nil {
			t.Fatal(err)
		}
		sig, err := keys[0].Sign(t.Context(), []byte("payload"))
		if !errors.Is(err, ErrUnsignable) || !strings.Contains(err.Error(), tt.want) || sig != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A key that is gone costs nothing of what is staged, and the error says which keys would do and where they were seen.
func TestKeyThatIsGone(t *testing.T) {
	t.Parallel()
	w, ws, c := withCabinet(t)
	w.sign(ws)
	before := w.files()
	c.gone = true
	w.now = w.now.Add(time.Hour)
	_, err := ws.Sign(t.Context(), []string{"targets"}, []string{"rel"})
	wantErr(t, err, ErrKeyMissing, "the cabinet is locked", "targets takes rel ", "x://rel (last signed 2026-11-23T11:00Z)")
	for name, data := range w.files() {
		if before[name] != data {
			t.Errorf("%s has changed", name)
		}
	}
	c.gone = false
	w.publish(ws)
}

// The fire drill goes on past a broken key, and what was seen is there after the workspace is opened again.
func TestKeyDrill(t *testing.T) {
	t.Parallel()
	w, ws, c := withCabinet(t)
	c.gone = true
	drills, err := ws.TestKeys(t.Context())
	w.must(err)
	var good []string
	for _, d := range drills {
		if d.Err == nil {
			good = append(good, d.Key.Name)
		} else if d.Key.Name != "rel" || !errors.Is(d.Err, ErrKeyMissing) {
			t.Errorf("%s: %v", d.Key.Name, d.Err)
		}
	}
	if strings.Join(good, " ") != "online root-a root-b" {
		t.Errorf("good: %v", good)
	}
	w.must(ws.Close())
	ws = w.open()
	online, err := ws.Key("online")
	w.must(err)
	rel, err := ws.Key("rel")
	w.must(err)
	if !online.Seen.Tested || !online.Seen.Time.Equal(start.Truncate(time.Second)) || online.Seen.URI != "env:online" || !rel.Seen.Time.IsZero() {
		t.Errorf("seen: %+v, %+v", online.Seen, rel.Seen)
	}
	if _, err := ws.TestKeys(t.Context(), "nobody"); !errors.Is(err, ErrKeyMissing) {
		t.Errorf("%v", err)
	}
	// What a test signs is no JSON, hence no metadata.
	if strings.HasPrefix(strings.TrimSpace(drillText), "{") {
		t.Error("a test could pass for metadata")
	}
}

// A refresh without its keys names those that would do, where a workspace knows them.
func TestNameKeys(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.now = w.now.Add(2 * day)
	_, err := w.refresh(RefreshOptions{Force: true})
	none, ok := errors.AsType[*NoKeysError](err)
	if !ok {
		t.Fatal(err)
	}
	ws.NameKeys(none)
	if k := none.Roles[0].Rules[0].Keys[0]; k.String() != "online "+k.ID[:8]+" env:online (last signed 2026-11-23T11:00Z)" {
		t.Errorf("%s", k)
	}
}

// A note that cannot be read or written holds nothing up.
func TestSeenHoldsNothingUp(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.must(os.WriteFile(ws.path(seenFile), []byte("{damaged"), 0o600))
	w.must(ws.Close())
	ws = w.open()
	if k, err := ws.Key("rel"); err != nil || !k.Seen.Time.IsZero() {
		t.Errorf("%+v, %v", k, err)
	}
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	ws.disk.Step = func(_, path string) error {
		if strings.HasSuffix(path, seenFile) {
			return errKilled
		}
		return nil
	}
	w.sign(ws)
	w.publish(ws)
}

// Killed at any step of noting what was seen, the workspace opens again with the old note or the new one.
func TestSeenKilledAtAnyStep(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.must(ws.Close())
	w.now = w.now.Add(time.Hour)
	probe := w.clone().open()
	steps := countSteps(probe.disk)
	_, err := probe.TestKeys(t.Context())
	w.must(err)
	for n := range kills(t, *steps) {
		victim := w.clone()
		ws := victim.open()
		killAt(ws.disk, n)
		_, err := ws.TestKeys(t.Context())
		w.must(err)
		w.must(ws.Close())
		ws = victim.open()
		noTemps(t, victim.dir)
		k, err := ws.Key("rel")
		w.must(err)
		if old, next := start.Truncate(time.Second), w.now.Truncate(time.Second); !k.Seen.Time.Equal(old) && !k.Seen.Time.Equal(next) {
			t.Errorf("step %d: seen %v", n, k.Seen.Time)
		}
	}
}

// Root keeps its spare key at every way to lose it.
func TestSpareKey(t *testing.T) {
	t.Parallel()
	w, ws := standard(t) // 1 of 2
	before := w.files()
	for name, edit := range map[string]RoleEdit{
		"a key removed":      {RemoveKeys: []string{"root-a"}},
		"a higher threshold": {Threshold: 2},
		"both, by key id":    {RemoveKeys: []string{"root-b"}, Threshold: 1},
	} {
		wantErr(t, ws.SetRole([]string{"root"}, edit), ErrNoSpareKey, "would lose its spare key")
		if len(ws.staged) != 0 || len(w.files()) != len(before) {
			t.Errorf("%s: staged %v", name, ws.staged)
		}
	}
	w.addKey(ws, "root-c")
	w.must(ws.SetRole([]string{"root"}, RoleEdit{AddKeys: []string{"root-c"}, RemoveKeys: []string{"root-a"}}))
	w.must(ws.SetRole([]string{"targets"}, RoleEdit{Threshold: 1})) // others can be given new keys by root
	w.must(ws.SetRole([]string{"root"}, RoleEdit{RemoveKeys: []string{"root-c"}, NoSpareKey: true}))
	if !ws.Config().NoSpareKey {
		t.Error("the decision is not recorded")
	}

	// While a repository is set up, keys come one by one; the first publish has the last word.
	fresh := newWorld(t)
	o := fresh.initOptions()
	o.Keys["root"] = []string{fresh.uri("root-a")}
	ws = fresh.init(o)
	fresh.sign(ws)
	_, err := fresh.assemble(ws)
	wantErr(t, err, ErrLint, "spare")
	fresh.addKey(ws, "root-b")
	fresh.must(ws.SetRole([]string{"root"}, RoleEdit{AddKeys: []string{"root-b"}}))
	wantErr(t, ws.SetRole([]string{"root"}, RoleEdit{RemoveKeys: []string{"root-b"}}), ErrNoSpareKey)
}
