package metadata

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// Whatever a tool writes, a signature that verifies is found, and nothing else.
func TestFindSignature(t *testing.T) {
	t.Parallel()
	payload, other := []byte("what is signed"), []byte("something else")
	for _, name := range KeyTypes() {
		private := testKey(t, name)
		signer, err := NewSigner(private)
		if err != nil {
			t.Fatal(err)
		}
		key := signer.Key()
		sig, err := signer.Sign(t.Context(), payload)
		if err != nil {
			t.Fatal(err)
		}
		wrong, err := signer.Sign(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		forms := map[string]func([]byte) []byte{
			"raw":    func(b []byte) []byte { return b },
			"hex":    func(b []byte) []byte { return []byte(hex.EncodeToString(b) + "\n") },
			"HEX":    func(b []byte) []byte { return []byte(strings.ToUpper(hex.EncodeToString(b))) },
			"base64": func(b []byte) []byte { return []byte(lines(base64.StdEncoding.EncodeToString(b))) },
			"JSON": func(b []byte) []byte {
				s := &DetachedSignature{Payload: checksum(payload), Sig: b, Key: key}
				data, _ := s.Marshal()
				return data
			},
		}
		if pub, ok := private.Public().(*ecdsa.PublicKey); ok {
			forms["two numbers"] = func(b []byte) []byte { return numbers(t, pub, b) }
		}
		for form, write := range forms {
			got, err := findSignature(key, payload, write(sig))
			if err != nil || VerifySignature(key, payload, got) != nil {
				t.Errorf("%s as %s: %v", name, form, err)
			}
			if _, err := findSignature(key, payload, write(wrong)); !errors.Is(err, ErrSignature) {
				t.Errorf("%s as %s over other bytes: %v", name, form, err)
			}
		}
		s := &DetachedSignature{Payload: checksum(other), Sig: wrong, Key: key}
		data, _ := s.Marshal()
		_, err = findSignature(key, payload, data)
		wantErr(t, err, ErrSignature, "it is over other bytes, with sha256 "+s.Payload)
		for _, junk := range []string{"", "{}", "{", "zz", strings.Repeat("0", MaxSignatureFile+1)} {
			if _, err := findSignature(key, payload, []byte(junk)); !errors.Is(err, ErrSignature) {
				t.Errorf("%s: %.10q: %v", name, junk, err)
			}
		}
	}
}

func lines(s string) string {
	var out strings.Builder
	for len(s) > 64 {
		out.WriteString(s[:64] + "\n")
		s = s[64:]
	}
	return out.String() + s + "\n"
}

// numbers writes an ECDSA signature as PKCS#11 does.
func numbers(t *testing.T, pub *ecdsa.PublicKey, der []byte) []byte {
	t.Helper()
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		t.Fatal(err)
	}
	n := pub.Curve.Params().BitSize / 8
	return append(rs.R.FillBytes(make([]byte, n)), rs.S.FillBytes(make([]byte, n))...)
}

// A signature that is added to what is staged takes no other away, not even an older one of the same key; a refused one
// changes nothing.
func TestAddSignature(t *testing.T) {
	t.Parallel()
	w, ws := handover(t)
	payload, err := ws.Payload("root")
	w.must(err)
	sign := func(name string, payload []byte) []byte {
		sig, err := w.key(name).Sign(t.Context(), payload)
		w.must(err)
		return sig
	}
	signed, err := ws.AddSignature("root", "root-b", sign("root-b", payload))
	if w.must(err); signed.Rules[0].Have != 1 || signed.Rules[1].Have != 1 {
		t.Errorf("counted %+v", signed)
	}
	id, err := w.key("root-a").Key().ID()
	w.must(err)
	_, err = ws.AddSignature("root", id, sign("root-a", payload))
	w.must(err)
	before := w.files()
	_, err = ws.AddSignature("root", "root-b", sign("root-b", payload))
	w.must(err)
	if !equalFiles(before, w.files()) {
		t.Error("the same signature again has changed something")
	}
	for name, tt := range map[string]struct {
		role, key string
		sig       []byte
		want      error
	}{
		"other bytes":  {"root", "root-x", sign("root-x", []byte("other")), ErrSignature},
		"another key":  {"root", "root-x", sign("root-b", payload), ErrSignature},
		"no key of it": {"root", "rel", sign("rel", payload), ErrSignature},
		"no key":       {"root", "nobody", sign("root-x", payload), ErrKeyMissing},
		"no role":      {"targets", "rel", sign("rel", payload), ErrInvalid},
	} {
		if _, err := ws.AddSignature(tt.role, tt.key, tt.sig); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if !equalFiles(before, w.files()) {
		t.Error("a refusal has changed the workspace")
	}
}

// One that does not verify makes room: a key has one signature, and clients refuse a second.
func TestAddReplacesWhatCountsForNothing(t *testing.T) {
	t.Parallel()
	key, err := GenerateKey(KeyECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := PublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	payload := []byte("p")
	good, err := key.Sign(rand.Reader, digestFor(key.Public().(*ecdsa.PublicKey), payload), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	rules := []rule{newRule("root v1", map[string]*tuf.Key{"k": pub}, []string{"k"}, 1)}
	e := &envelope{Signatures: []tuf.Signature{{KeyID: "k", Signature: []byte("x")}}}
	if err := e.add(pub, payload, []byte("y"), rules); !errors.Is(err, ErrSignature) {
		t.Error(err)
	}
	if err := e.add(pub, payload, good, rules); err != nil || len(e.Signatures) != 1 || string(e.Signatures[0].Signature) != string(good) {
		t.Errorf("%v, %v", err, e.Signatures)
	}
	second, err := key.Sign(rand.Reader, digestFor(key.Public().(*ecdsa.PublicKey), payload), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.add(pub, payload, second, rules); err != nil || string(e.Signatures[0].Signature) != string(good) {
		t.Errorf("a good signature was replaced: %v", err)
	}
}

// Only the canonical form of metadata is signed, and what it says is all shown.
func TestReadPayload(t *testing.T) {
	t.Parallel()
	w, ws := handover(t)
	w.must(ws.SetRole([]string{"root"}, RoleEdit{Expires: 100 * day}))
	payload, err := ws.Payload("root")
	w.must(err)
	info, err := ReadPayload(payload)
	if w.must(err); info.Type != "root" || info.Version != 2 || info.SHA256 != checksum(payload) || info.Expires.IsZero() {
		t.Errorf("%+v", info)
	}
	staged, err := bytesOf(ws.staged["root"])
	w.must(err)
	text := string(payload)
	var indented map[string]any
	w.must(json.Unmarshal(fileOf(payload), &indented))
	for name, bad := range map[string]string{
		"nothing":                   "",
		"a contract":                "I owe you",
		"other JSON":                `{"_type":"invoice","version":1}`,
		"the whole file":            string(staged),
		"space":                     text + "\n",
		"two of them":               text + text,
		"another order":             strings.Replace(text, `"consistent_snapshot":true,`, "", 1)[:len(text)-len(`"consistent_snapshot":true,`)-1] + `,"consistent_snapshot":true}`,
		"a member in other letters": strings.Replace(text, `"version":2`, `"version":2,"ver`+"\u017f"+`ion":3`, 1),
		"a version of zero":         strings.Replace(text, `"version":2`, `"version":0`, 1),
		"a fraction":                strings.Replace(text, `"version":2`, `"version":2.0`, 1),
		"an escape":                 strings.Replace(text, `"root"`, `"\u0072oot"`, 1),
		"broken UTF-8":              strings.Replace(text, `"root"`, "\"root\xff\"", 1),
	} {
		if _, err := ReadPayload([]byte(bad)); !errors.Is(err, ErrPayload) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := SignPayload(t.Context(), w.key("root-b"), []byte(bad)); !errors.Is(err, ErrPayload) {
			t.Errorf("%s: signed, %v", name, err)
		}
	}
}

// PEM has line ends, which the canonical form leaves as they are.
func TestReadPayloadWithPEM(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	key, err := GenerateKey(KeyECDSAP256)
	w.must(err)
	pub, err := PublicKey(key.Public())
	w.must(err)
	data, err := MarshalPublicKey(pub)
	w.must(err)
	_, err = ws.AddKey("p256", data, "Zoë \"Z\" \\ O'Hara")
	w.must(err)
	w.must(ws.SetRole([]string{"root"}, RoleEdit{AddKeys: []string{"p256"}}))
	payload, err := ws.Payload("root")
	w.must(err)
	if !strings.Contains(string(payload), "-----BEGIN PUBLIC KEY-----\n") {
		t.Fatal("no line ends in it")
	}
	if _, err := ReadPayload(payload); err != nil {
		t.Error(err)
	}
}
