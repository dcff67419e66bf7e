package metadata

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

func testSigner(t testing.TB, kind KeyType) Signer {
	t.Helper()
	s, err := NewSigner(testKey(t, kind))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func keyID(t testing.TB, key *tuf.Key) string {
	t.Helper()
	id, err := key.ID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func publicPEM(t testing.TB, pub crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func TestPublicKey(t *testing.T) {
	t.Parallel()
	for kind, want := range map[KeyType][2]string{
		KeyEd25519:   {"ed25519", "ed25519"},
		KeyECDSAP256: {"ecdsa", "ecdsa-sha2-nistp256"},
		KeyECDSAP384: {"ecdsa", "ecdsa-sha2-nistp384"},
		KeyRSA3072:   {"rsa", "rsassa-pss-sha256"},
	} {
		private := testKey(t, kind)
		key, err := PublicKey(private.Public())
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]string{key.Type, key.Scheme}; got != want {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
		// TUF spec 4.2: the id is the sha256 of the canonical form.
		canonical, err := cjson.EncodeCanonical(map[string]any{
			"keytype": want[0], "scheme": want[1], "keyval": map[string]any{"public": key.Value.PublicKey},
		})
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(canonical)
		if id := keyID(t, key); id != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: key id %s", kind, id)
		}
		if pub, err := key.ToPublicKey(); err != nil || !pub.(interface{ Equal(crypto.PublicKey) bool }).Equal(private.Public()) {
			t.Errorf("%s: go-tuf reads another key: %v", kind, err)
		}
	}
}

func TestPublicKeyRefuses(t *testing.T) {
	t.Parallel()
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	full := testKey(t, KeyRSA3072).(*rsa.PrivateKey)
	short := &rsa.PublicKey{N: new(big.Int).Rsh(full.N, 1024), E: full.E}
	for name, pub := range map[string]crypto.PublicKey{
		"P-521": p521.Public(), "ed25519, one byte less": ed25519.PublicKey(make([]byte, 31)),
		"RSA, 1024 bits": short, "RSA, 8193 bits": &rsa.PublicKey{N: new(big.Int).SetBit(full.N, 8192, 1), E: full.E}, "nothing": nil, "a string": "key",
	} {
		if key, err := PublicKey(pub); !errors.Is(err, ErrKey) || key != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParsePublicKey(t *testing.T) {
	t.Parallel()
	for _, kind := range KeyTypes() {
		pub := testKey(t, kind).Public()
		want, err := PublicKey(pub)
		if err != nil {
			t.Fatal(err)
		}
		asJSON, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		asPEM, err := MarshalPublicKey(want)
		if err != nil || !bytes.Equal(asPEM, publicPEM(t, pub)) {
			t.Errorf("%s: %v\n%s", kind, err, asPEM)
		}
		for _, data := range [][]byte{asPEM, asJSON, append([]byte("\n"), asPEM...)} {
			got, err := ParsePublicKey(data)
			if err != nil || keyID(t, got) != keyID(t, want) {
				t.Errorf("%s: %v", kind, err)
			}
		}
	}
}

// Keys of other programs have other types and fields: one key has one id with us.
func TestParsePublicKeyNormalises(t *testing.T) {
	t.Parallel()
	want := testSigner(t, KeyECDSAP256).Key()
	foreign, err := json.Marshal(map[string]any{
		"keytype": "ecdsa-sha2-nistp256", "scheme": "ecdsa-sha2-nistp256", "x-owner": "@joe",
		"keyid_hash_algorithms": []string{"sha256", "sha512"},
		"keyval":                map[string]any{"public": strings.ReplaceAll(want.Value.PublicKey, "\n", "\r\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParsePublicKey(foreign)
	if err != nil || keyID(t, got) != keyID(t, want) {
		t.Errorf("%v", err)
	}
	var key tuf.Key
	if err := json.Unmarshal(foreign, &key); err != nil {
		t.Fatal(err)
	}
	if !sameKey(&key, want) {
		t.Error("one key in two spellings counts as two")
	}
}

// badKeys are keys that go-tuf takes, or panics on, and that no client can use alike.
func badKeys(t testing.TB) map[string]tuf.Key {
	ed, p256, p384 := testSigner(t, KeyEd25519).Key(), testSigner(t, KeyECDSAP256).Key(), testSigner(t, KeyECDSAP384).Key()
	with := func(key *tuf.Key, change func(*tuf.Key)) tuf.Key {
		k := tuf.Key{Type: key.Type, Scheme: key.Scheme, Value: key.Value}
		change(&k)
		return k
	}
	return map[string]tuf.Key{
		"ed25519, short":        with(ed, func(k *tuf.Key) { k.Value.PublicKey = k.Value.PublicKey[2:] }),
		"ed25519, long":         with(ed, func(k *tuf.Key) { k.Value.PublicKey += "00" }),
		"ed25519, no hex":       with(ed, func(k *tuf.Key) { k.Value.PublicKey = strings.Repeat("x", 64) }),
		"ed25519, other scheme": with(ed, func(k *tuf.Key) { k.Scheme = "ecdsa-sha2-nistp256" }),
		"P-384 as nistp256":     with(p384, func(k *tuf.Key) { k.Scheme = "ecdsa-sha2-nistp256" }),
		"P-384, old type":       with(p384, func(k *tuf.Key) { k.Type = "ecdsa-sha2-nistp256" }),
		"P-256 as nistp384":     with(p256, func(k *tuf.Key) { k.Scheme = "ecdsa-sha2-nistp384" }),
		"P-256 as RSA":          with(p256, func(k *tuf.Key) { k.Type, k.Scheme = "rsa", "rsassa-pss-sha256" }),
		"P-256, no scheme":      with(p256, func(k *tuf.Key) { k.Scheme = "" }),
		"P-256, hex": with(p256, func(k *tuf.Key) {
			k.Value.PublicKey = "04cbc5cab2684160323c25cd06c3307178a6b1d1c9b949328453ae473c5ba7527e35b13f298b41633382241f3fd8526c262d43b45adee5c618fa0642c82b8a9803"
		}),
		"P-256, a type to come":  with(p256, func(k *tuf.Key) { k.Type = "sigstore-oidc" }),
		"nothing":                {},
		"ed25519 with no value":  {Type: "ed25519", Scheme: "ed25519"},
		"a private key, by slip": with(p256, func(k *tuf.Key) { k.Value.PublicKey = string(cheapPEM(t, testKey(t, KeyECDSAP256), testPassphrase)) }),
	}
}

func TestBadKeys(t *testing.T) {
	t.Parallel()
	for name, key := range badKeys(t) {
		data, err := json.Marshal(&key)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParsePublicKey(data); !errors.Is(err, ErrKey) || got != nil {
			t.Errorf("%s: ParsePublicKey: %v", name, err)
		}
		if got, err := MarshalPublicKey(&key); !errors.Is(err, ErrKey) || got != nil {
			t.Errorf("%s: MarshalPublicKey: %v", name, err)
		}
		if err := VerifySignature(&key, []byte("payload"), make([]byte, 64)); !errors.Is(err, ErrKey) {
			t.Errorf("%s: VerifySignature: %v", name, err)
		}
	}
	hexKey := badKeys(t)["P-256, hex"]
	if err := VerifySignature(&hexKey, nil, nil); err == nil || !strings.Contains(err.Error(), "hex") {
		t.Errorf("the message does not name the cause: %v", err)
	}
}

func TestVerifySignature(t *testing.T) {
	t.Parallel()
	payload := []byte(`{"_type":"root"}`)
	other := []byte(`{"_type":"Root"}`)
	for _, kind := range KeyTypes() {
		s := testSigner(t, kind)
		stranger, err := NewSigner(otherKey(t, kind))
		if err != nil {
			t.Fatal(err)
		}
		sig, err := s.Sign(t.Context(), payload)
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifySignature(s.Key(), payload, sig); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if err := VerifySignature(s.Key(), other, sig); !errors.Is(err, errSignature) {
			t.Errorf("%s: another payload: %v", kind, err)
		}
		if err := VerifySignature(stranger.Key(), payload, sig); !errors.Is(err, errSignature) {
			t.Errorf("%s: another key: %v", kind, err)
		}
		for _, bad := range [][]byte{nil, sig[:len(sig)-1], append(slices.Clone(sig), 0), make([]byte, len(sig)), flip(sig)} {
			if err := VerifySignature(s.Key(), payload, bad); !errors.Is(err, errSignature) {
				t.Errorf("%s: a bad signature: %v", kind, err)
			}
		}
	}
}

func flip(b []byte) []byte {
	out := slices.Clone(b)
	out[len(out)/2] ^= 1
	return out
}

// PKCS#1 v1.5 and SHA-256 on P-384 are what other libraries make of these keys by default: they must not count.
func TestVerifySignatureByScheme(t *testing.T) {
	t.Parallel()
	payload := []byte("payload")
	sum := sha256.Sum256(payload)
	rsaKey := testKey(t, KeyRSA3072).(*rsa.PrivateKey)
	v15, err := rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	p384 := testKey(t, KeyECDSAP384).(*ecdsa.PrivateKey)
	wrongHash, err := ecdsa.SignASN1(rand.Reader, p384, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		pub crypto.PublicKey
		sig []byte
	}{"PKCS#1 v1.5": {rsaKey.Public(), v15}, "P-384 over SHA-256": {p384.Public(), wrongHash}} {
		key, err := PublicKey(c.pub)
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifySignature(key, payload, c.sig); !errors.Is(err, errSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Clients that do not take the length of the salt from the signature expect that of the hash.
func TestRSASalt(t *testing.T) {
	t.Parallel()
	key := testKey(t, KeyRSA3072).(*rsa.PrivateKey)
	s, err := NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign(t.Context(), []byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("payload"))
	if err := rsa.VerifyPSS(&key.PublicKey, crypto.SHA256, sum[:], sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}); err != nil {
		t.Error(err)
	}
}

// go-tuf, which knows nothing of our signer, must count every signature that it makes.
func TestGoTUFVerifiesSignatures(t *testing.T) {
	t.Parallel()
	expires := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, kind := range append(KeyTypes(), "all") {
		kinds := []KeyType{kind}
		if kind == "all" {
			kinds = KeyTypes()
		}
		root := tuf.Root(expires)
		var signers []Signer
		for _, k := range kinds {
			s := testSigner(t, k)
			signers = append(signers, s)
			if err := root.Signed.AddKey(s.Key(), tuf.TARGETS); err != nil {
				t.Fatal(err)
			}
		}
		root.Signed.Roles[tuf.TARGETS].Threshold = len(signers)
		data, err := tuf.Targets(expires).ToBytes(true)
		if err != nil {
			t.Fatal(err)
		}
		e, err := openEnvelope(data)
		if err != nil {
			t.Fatal(err)
		}
		r := rootRule(root, tuf.TARGETS)
		verify := func(e envelope) error {
			t.Helper()
			data, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			md, err := new(tuf.Metadata[tuf.TargetsType]).FromBytes(data)
			if err != nil {
				t.Fatal(err)
			}
			return root.VerifyDelegate(tuf.TARGETS, md)
		}
		for i, s := range signers {
			if err := verify(e); err == nil {
				t.Fatalf("%s: go-tuf is content with %d of %d signatures", kind, i, len(signers))
			}
			if ok, err := e.sign(context.Background(), s, []rule{r}); err != nil || !ok {
				t.Fatalf("%s: %v", kind, err)
			}
		}
		if err := verify(e); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		tampered := e
		tampered.Signed = bytes.Replace(e.Signed, []byte("2030"), []byte("2031"), 1)
		if err := verify(tampered); err == nil {
			t.Errorf("%s: go-tuf takes a changed expiry", kind)
		}
		// Signing again replaces: two signatures of one key make a file that no client loads.
		if _, err := e.sign(context.Background(), signers[0], []rule{r}); err != nil {
			t.Fatal(err)
		}
		if len(e.Signatures) != len(signers) {
			t.Errorf("%s: %d signatures of %d keys", kind, len(e.Signatures), len(signers))
		}
		if err := verify(e); err != nil {
			t.Errorf("%s: signed again: %v", kind, err)
		}
	}
}

// Foreign metadata may know a key by an id that is not its hash, or by several: the signature must stand under these.
func TestSignUnderIDsOfDelegator(t *testing.T) {
	t.Parallel()
	s, stranger := testSigner(t, KeyECDSAP256), testSigner(t, KeyECDSAP256)
	old := *s.Key()
	old.Type = tuf.KeyTypeECDSA_SHA2_P256_COMPAT
	r := newRule("root v1", map[string]*tuf.Key{"aa": s.Key(), "bb": &old, "cc": stranger.Key()}, []string{"aa", "bb", "cc"}, 2)
	e := envelope{Signed: json.RawMessage(`{"_type":"targets"}`), Signatures: []tuf.Signature{
		{KeyID: "aa", Signature: []byte("old")}, {KeyID: "cc", Signature: []byte("other")}, {KeyID: "dd", Signature: []byte("nobody's")},
	}}
	if ok, err := e.sign(t.Context(), s, []rule{r}); err != nil || !ok {
		t.Fatal(ok, err)
	}
	var ids []string
	for _, sig := range e.Signatures {
		ids = append(ids, sig.KeyID)
	}
	if !slices.Equal(ids, []string{"cc", "aa", "bb"}) {
		t.Errorf("signatures of %v", ids)
	}
	p, err := e.payload()
	if err != nil {
		t.Fatal(err)
	}
	if n := r.count(r.signed(p, e.Signatures)); n != 1 {
		t.Errorf("one key under two ids counts as %d", n)
	}
	if ok, err := e.sign(t.Context(), testSigner(t, KeyEd25519), []rule{r}); err != nil || ok {
		t.Errorf("a key that nobody trusts signed: %v", err)
	}
}

func FuzzParsePublicKey(f *testing.F) {
	for _, kind := range KeyTypes() {
		key := testSigner(f, kind).Key()
		data, err := json.Marshal(key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		asPEM, err := MarshalPublicKey(key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(asPEM)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := ParsePublicKey(data)
		if err != nil {
			if key != nil || !errors.Is(err, ErrKey) {
				t.Fatalf("%v, %v", key, err)
			}
			return
		}
		asPEM, err := MarshalPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParsePublicKey(asPEM)
		if err != nil || !sameKey(key, again) || keyID(t, key) != keyID(t, again) {
			t.Fatalf("does not come back: %v", err)
		}
		if err := VerifySignature(key, data, data); !errors.Is(err, errSignature) {
			t.Fatalf("data signs itself: %v", err)
		}
	})
}
