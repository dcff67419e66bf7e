package trust_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// documents returns one valid file of each kind, with every member that the
// format knows.
func documents(t testing.TB) map[string][]byte {
	r := tuftest.NewRepo(t, tuftest.RepoOptions{Keys: 2, Threshold: 2})
	r.AddEntry("targets", "file", 7, strings.Repeat("ab", 32), map[string]any{"n": 1})
	r.Delegate("targets", "team", []string{"team/*"}, true)
	r.DelegateBins("targets", "images", 2)
	r.Publish()
	docs := map[string][]byte{}
	for _, role := range []string{"root", "timestamp", "snapshot", "targets", "team", "images"} {
		docs[role] = r.Data(role)
	}
	return docs
}

func TestPrecheckTakesValidMetadata(t *testing.T) {
	t.Parallel()
	for role, data := range documents(t) {
		if err := trust.Precheck(role, data); err != nil {
			t.Errorf("%s: %v", role, err)
		}
		// Members that are not known may hold anything.
		for _, at := range []string{`{`, `"signed":{`} {
			more := bytes.Replace(data, []byte(at), []byte(at+`"x-more":[null,{"a":1.5},-1e9,true],`), 1)
			if err := trust.Precheck(role, more); err != nil {
				t.Errorf("%s: %v", role, err)
			}
		}
	}
}

// Malformed metadata is refused: at every position of every document, every value
// of another kind, and every member left out, given twice, or spelt otherwise.
func TestMalformedMetadataIsRefused(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	for role, data := range documents(t) {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			tuftest.EveryPosition(t, data, func(path []string, old any, with func(string) []byte) {
				for _, odd := range tuftest.OddValues() {
					if bytes.Equal(encode(t, old), []byte(odd.Text)) {
						continue
					}
					changed := with(odd.Text)
					err := trust.Precheck(role, changed)
					if err != nil {
						if !errors.Is(err, trust.ErrMalformed) {
							t.Errorf("%s = %s: %v", strings.Join(path, "."), odd.Name, err)
						}
						continue
					}
					if !mayBe(path, old, odd.Text) {
						t.Errorf("%s = %s is taken", strings.Join(path, "."), odd.Name)
					}
					parseWithGoTUF(role, changed)
				}
			})
		})
	}
}

// mayBe says which of the changed values are allowed after all: those of the same
// kind where the format does not say more, and anything inside custom that is not
// too deep.
func mayBe(path []string, old any, text string) bool {
	where := strings.Join(path, ".")
	if len(text) > 100 && strings.Contains("[{", text[:1]) {
		return false
	}
	if strings.Contains(where, ".custom.") {
		return true
	}
	switch old.(type) {
	case json.Number:
		return text == "7"
	case string:
		return text[0] == '"'
	case bool:
		return text == "true" || text == "false"
	case []any:
		return text == "[]"
	case map[string]any:
		last := path[len(path)-1]
		// Empty ones, where nothing is required.
		return text == "{}" && (last == "keys" || last == "targets" || last == "custom") || text[0] == '{' && last == "custom"
	}
	return false
}

// parseWithGoTUF holds that what is let through can be parsed.
func parseWithGoTUF(role string, data []byte) {
	switch role {
	case "root":
		_, _ = tuf.Root().FromBytes(data)
	case "timestamp":
		_, _ = tuf.Timestamp().FromBytes(data)
	case "snapshot":
		_, _ = tuf.Snapshot().FromBytes(data)
	default:
		_, _ = tuf.Targets().FromBytes(data)
	}
}

func TestMembersLeftOut(t *testing.T) {
	t.Parallel()
	optional := map[string]bool{
		"consistent_snapshot": true, "length": true, "hashes": true, "custom": true, "delegations": true,
		"terminating": true, "paths": true, "n": true, "sha256": true, "file": true, "team.json": true,
		"images.json": true, "images-0.json": true, "images-1.json": true,
	}
	for role, data := range documents(t) {
		tree := decode(t, data)
		objects(tree, nil, func(path []string, object map[string]any) {
			if in := path[max(0, len(path)-1):]; len(in) == 1 && (in[0] == "keys" || in[0] == "targets") {
				return
			}
			for _, name := range names(object) {
				old := object[name]
				delete(object, name)
				err := trust.Precheck(role, encode(t, tree))
				isTarget := len(path) > 0 && path[len(path)-1] == "file"
				if err == nil && (!optional[name] || isTarget && name != "custom") {
					t.Errorf("%s: %s without %q is taken", role, strings.Join(path, "."), name)
				}
				object[name] = old
			}
		})
	}
}

func TestMembersGivenTwice(t *testing.T) {
	t.Parallel()
	for role, data := range documents(t) {
		tree := decode(t, data)
		objects(tree, nil, func(path []string, object map[string]any) {
			for _, name := range names(object) {
				old := object[name]
				delete(object, name)
				object["\x01"], object["\x02"] = old, old
				both := encode(t, tree)
				both = bytes.ReplaceAll(both, []byte(`"\u0001"`), quoted(name))
				both = bytes.ReplaceAll(both, []byte(`"\u0002"`), quoted(name))
				delete(object, "\x01")
				delete(object, "\x02")
				object[name] = old
				if trust.Precheck(role, both) == nil {
					t.Errorf("%s: %s with %q twice is taken", role, strings.Join(path, "."), name)
				}
			}
		})
	}
}

// encoding/json takes any spelling of a member for the one that it knows.
func TestMembersInAnotherSpelling(t *testing.T) {
	t.Parallel()
	for role, data := range documents(t) {
		for _, name := range []string{"signed", "signatures", "version", "expires", "_type", "keys", "roles", "meta", "targets", "delegations", "threshold", "keyids"} {
			if !bytes.Contains(data, quoted(name)) {
				continue
			}
			for _, other := range []string{strings.ToUpper(name), strings.ReplaceAll(name, "s", "ſ"), strings.ReplaceAll(name, "k", "\u212a")} {
				if other == name {
					continue
				}
				more := bytes.Replace(data, quoted(name), append(append(quoted(other), ":1,"...), quoted(name)...), 1)
				if trust.Precheck(role, more) == nil {
					t.Errorf("%s: %q beside %q is taken", role, other, name)
				}
			}
		}
	}
}

func TestPrecheckRefuses(t *testing.T) {
	t.Parallel()
	docs := documents(t)
	edit := func(role string, change func(signed map[string]any)) []byte {
		tree := decode(t, docs[role]).(map[string]any)
		change(tree["signed"].(map[string]any))
		return encode(t, tree)
	}
	delegation := func(change func(role map[string]any)) []byte {
		return edit("targets", func(signed map[string]any) {
			change(signed["delegations"].(map[string]any)["roles"].([]any)[0].(map[string]any))
		})
	}
	tests := map[string]struct {
		role string
		data []byte
		says string
	}{
		"nothing":           {"root", nil, "empty"},
		"two texts":         {"root", append(bytes.Clone(docs["root"]), "{}"...), "JSON"},
		"a cut file":        {"root", docs["root"][:50], "JSON"},
		"not UTF-8":         {"root", bytes.Replace(docs["root"], []byte(`"root"`), []byte("\"\xff\""), 1), "UTF-8"},
		"another type":      {"timestamp", docs["snapshot"], "timestamp"},
		"a role as root":    {"root", docs["targets"], "root"},
		"version 0":         {"root", edit("root", func(s map[string]any) { s["version"] = 0 }), "whole number"},
		"a version in text": {"root", edit("root", func(s map[string]any) { s["version"] = "1" }), "number"},
		"spec version 2":    {"root", edit("root", func(s map[string]any) { s["spec_version"] = "2.0.0" }), "specification"},
		"spec version 10":   {"root", edit("root", func(s map[string]any) { s["spec_version"] = "10.0" }), "specification"},
		"an odd expiry":     {"root", edit("root", func(s map[string]any) { s["expires"] = "tomorrow" }), "RFC 3339"},
		"hash prefixes": {"targets", delegation(func(r map[string]any) {
			delete(r, "paths")
			r["path_hash_prefixes"] = []any{"00"}
		}), "path_hash_prefixes are not supported"},
		"a role root":      {"targets", delegation(func(r map[string]any) { r["name"] = "root" }), `"root"`},
		"a role timestamp": {"targets", delegation(func(r map[string]any) { r["name"] = "timestamp" }), `"timestamp"`},
		"a role snapshot":  {"targets", delegation(func(r map[string]any) { r["name"] = "snapshot" }), `"snapshot"`},
		"a role targets":   {"targets", delegation(func(r map[string]any) { r["name"] = "targets" }), `"targets"`},
		"one role twice":   {"targets", delegation(func(r map[string]any) { r["name"] = "images" }), "twice"},
		"threshold 0":      {"targets", delegation(func(r map[string]any) { r["threshold"] = 0 }), "whole number"},
		"roles and bins":   {"images", edit("images", func(s map[string]any) { s["delegations"].(map[string]any)["roles"] = []any{} }), "not both"},
		"33 bits":          {"images", edit("images", func(s map[string]any) { succinct(s)["bit_length"] = 33 }), "32"},
		"a short key":      {"root", bytes.Replace(docs["root"], []byte(`"public":"`), []byte(`"public":"00`), 1), "ed25519"},
		"a length below 0": {"targets", edit("targets", func(s map[string]any) { target(s)["length"] = -1 }), "whole number"},
		"no hash":          {"targets", edit("targets", func(s map[string]any) { target(s)["hashes"] = map[string]any{} }), "hash"},
		"a second signature": {"targets", func() []byte {
			tree := decode(t, docs["targets"]).(map[string]any)
			s := tree["signatures"].([]any)
			tree["signatures"] = append(s, s[0])
			return encode(t, tree)
		}(), "second signature"},
		"deep nesting": {"targets", edit("targets", func(s map[string]any) {
			s["x"] = json.RawMessage(strings.Repeat("[", 100) + strings.Repeat("]", 100))
		}), "deeply"},
		"many values": {"targets", edit("targets", func(s map[string]any) {
			s["x"] = json.RawMessage("[" + strings.Repeat("0,", 100_000) + "0]")
		}), "values"},
		"a hex-encoded ECDSA key": {"root", edit("root", func(s map[string]any) {
			for _, key := range s["keys"].(map[string]any) {
				key.(map[string]any)["keytype"] = "ecdsa-sha2-nistp256"
			}
		}), "hex-encoded"},
		"a type in capitals":      {"targets", edit("targets", func(s map[string]any) { s["_type"] = "Targets" }), "needed"},
		"a file that is an array": {"root", []byte("[]"), "object"},
		"a signature that is no hex": {"targets", func() []byte {
			tree := decode(t, docs["targets"]).(map[string]any)
			tree["signatures"].([]any)[0].(map[string]any)["sig"] = "signed"
			return encode(t, tree)
		}(), "hex"},
		"a threshold of root of 0": {"root", edit("root", func(s map[string]any) {
			s["roles"].(map[string]any)["root"].(map[string]any)["threshold"] = 0
		}), "whole number"},
		"a threshold of bins of 0": {"images", edit("images", func(s map[string]any) { succinct(s)["threshold"] = 0 }), "whole number"},
		"bins of no bits":          {"images", edit("images", func(s map[string]any) { succinct(s)["bit_length"] = 0 }), "whole number"},
		"a role without a name":    {"targets", delegation(func(r map[string]any) { r["name"] = "" }), "without a name"},
		"a meta version of 0":      {"snapshot", edit("snapshot", func(s map[string]any) { meta(s, "targets.json")["version"] = 0 }), "whole number"},
		"a meta length of 0":       {"snapshot", edit("snapshot", func(s map[string]any) { meta(s, "targets.json")["length"] = 0 }), "whole number"},
		"a hash that is no hex": {"targets", edit("targets", func(s map[string]any) {
			target(s)["hashes"] = map[string]any{"sha256": "hash"}
		}), "hex"},
		"an empty hash": {"targets", edit("targets", func(s map[string]any) {
			target(s)["hashes"] = map[string]any{"sha256": ""}
		}), "hex"},
		"a key of 8193 bits": {"root", edit("root", func(s map[string]any) {
			large, _ := rsaPEM(t, 8193)
			for _, key := range s["keys"].(map[string]any) {
				key := key.(map[string]any)
				key["keytype"], key["keyval"] = "rsa", map[string]any{"public": large}
			}
		}), "8193 bits"},
	}
	for name, test := range tests {
		err := trust.Precheck(test.role, test.data)
		e := refused(t, err, trust.ErrMalformed)
		if e.Role != test.role || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want it to say %q", name, err, test.says)
		}
	}
}

func succinct(signed map[string]any) map[string]any {
	return signed["delegations"].(map[string]any)["succinct_roles"].(map[string]any)
}

func target(signed map[string]any) map[string]any {
	return signed["targets"].(map[string]any)["file"].(map[string]any)
}

// Malformed files are refused before they are parsed, wherever they come from.
func TestMalformedFilesOfTheSource(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	for _, role := range []string{"root", "timestamp", "snapshot", "targets", "team"} {
		for name, bad := range map[string]string{
			"null": "null", "array": "[]", "empty": "", "number": "1", "cut": `{"signed": {`, "nothing signed": `{"signed":{},"signatures":[]}`,
		} {
			t.Run(role+" "+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, tuftest.RepoOptions{BareMeta: true})
				w.Delegate("targets", "team", []string{"team/*"}, false)
				w.AddTargetTo("team", "team/file", []byte("x"))
				w.Touch("root")
				w.publish()
				w.edit = func(files map[string][]byte) { files[w.Title(role)] = []byte(bad) }
				w.out()
				view, err := w.refresh()
				if role == "team" && err == nil {
					err = lookup(t, view, "team/file")
				}
				if name == "empty" && err != nil && !errors.Is(err, trust.ErrMalformed) {
					return // a bundle has no empty files
				}
				if e := refused(t, err, trust.ErrMalformed); e.Role != role {
					t.Errorf("evidence %+v", e)
				}
			})
		}
	}
}

// What is signed by the right keys, and go-tuf would take, is refused as well.
func TestSignedButMalformed(t *testing.T) {
	t.Parallel()
	delegateTo := func(name string) func(map[string]any) {
		return func(signed map[string]any) {
			signed["delegations"].(map[string]any)["roles"].([]any)[0].(map[string]any)["name"] = name
		}
	}
	otherSpec := func(signed map[string]any) { signed["spec_version"] = "9.0.0" }
	for name, test := range map[string]struct {
		role string
		edit func(map[string]any)
	}{
		"root of another spec":          {"root", otherSpec},
		"timestamp of another spec":     {"timestamp", otherSpec},
		"snapshot of another spec":      {"snapshot", otherSpec},
		"targets of another spec":       {"targets", otherSpec},
		"delegated role, another spec":  {"team", otherSpec},
		"delegation to root":            {"targets", delegateTo("root")},
		"delegation to timestamp":       {"targets", delegateTo("timestamp")},
		"nested delegation to snapshot": {"team", delegateTo("snapshot")},
		"nested delegation to targets":  {"team", delegateTo("targets")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tuftest.RepoOptions{})
			w.Delegate("targets", "team", []string{"team/*"}, false)
			w.Delegate("team", "sub", []string{"team/*"}, false)
			w.AddTargetTo("team", "team/file", []byte("x"))
			w.Touch("root")
			w.publish()
			w.Forge(test.role, test.edit)
			w.out()
			view, err := w.refresh()
			if test.role == "team" && err == nil {
				err = lookup(t, view, "team/file")
			}
			e := refused(t, err, trust.ErrMalformed)
			if e.Role != test.role || e.Source == "" {
				t.Errorf("evidence %+v", e)
			}
		})
	}
}

func decode(t testing.TB, data []byte) any {
	t.Helper()
	var tree any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

func encode(t testing.TB, tree any) []byte {
	t.Helper()
	data, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func quoted(s string) []byte { return fmt.Appendf(nil, "%q", s) }

func names(object map[string]any) []string {
	var names []string
	for name := range object {
		names = append(names, name)
	}
	return names
}

// positions calls visit with each value below a tree and a way to replace it.
func positions(tree any, path []string, visit func(path []string, old any, replace func(any))) {
	switch tree := tree.(type) {
	case map[string]any:
		for _, name := range names(tree) {
			old, at := tree[name], append(path[:len(path):len(path)], name)
			visit(at, old, func(v any) { tree[name] = v })
			positions(old, at, visit)
		}
	case []any:
		for i, old := range tree {
			at := append(path[:len(path):len(path)], fmt.Sprint(i))
			visit(at, old, func(v any) { tree[i] = v })
			positions(old, at, visit)
		}
	}
}

// objects calls visit with each object of a tree.
func objects(tree any, path []string, visit func(path []string, object map[string]any)) {
	if object, ok := tree.(map[string]any); ok {
		visit(path, object)
	}
	positions(tree, path, func(path []string, old any, _ func(any)) {
		if object, ok := old.(map[string]any); ok {
			visit(path, object)
		}
	})
}

// What a stranger sends is not repeated at length in messages.
func TestPrecheckMessagesAreShort(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	long := strings.Repeat("é1", 1<<20)
	for _, data := range []string{
		`{"` + long + `":1,"` + long + `":1}`,
		`{"signed":{"_type":"` + long + `"}}`,
		`{"signed":{"version":` + strings.Repeat("1", 1<<20) + `}}`,
	} {
		if err := trust.Precheck("targets", []byte(data)); err == nil || len(err.Error()) > 1000 || !utf8.ValidString(err.Error()) {
			t.Errorf("a message of %d bytes for a file of %d", len(err.Error()), len(data))
		}
	}
}

// rsaPEM is an RSA key with so many bits, which nobody has, in both of its forms.
func rsaPEM(t *testing.T, bits uint) (pkix, pkcs1 string) {
	t.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	key := &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(key)}))
}

// Each encoding of a public key that is not read.
func TestPrecheckPublicKeys(t *testing.T) {
	t.Parallel()
	hexKey := strings.Repeat("ab", 32)
	for _, test := range []struct {
		keyType, public string
		good            bool
	}{
		{"ed25519", hexKey, true},
		{"ed25519", hexKey[2:], false},
		{"ed25519", hexKey + "ab", false},
		{"ed25519", strings.Repeat("xy", 32), false},
		{"ecdsa", hexKey, false},
		{"ecdsa-sha2-nistp256", hexKey, false},
		{"rsa", hexKey, false},
		{"of a later time", hexKey, true},
	} {
		if err := trust.PublicKey(test.keyType, test.public); (err == nil) != test.good {
			t.Errorf("%s %s: %v", test.keyType, test.public, err)
		}
	}
}

// What a file may hold grows with it: a large file of a real repository is taken.
func TestPrecheckLargeFile(t *testing.T) {
	t.Parallel()
	value := `"` + strings.Repeat("x", 20) + `",`
	file := tuftest.NewRepo(t, tuftest.RepoOptions{}).Data("timestamp")
	more := fmt.Appendf(nil, `{"x-more":[%s0],`, strings.Repeat(value, 70_000))
	if err := trust.Precheck("timestamp", bytes.Replace(file, []byte("{"), more, 1)); err != nil {
		t.Error(err)
	}
}

// A signature by a key that is too large takes hours to verify.
func TestPrecheckLargeKey(t *testing.T) {
	t.Parallel()
	for bits, good := range map[uint]bool{8192: true, 8193: false, 100_000: false} {
		pkix, pkcs1 := rsaPEM(t, bits)
		for _, key := range []string{pkix, pkcs1} {
			if err := trust.PublicKey("rsa", key); (err == nil) != good {
				t.Errorf("%d bits: %v", bits, err)
			}
		}
	}
}

// Names of strangers are shown in one short line, and nothing of them is obeyed.
func TestErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	const odd = "a\n\x1b[31mb\u202e"
	const want = `a\n\x1b[31mb\u202e`
	_, err := trust.New([]byte(strings.ReplaceAll(`{"signed":{"_type":"root","roles":{"ODD":5}},"signatures":[]}`, "ODD", `a\n\u001b[31mb\u202e`)), trust.Options{})
	if text := fmt.Sprint(err); !strings.Contains(text, want) || strings.Contains(text, odd) {
		t.Errorf("%q", text)
	}
	e := &trust.VerificationError{Kind: trust.ErrThreshold, Role: odd, Version: 3}
	if got := e.Error(); got != "not enough valid signatures: "+want+" v3" {
		t.Errorf("%q", got)
	}
	if e.Role = strings.Repeat("long", 1000); len(e.Error()) > 600 {
		t.Errorf("%d bytes", len(e.Error()))
	}
}
