package mirror

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

func someReceipt() *Receipt {
	sum := digest.FromString("x")
	return &Receipt{
		Version: 1, Created: day(1), Program: "tufoci 1.0", Source: "registry.acme.io/trust/tuf:tuf",
		Root: ReceiptRoot{Version: 1, SHA256: sum}, Archive: ReceiptArchive{SHA256: sum, Size: 5}, Bundle: sum,
		Roles:   []ReceiptRole{{Role: "root", Version: 4, Expires: day(9), SHA256: sum}},
		Targets: 3,
		Images: []ReceiptImage{{
			Name: "registry.acme.io/shop/api", Tag: "1", Digest: sum, MediaType: "m", Referrers: 1,
			Signatures: []ReceiptSignature{{Digest: sum, Signer: "CN=<ci>", SHA256: sum, Chain: []digest.Digest{sum}}},
		}},
		ValidUntil: day(9), MaxStale: "15d", Ends: []End{role("root", day(9), 0)},
	}
}

func TestReceipt(t *testing.T) {
	t.Parallel()
	r := someReceipt()
	data, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseReceipt(data)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Fatalf("%v\n%+v", err, got)
	}
	edit := func(from, to string) []byte { return bytes.Replace(data, []byte(from), []byte(to), 1) }
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "EOF"},
		{"no object", []byte("[]"), "cannot unmarshal"},
		{"a later version", edit(`"version": 1`, `"version": 2`), "version 2"},
		{"no version", edit(`"version": 1,`, ``), "version 0"},
		{"an unknown member", edit(`"targets"`, `"more": 1, "targets"`), "unknown field"},
		{"an unknown member of an image", edit(`"tag"`, `"tug": "", "tag"`), "unknown field"},
		{"a member twice", edit(`"targets"`, `"targets": 4, "targets"`), "twice"},
		{"a member twice in other letters", edit(`"targets"`, `"Targets": 4, "targets"`), "twice"},
		{"data behind it", append(bytes.Clone(data), '1'), "data after"},
		{"no checksum of the archive", edit(`"archive": {`, `"archive": {"size": 1}, "x": {`), "unknown field"},
		{"no checksum of the root", edit(r.Root.SHA256.String(), "sha256:1"), "root.sha256"},
		{"a time that is none", edit(`"created": "2026`, `"created": "soon`), "time"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseReceipt(test.data)
			if got != nil || !errors.Is(err, ErrReceipt) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestReadReceipt(t *testing.T) {
	t.Parallel()
	archive := filepath.Join(t.TempDir(), "x.tar")
	if r, err := ReadReceipt(archive); r != nil || err != nil {
		t.Errorf("where none is: %v, %v", r, err)
	}
	data, _ := someReceipt().encode()
	if err := os.WriteFile(archive+ReceiptSuffix, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := ReadReceipt(archive); r == nil || err != nil {
		t.Errorf("%v, %v", r, err)
	}
	if err := os.Truncate(archive+ReceiptSuffix, maxReceipt+1); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadReceipt(archive); !errors.Is(err, ErrReceipt) {
		t.Errorf("one that is too large: %v", err)
	}
	if err := os.Remove(archive + ReceiptSuffix); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(archive+ReceiptSuffix, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadReceipt(archive); !errors.Is(err, ErrReceipt) {
		t.Errorf("a directory: %v", err)
	}
}
