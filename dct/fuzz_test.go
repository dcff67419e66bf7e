package dct

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
	"testing/fstest"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// notaryFiles is metadata that Notary has written, by the roles.
func notaryFiles(t testing.TB) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, role := range []string{roleRoot, roleTargets, roleSnapshot, roleTimestamp, roleReleases} {
		data, err := os.ReadFile("testdata/notary/" + role + ".json")
		if err != nil {
			t.Fatal(err)
		}
		files[role] = data
	}
	return files
}

// A list of docker names repositories and tags, each once, by digests in one form.
func FuzzReadList(f *testing.F) {
	sum := "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"
	f.Add([]byte(`[{"Name":"r.io/a:1","SignedTags":[{"SignedTag":"1","Digest":"` + sum + `","Signers":["x"]}],"Signers":[{"Name":"x","Keys":[{"ID":"0a"}]}],` +
		`"AdministrativeKeys":[{"Name":"Repository","Keys":[{"ID":"0b"}]},{"Name":"Root","Keys":null}]}]`))
	f.Add([]byte(`[{"Name":"r.io/a","SignedTags":[{"SignedTag":"1","Digest":"` + sum + `"},{"SignedTag":"1","Digest":"` + sum + `"}]}]`))
	f.Add([]byte(`[null]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ReadList(data)
		if err != nil {
			if list != nil || !errors.Is(err, ErrFormat) {
				t.Fatalf("%v, %v", list, err)
			}
			return
		}
		for _, r := range list {
			if r.GUN == "" || r.Verified || len(r.Tags) > maxTags {
				t.Fatalf("%+v", r)
			}
			for i, tag := range r.Tags {
				if len(tag.SHA256) != 64 || i > 0 && r.Tags[i-1].Name >= tag.Name {
					t.Fatalf("%+v", r.Tags)
				}
			}
		}
	})
}

// A file of Notary is read as it is signed: what a parser takes from it stands in the canonical form, each member once.
func FuzzParseFile(f *testing.F) {
	for role, data := range notaryFiles(f) {
		f.Add(role, data)
	}
	f.Add(roleRoot, []byte(`{"signed":{"_type":"Root","keys":{"a":{"keytype":"ed25519","keyval":{"public":"AA=="}}},"keys":{}}}`))
	f.Fuzz(func(t *testing.T, role string, data []byte) {
		file, header, err := parseFile(role, data)
		if err != nil {
			if file != nil || header != nil || !errors.Is(err, ErrFormat) {
				t.Fatalf("%v, %v", file, err)
			}
			return
		}
		if !json.Valid(data) || onceEach(data) != nil {
			t.Fatalf("%q", data)
		}
		var root signedRoot
		var targets signedTargets
		var meta signedMeta
		for _, to := range []any{&root, &targets, &meta} {
			if err := file.read(to); err != nil && !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
		}
		for _, keys := range []map[string]publicKey{root.Keys, targets.Delegations.Keys} {
			for id, key := range keys {
				for _, p := range keysOf(keys, ruleJSON{KeyIDs: []string{id}}) {
					if p.id != id || p.public == nil || key.Type == "" {
						t.Fatalf("%q: %+v", id, p)
					}
				}
			}
		}
		if err := file.verify("root", nil, 1); err == nil {
			t.Fatal("it verifies by no key")
		}
		if payload, err := cjson.EncodeCanonical(file.Signed); err == nil {
			if again, err := cjson.EncodeCanonical(json.RawMessage(payload)); err == nil && string(again) != string(payload) {
				t.Fatalf("%s, then %s", payload, again)
			}
		}
	})
}

// A directory that is not what Notary has signed is refused, whichever of its files was touched.
func FuzzReadTree(f *testing.F) {
	at := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	good := notaryFiles(f)
	roles := []string{roleRoot, roleTargets, roleSnapshot, roleTimestamp, roleReleases}
	for i, role := range roles {
		f.Add(uint(i), good[role])
	}
	f.Fuzz(func(t *testing.T, which uint, data []byte) {
		role := roles[which%uint(len(roles))]
		tree := fstest.MapFS{}
		for name, content := range good {
			if name == role {
				content = data
			}
			tree[name+".json"] = &fstest.MapFile{Data: content}
		}
		list, err := readTree(tree, Options{Root: good[roleRoot], Now: at})
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrRoot) && !errors.Is(err, ErrSignature) && !errors.Is(err, ErrExpired) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if !list[0].Verified || len(list[0].Tags) != 2 {
			t.Fatalf("%+v", list[0])
		}
	})
}
