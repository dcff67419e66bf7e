package metadata

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// fuzzedTargets is a targets file that says of itself how long it lives.
const fuzzedTargets = `{"signatures":[],"signed":{"_type":"targets","spec_version":"1.0.31","version":3,"expires":"2027-01-01T00:00:00Z",` +
	`"targets":{"a/file":{"length":1,"hashes":{"sha256":"0a"}},"images/a:1":{"length":2,"hashes":{"sha256":"0b"},"custom":{"n":1}}},"x-tufoci-expires":3600,"x-tufoci-renew-within":600}}`

// What can be known of a file without parsing all of it is what a parser of all of it finds, and the next version of the
// file says the same but for its version and its life.
func FuzzRoleFile(f *testing.F) {
	f.Add(tuf.TARGETS, []byte(fuzzedTargets))
	f.Add("apps", []byte(strings.Replace(fuzzedTargets, `"version":3`, `"VERSION":3`, 1)))
	f.Add(tuf.ROOT, []byte(`{"signed":{"_type":"root","version":9007199254740992}}`))
	f.Add(tuf.TIMESTAMP, []byte(`{"signed":{"_type":"timestamp","version":1,"expires":"2027-01-01T00:00:00.5+01:00","x-tufoci-expires":-1}}`))
	f.Fuzz(func(t *testing.T, role string, data []byte) {
		file, err := newRoleFile(role, data)
		if err != nil {
			if file != nil || !errors.Is(err, ErrDamaged) {
				t.Fatalf("%v, %v", file, err)
			}
			return
		}
		if v, err := FileVersion(data); err != nil || v != file.version || v < 1 || v > maxVersion || file.period < 0 {
			t.Fatalf("%+v: version %d, %v", file, v, err)
		}
		l, err := statedLife(role, false, file)
		if err != nil || l.period <= 0 || l.renewWithin < 0 || l.renewWithin >= l.period {
			t.Fatalf("%+v, %v", l, err)
		}
		entries, err := fileEntries(file)
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Path, imagesPrefix) {
				t.Fatalf("%q is an image", e.Path)
			}
		}
		next, err := nextVersion(data, 7, time.Unix(0, 0), l)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		was, errWas := content(data)
		is, errIs := content(next)
		if v, err := FileVersion(next); err == nil && v != 7 || (errWas == nil) != (errIs == nil) {
			t.Fatalf("version %d, %v, %v, %v", v, err, errWas, errIs)
		}
		if checkTokens(data) == nil && errWas == nil && was != is {
			t.Fatalf("the next version says something else:\n%s\n%s", was, is)
		}
	})
}

// The bytes to sign are those of the file that they are shown as, and no others.
func FuzzReadPayload(f *testing.F) {
	e, err := openEnvelope([]byte(fuzzedTargets))
	if err != nil {
		f.Fatal(err)
	}
	payload, err := e.payload()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	f.Add([]byte(`{"_type":"timestamp","expires":"2027-01-01T00:00:00Z","meta":{"snapshot.json":{"version":1}},"spec_version":"1.0.31","version":1}`))
	f.Add([]byte(`{"_type":"targets","x":"\` + "\n" + `"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		info, err := ReadPayload(payload)
		if err != nil {
			if info != (PayloadInfo{}) || !errors.Is(err, ErrPayload) {
				t.Fatalf("%+v, %v", info, err)
			}
			return
		}
		if info.SHA256 != checksum(payload) || info.Version < 1 || typeOf(info.Type) != info.Type {
			t.Fatalf("%+v", info)
		}
		file := fileOf(payload)
		e, err := openEnvelope(file)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := e.payload(); err != nil || !bytes.Equal(again, payload) {
			t.Fatalf("%v: %s, then %s", err, payload, again)
		}
		if err := checkTokens(file); err != nil {
			t.Fatal(err)
		}
	})
}

// Names of files lead back to one role and version, and stay in their directory.
func FuzzParseFileName(f *testing.F) {
	for _, s := range []string{"1.root.json", "3.a%2Fb.json", "3.a%2fb.json", "01.root.json", "1..json", "timestamp.json", "1.timestamp.json", "9007199254740992.a.json", "1.%2E%2E.json"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if role, version, ok := parseFileName(name); ok && (fileName(role, version) != name || !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`)) {
			t.Fatalf("%q: %q, %d", name, role, version)
		}
		title := metadataPrefix + name
		if role, version, ok := ParseTitle(title); ok && Title(role, version) != title {
			t.Fatalf("%q: %q, %d", title, role, version)
		}
		if checkPathShape(name) == nil {
			if title := TargetTitle(name, strings.Repeat("0a", 32)); !filepath.IsLocal(title) || filepath.Clean(title) != title {
				t.Fatalf("%q is at %q", name, title)
			}
		}
	})
}

// Entries of a list are images by their names, and come back as they are written.
func FuzzReadEntries(f *testing.F) {
	sum := strings.Repeat("0a", 32)
	f.Add([]byte(`{"path":"images/a:1","length":7,"hashes":{"sha256":"` + sum + `"},"custom":{"tufoci":{"mediaType":"m"}}}` + "\n\n"))
	f.Add([]byte(`{"path":"images/a@sha256:` + sum + `","length":7,"hashes":{"sha256":"` + sum + `"}}{}`))
	f.Add([]byte(`{"path":"images/a:1","custom":{"n":1.5}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := readEntries(bytes.NewReader(data))
		if err != nil {
			if entries != nil || !errors.Is(err, ErrInvalid) {
				t.Fatalf("%v, %v", entries, err)
			}
			return
		}
		var out bytes.Buffer
		enc := json.NewEncoder(&out)
		for _, e := range entries {
			if checkImagePath(e.Path, e.Hashes["sha256"]) != nil {
				t.Fatalf("%+v", e)
			}
			if err := enc.Encode(e); err != nil {
				t.Fatal(err)
			}
		}
		again, err := readEntries(&out)
		if err != nil || len(again) != len(entries) {
			t.Fatalf("%d entries, then %d, %v", len(entries), len(again), err)
		}
		for _, e := range entries {
			custom, err := canonicalCustom(e.Custom)
			if err != nil {
				continue
			}
			if twice, err := canonicalCustom(custom); err != nil || !bytes.Equal(custom, twice) {
				t.Fatalf("%s, then %s, %v", custom, twice, err)
			}
		}
	})
}

// A signature apart from its metadata comes back as it is written; whatever a file holds, only what verifies is found.
func FuzzDetachedSignature(f *testing.F) {
	signer := testSigner(f, KeyEd25519)
	payload := []byte(`{"_type":"timestamp","expires":"2027-01-01T00:00:00Z","meta":{"snapshot.json":{"version":1}},"spec_version":"1.0.31","version":1}`)
	s, err := SignPayload(f.Context(), signer, payload)
	if err != nil {
		f.Fatal(err)
	}
	data, err := s.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{data, s.Sig, []byte(s.Sig.String()), []byte(`{"payload":"","Payload":""}`), []byte("AAAA")} {
		f.Add(seed)
	}
	ecdsa := testSigner(f, KeyECDSAP384).Key()
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, key := range []*tuf.Key{signer.Key(), ecdsa} {
			if sig, err := findSignature(key, payload, data); err == nil && VerifySignature(key, payload, sig) != nil || err != nil && !errors.Is(err, ErrSignature) {
				t.Fatalf("%x, %v", sig, err)
			}
		}
		s, err := ParseDetachedSignature(data)
		if err != nil {
			if !errors.Is(err, ErrSignature) {
				t.Fatal(err)
			}
			return
		}
		out, err := s.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseDetachedSignature(out)
		if err != nil || again.Payload != s.Payload || again.KeyID != s.KeyID || !bytes.Equal(again.Sig, s.Sig) || !sameKey(again.Key, s.Key) {
			t.Fatalf("%+v, then %+v, %v", s, again, err)
		}
	})
}

// What passes has one reading: no null outside of custom, no member twice, whole numbers that every parser keeps.
func FuzzCheckTokens(f *testing.F) {
	for _, s := range []string{fuzzedTargets, `{"a":1,"a":1}`, `{"a":-0}`, `[9007199254740992]`, `{"signed":{"targets":{"x":{"custom":{"y":null}}}}}`, `1 2`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if checkTokens(data) != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("%q is no JSON", data)
		}
		var tree any
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		if err := dec.Decode(&tree); err != nil {
			t.Fatal(err)
		}
		if err := checkNumbers(tree); err != nil {
			t.Fatal(err)
		}
		if n, m := leaves(tree), tokensIn(data); n != m {
			t.Fatalf("%d values are kept of %d", n, m)
		}
	})
}

// leaves counts the strings, numbers, truths and nulls of a document.
func leaves(tree any) (n int) {
	switch tree := tree.(type) {
	case map[string]any:
		for _, v := range tree {
			n += leaves(v)
		}
	case []any:
		for _, v := range tree {
			n += leaves(v)
		}
	default:
		return 1
	}
	return n
}

// tokensIn counts the same where they stand, names of members aside.
func tokensIn(data []byte) (n int) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var object []bool
	named := false
	for {
		token, err := dec.Token()
		if err != nil {
			return n
		}
		if d, ok := token.(json.Delim); ok {
			if d == '{' || d == '[' {
				object = append(object, d == '{')
			} else {
				object = object[:len(object)-1]
			}
			named = false
			continue
		}
		if len(object) > 0 && object[len(object)-1] && !named {
			named = true
			continue
		}
		named = false
		n++
	}
}

// The index of what was published names files of its own directory, and lacks no top-level role.
func FuzzBaseIndex(f *testing.F) {
	entry := func(role, file string) string {
		return `{"role":"` + role + `","version":1,"file":"` + file + `","sha256":"0a","length":1,"expires":"2027-01-01T00:00:00Z"}`
	}
	files := entry("root", "1.root.json") + "," + entry("targets", "1.targets.json") + "," + entry("snapshot", "1.snapshot.json") + "," + entry("timestamp", "1.timestamp.json")
	f.Add([]byte(`{"version":1,"digest":"sha256:0a","tag":"tuf","files":[` + files + `],"earlier":[{"digest":"x","files":[` + files + `]}],"rebased":[]}`))
	f.Add([]byte(`{"version":1,"files":[` + files + `,` + entry("a", "../x") + `]}`))
	f.Add([]byte(`{"version":1,"files":[` + files + `,` + entry("a", "..") + `],"pin":-1}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, baseIndexFile), data, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := loadBase(dir)
		if err != nil {
			if b != nil || !errors.Is(err, ErrDamaged) {
				t.Fatalf("%v, %v", b, err)
			}
			return
		}
		for _, of := range append(b.earlier, b) {
			for _, file := range append(of.all(), of.rebased...) {
				if !filepath.IsLocal(file.file) || strings.ContainsRune(file.file, filepath.Separator) {
					t.Fatalf("file %q", file.file)
				}
				if data, err := file.read(); err == nil && checksum(data) != file.sum {
					t.Fatalf("%q has other bytes", file.file)
				}
			}
			if of.role(tuf.TARGETS) == nil || len(of.roots) == 0 {
				t.Fatalf("%+v", of)
			}
		}
	})
}

// What a workspace notes beside the metadata is read or refused, and never makes it fail otherwise.
func FuzzWorkspaceNotes(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "ws")
	der, err := x509.MarshalPKCS8PrivateKey(testKey(f, KeyEd25519))
	if err != nil {
		f.Fatal(err)
	}
	key := string(pem.EncodeToMemory(&pem.Block{Type: pemPrivateKey, Bytes: der}))
	w, err := Init(dir, InitOptions{
		Repository: "r.example/trust", Now: func() time.Time { return time.Unix(1e9, 0) }, Profile: ProfileDev,
		Keys: map[string][]string{"root": {"env:KEY"}, "targets": {"env:KEY"}, "snapshot": {"env:KEY"}, "timestamp": {"env:KEY"}},
		Env:  func(string) (string, bool) { return key, true },
	})
	if err != nil {
		f.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	id := strings.Repeat("0a", 32)
	f.Add([]byte(`{"` + id + `":{"time":"2026-12-01T00:00:00Z","uri":"file:a"}}`))
	f.Add([]byte(`{"ID":"` + id + `","Roles":[{"Role":"root","Version":9}],"Message":"why"}`))
	f.Add([]byte(`{"version":1,"roles":[{"role":"apps","version":2}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range []string{seenFile, proposedFile, filepath.Join(ceremonyDir, id, frozenFile)} {
			file := filepath.Join(dir, stateDir, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			w, err := Open(dir, OpenOptions{Now: func() time.Time { return time.Unix(1e9, 0) }, ReadOnly: true})
			if err == nil {
				w.lastSeen()
				_, err = w.Proposed()
				for _, freeze := range w.freezes {
					if freeze.ID != id || len(freeze.Roles) == 0 {
						t.Fatalf("%+v", freeze)
					}
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err != nil && !errors.Is(err, ErrDamaged) {
				t.Fatalf("%s: %v", name, err)
			}
			if err := os.RemoveAll(file); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A URI of a key is of one kind, and a key that is named after one has a name that files and YAML take.
func FuzzKeyURI(f *testing.F) {
	for _, s := range []string{"file:a.pem", "env://KEY", "pkcs11:token=a;object=b%20c?module-path=/x", "ssh-agent:SHA256:abc", "awskms://alias/x?y", `C:\a`, "a:b", "../a.pem", "gcpkms://%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseKeyURI(text)
		if err != nil {
			if u != (keyURI{}) || !errors.Is(err, ErrInvalid) {
				t.Fatalf("%+v, %v", u, err)
			}
			return
		}
		kinds := 0
		for _, s := range []string{u.file, u.variable, u.foreign} {
			if s != "" {
				kinds++
			}
		}
		if kinds != 1 {
			t.Fatalf("%+v", u)
		}
		if name := nameOfURI(text); u.foreign != "" && (name == "" || len(name) > maxForeignName || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "") {
			t.Fatalf("%q is called %q", text, name)
		}
	})
}

// A window is a length of time or a share, and never both.
func FuzzParseWindow(f *testing.F) {
	for _, s := range []string{"24h", "50%", "0%", "101%", "+5%", "1y", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := ParseWindow(text)
		if err != nil {
			if w != (Window{}) || !errors.Is(err, ErrInvalid) {
				t.Fatalf("%+v, %v", w, err)
			}
			return
		}
		if (w.Left != 0) == (w.Percent != 0) || w.Left < 0 || w.Percent > 100 {
			t.Fatalf("%q is %+v", text, w)
		}
		l := life{period: 30 * 24 * time.Hour, renewWithin: time.Hour}
		if got := w.of(l); got < 0 || w.Percent > 0 && got > l.period {
			t.Fatalf("%q is %v", text, got)
		}
	})
}

// Every check of a lint ends, and says what it found in words that can be printed.
func FuzzLint(f *testing.F) {
	f.Add(tuf.TARGETS, []byte(fuzzedTargets))
	f.Add(tuf.TIMESTAMP, []byte(`{"signatures":[{"keyid":"a","sig":""}],"signed":{"_type":"timestamp","version":1,"expires":"x","spec_version":"2.0"}}`))
	f.Fuzz(func(t *testing.T, role string, data []byte) {
		l := &linter{}
		l.json(role, data)
		for _, found := range l.findings {
			if !utf8.ValidString(found.Message) && utf8.Valid(data) || strings.ContainsFunc(found.Message, unicode.IsControl) && !strings.ContainsFunc(role, unicode.IsControl) && json.Valid(data) {
				t.Fatalf("%q", found.Message)
			}
		}
	})
}
