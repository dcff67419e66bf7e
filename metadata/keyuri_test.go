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

		"pkcs11:token=a;object=b":  {foreign: "pkcs11:token=a;object=b"},
		"ssh-agent:SHA256:abc":     {foreign: "ssh-agent:SHA256:abc"},
		"awskms:///alias/root":     {foreign: "awskms:///alias/root"},
		"gcpkms://projects/p":      {foreign: "gcpkms://projects/p"},
		"acmekms:///tuf-online":    {foreign: "acmekms:///tuf-online"},
		"hashivault://transit/key": {foreign: "hashivault://transit/key"},
	} {
		if got, err := parseKeyURI(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                   "names nothing",
		"file:":              "names nothing",
		"file://":            "names nothing",
		"env:":               "names nothing",
		"FILE:root.pem":      "FILE",
		"pkcs11:":            "names nothing",
		"ssh-agent:":         "names nothing",
		"acmekms://":         "names nothing",
		"acmekms:tuf-online": "NAME://",
		"Evil://key":         "NAME://",
		"a b://key":          "NAME://",
	} {
		_, err := parseKeyURI(text)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	// A path is a path, whatever follows.
	if got, err := parseKeyURI("../evil://key"); err != nil || got.file == "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNameOfURI(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"file:keys/Root-A.pem": "root-a",
		"env:ROOT_KEY":         "root_key",
		"pkcs11:token=acme;object=tuf%20root?module-path=/usr/lib/libykcs11.so": "tuf-root",
		"pkcs11:token=acme?module-path=/usr/lib/libykcs11.so":                   "token-acme",
		"ssh-agent:SHA256:AbC+d/eFGH":                                           "ssh-abc-d-ef",
		"acmekms:///tuf-online":                                                 "tuf-online",
		"awskms:///arn:aws:kms/k%C3":                                            "k",
		"x://" + strings.Repeat("n", 100):                                       strings.Repeat("n", maxForeignName),
		"x:///":                                                                 "key",
	} {
		if got := nameOfURI(uri); got != want {
			t.Errorf("%s: %q, want %q", uri, got, want)
		}
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
