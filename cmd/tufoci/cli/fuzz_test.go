package cli

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// What nobody has signed is shown as it says, or not at all.
func FuzzUnverifiedFile(f *testing.F) {
	f.Add("metadata/3.apps.json", []byte(`{"signed":{"version":3,"expires":"2027-01-01T00:00:00Z","targets":{"a":{}},"delegations":{"roles":[{"name":"x\u001b"}]}}}`))
	f.Add("metadata/timestamp.json", []byte(`{"signed":{"meta":{"snapshot.json":{"version":2}}}}`))
	f.Add("metadata/%zz.json", []byte(`null`))
	f.Add("metadata/99999999999999999999.a%2Fb.json", []byte(`[]`))
	f.Fuzz(func(t *testing.T, title string, data []byte) {
		file, ok := parseTitle(title)
		if !ok {
			return
		}
		if file.title != title || file.version < 0 || compareRoles(file, file) != 0 {
			t.Fatalf("%q: %+v", title, file)
		}
		said, err := file.describe(data)
		if err != nil {
			if !errors.Is(err, trust.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if said.Length != int64(len(data)) || len(said.SHA256) != 64 || said.Role != file.role || said.Delegations == nil {
			t.Fatalf("%+v", said)
		}
		if v, err := listedVersion("timestamp", data, "snapshot"); err != nil && !errors.Is(err, trust.ErrMalformed) || err == nil && v < 1 {
			t.Fatalf("%d, %v", v, err)
		}
	})
}

// What is printed of foreign names is one line, in the order in which it was written.
func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"a\x1b[2Jb", "a\u202eb", "a\r\nb", "\u2028", "\u009b", "a\u200fb", "é", "\xff"} {
		f.Add(s)
	}
	// What turns text around, or breaks its lines, and is no control character.
	const marks = "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
	f.Fuzz(func(t *testing.T, s string) {
		out := printable(s)
		if strings.ContainsFunc(out, unicode.IsControl) || strings.ContainsAny(out, marks) || printable(out) != out {
			t.Fatalf("%q is printed as %q", s, out)
		}
		var doc bytes.Buffer
		if err := encodeJSON(&doc, map[string]string{s: s}); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(strings.ReplaceAll(doc.String(), "\n", ""), unicode.IsControl) || strings.ContainsAny(doc.String(), marks) {
			t.Fatalf("%q is printed as %q", s, doc.String())
		}
		var again map[string]string
		if err := json.Unmarshal(doc.Bytes(), &again); err != nil || utf8.ValidString(s) && again[s] != s {
			t.Fatalf("%q is read back as %q, %v", s, again, err)
		}
	})
}

// Values of flags and arguments are read one way, and printed as they are read.
func FuzzFlagValues(f *testing.F) {
	for _, s := range []string{"36h", "1y", "2026-12-01T00:00Z", "2026-12-01T00:00:00+02:00", "apps@v3", "a@b@2", "reg.io:5000/copies", "reg.io/", "[::1]/x", "@1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var d span
		if err := d.Set(s); err == nil && time.Duration(d)%time.Second == 0 && d > 0 {
			var again span
			if err := again.Set(d.String()); err != nil || again != d {
				t.Fatalf("%q: %v, then %v, %v", s, d, again, err)
			}
		}
		var at instant
		if err := at.Set(s); err == nil && !at.IsZero() && at.Year() >= 0 && at.Year() <= 9999 {
			var again instant
			if err := again.Set(at.String()); err != nil || !again.Equal(at.Truncate(time.Second)) {
				t.Fatalf("%q: %v, then %v, %v", s, at, again, err)
			}
		}
		if role, version := splitRole(s); version < 0 || version == 0 && role != s || version > 0 && (role == "" || !strings.HasPrefix(s, role+"@")) {
			t.Fatalf("%q: %q, %d", s, role, version)
		}
		b, err := parseBelow("--images-to", s)
		if err != nil {
			return
		}
		image := b.image("r.example/shop/api")
		image.Tag = "1"
		if read, err := ociremote.ParseImage(image.String()); err != nil && len(image.String()) < 255 || err == nil && read.Host != b.host {
			t.Fatalf("%q: %+v, %v", s, image, err)
		}
	})
}

// A certificate to revoke is named by its own hash, whatever the form of its file.
func FuzzCertificateSum(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{0x30, 0x80}}))
	f.Add([]byte{0x30, 0x03, 2, 1, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		sum, err := certificateSum(file)
		if err != nil {
			if _, ok := errors.AsType[*usageError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if again, err := certificateSum(fmt.Sprintf("sha256:%s", sum)); err != nil || again != sum {
			t.Fatalf("%q, then %q, %v", sum, again, err)
		}
	})
}
