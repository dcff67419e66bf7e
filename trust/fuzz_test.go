package trust

import (
	"errors"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/ociremote"
)

const fuzzedSum = "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"

// A trust.yaml that is read is written again, and read as the same.
func FuzzConfig(f *testing.F) {
	f.Add([]byte("version: 1\ntrusts:\n  acme:\n    source: registry.acme.io/trust:tuf\n    root: " + fuzzedSum + "\n    maxStale: 15d\n    minTimestamp: 3\n" +
		"    scopes: ['registry.acme.io/**']\n    maps: [reg.local=registry.acme.io]\n    require: [mapping]\n    minLevel: strict\n" +
		"    limits: {visits: '64', targetFile: 1GiB}\n"))
	f.Add([]byte("version: 1\ntrusts: {a: {root: " + fuzzedSum + ", require: []}}"))
	f.Add([]byte("version: 1\ntrusts: {a: {source: https://t.example/tuf, root: " + fuzzedSum + ", fallback: none, maxStale: 1ms}}"))
	f.Add([]byte("version: 1\ntrusts: &a {a: {root: x}}\n---\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parseConfig(data)
		if err != nil || data == nil {
			if entries != nil && err != nil {
				t.Fatal("entries beside an error")
			}
			return
		}
		for name, e := range entries {
			if len(e.Require) == 0 {
				e.Require = nil // an empty list is none
				entries[name] = e
			}
		}
		c := &Config{dir: t.TempDir(), entries: entries}
		if err := c.write(); err != nil {
			t.Fatal(err)
		}
		again, err := OpenConfig(c.dir)
		if err != nil || !reflect.DeepEqual(again.entries, entries) {
			t.Fatalf("%+v, then %+v, %v", entries, again.entries, err)
		}
		for name, e := range entries {
			if !trustName.MatchString(name) || !isHexSum(e.RootSHA256) || !filepath.IsLocal(e.RootSHA256+".json") {
				t.Fatalf("%q: %+v", name, e)
			}
		}
	})
}

// What the state says of itself heals where it cannot be read, and is refused where a later version has written it.
func FuzzStateInfo(f *testing.F) {
	f.Add([]byte(`{"format":1,"source":"r.io/a:tuf","digest":"` + fuzzedSum + `","etag":"\"x\"","size":7,"success":"2026-12-01T00:00:00Z","root":2}`))
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`{"format":1,"digest":"sha512:00"}`))
	f.Add([]byte(`{"format":1,"unreachable":{"since":"2026-12-01T00:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := parseInfo(data)
		if err != nil {
			if !errors.Is(err, ErrStateFormat) {
				t.Fatal(err)
			}
			return
		}
		if in.Root < 0 || in.Size < 0 || in.Digest != "" && in.Digest.Validate() != nil {
			t.Fatalf("%+v", in)
		}
		out, err := marshalInfo(&in)
		if err != nil {
			t.Fatal(err)
		}
		in.Format = stateFormat
		if again, err := parseInfo(out); err != nil || !reflect.DeepEqual(again, in) {
			t.Fatalf("%+v, then %+v, %v", in, again, err)
		}
		if known := (&state{bundle: data, info: in}).known(); known != (ociremote.Known{Digest: in.Digest, ETag: in.ETag, Size: in.Size}) {
			t.Fatalf("%+v", known)
		}
	})
}

// Revocations that were seen come back, and damage forgets them all rather than some.
func FuzzSeenRevocations(f *testing.F) {
	f.Add([]byte(`{"format":1,"images":[{"digest":"` + fuzzedSum + `","reason":"r","time":"2026-08-01T10:02:00Z"}],"certificates":[{"sha256":"0a","reason":"r","time":"2026-08-01T10:02:00Z"}]}`))
	f.Add([]byte(`{"format":1,"images":[{},{}]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		seen := parseSeen(data)
		out, err := marshalSeen(seen)
		if err != nil {
			t.Fatal(err)
		}
		if again := parseSeen(out); !reflect.DeepEqual(noEmpty(again), noEmpty(seen)) {
			t.Fatalf("%+v, then %+v", seen, again)
		}
		if gone := seen.Missing(seen); len(gone.Images)+len(gone.Certificates) > 0 {
			t.Fatalf("%+v is missing in itself", gone)
		}
	})
}

// noEmpty takes lists without an entry for no lists.
func noEmpty(r *material.Revocations) material.Revocations {
	out := *r
	if len(out.Images) == 0 {
		out.Images = nil
	}
	if len(out.Certificates) == 0 {
		out.Certificates = nil
	}
	return out
}

// The file of a role stays in its directory and is that of no other role; a name that go-tuf asks for is taken apart into
// what it is made of.
func FuzzFileNames(f *testing.F) {
	for _, s := range []string{"root", "a/b", "../c", "..", "%2e", "1.root", "ä ö", strings.Repeat("x", 300), "a.json", ""} {
		f.Add(s, "other", int64(7))
	}
	f.Add("a/b", "a%2Fb", int64(1))
	f.Fuzz(func(t *testing.T, role, other string, version int64) {
		name := roleFileName(role)
		if !fs.ValidPath(name) || !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`) || len(name) > 255 {
			t.Fatalf("%q is kept as %q", role, name)
		}
		if role != other && name == roleFileName(other) {
			t.Fatalf("%q and %q are both kept as %q", role, other, name)
		}
		if got, v := splitFileName(rootFileName(version)); got != "root" || v != version {
			t.Fatalf("%d: %q, %d", version, got, v)
		}
		splitFileName(role)
	})
}

// A pinned root verifies by itself, or is refused by an error of this package.
func FuzzPin(f *testing.F) {
	f.Add([]byte(`{"signatures":[],"signed":{"_type":"root","spec_version":"1.0.31","version":1,"expires":"2030-01-01T00:00:00Z","consistent_snapshot":true,"keys":{},` +
		`"roles":{"root":{"keyids":[],"threshold":1},"timestamp":{"keyids":[],"threshold":1},"snapshot":{"keyids":[],"threshold":1},"targets":{"keyids":[],"threshold":1}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := parsePin(data); err != nil {
			if _, ok := errors.AsType[*VerificationError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if c, err := New(data, Options{Now: time.Now}); err != nil && !errors.Is(err, ErrExpired) {
			t.Fatalf("%v, %v", c, err)
		}
	})
}
