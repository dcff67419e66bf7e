package metadata

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseKeyURI(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]keyURI{
		"file:root.pem":         {file: "root.pem"},
		"file:keys/root.pem":    {file: "keys/root.pem"},
		"file:/abs/root.pem":    {file: "/abs/root.pem"},
		"file:///abs/root.pem":  {file: "/abs/root.pem"},
		"root.pem":              {file: "root.pem"},
		"./a:b.pem":             {file: "./a:b.pem"},
		"/keys/2026:root.pem":   {file: "/keys/2026:root.pem"},
		"env:ROOT_KEY":          {variable: "ROOT_KEY"},
		"env://ROOT_KEY":        {variable: "ROOT_KEY"},
		"file:with spaces .pem": {file: "with spaces .pem"},
	} {
		if got, err := parseKeyURI(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                         "names nothing",
		"file:":                    "names nothing",
		"file://":                  "names nothing",
		"env:":                     "names nothing",
		"pkcs11:token=a;object=b":  "pkcs11",
		"ssh-agent:SHA256:abc":     "ssh-agent",
		"awskms://alias/root":      "awskms",
		"gcpkms://projects/p":      "gcpkms",
		"acmekms:///tuf-online":    "acmekms",
		"https://example.com/key":  "https",
		"FILE:root.pem":            "FILE",
		"hashivault://transit/key": "hashivault",
	} {
		_, err := parseKeyURI(text)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	// What this version does not have is said, with what it has.
	if _, err := parseKeyURI("pkcs11:token=a"); !strings.Contains(err.Error(), "file:PATH") {
		t.Errorf("%v", err)
	}
}

func TestReadKeyURI(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "root.pem")
	if err := os.WriteFile(path, []byte("pem"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "large.pem"), make([]byte, maxKeyFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(name string) (string, bool) {
		value, ok := map[string]string{"ROOT_KEY": "pem", "EMPTY": ""}[name]
		return value, ok
	}
	for uri, want := range map[string]error{
		"root.pem": nil, "file:root.pem": nil, path: nil, "env:ROOT_KEY": nil,
		"other.pem": fs.ErrNotExist, "env:EMPTY": fs.ErrNotExist, "env:OTHER": fs.ErrNotExist,
		"large.pem": ErrDamaged, ".": ErrDamaged,
	} {
		u, err := parseKeyURI(uri)
		if err != nil {
			t.Fatal(err)
		}
		data, err := u.read(dir, env)
		if !errors.Is(err, want) || want == nil && string(data) != "pem" {
			t.Errorf("%s: %q, %v", uri, data, err)
		}
	}
}
