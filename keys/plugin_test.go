package keys

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/kmstest"
	"github.com/tufoci/tufoci/metadata"
)

func TestMain(m *testing.M) {
	kmstest.Main()
	os.Exit(m.Run())
}

// service is a plugin that is installed, and a directory of keys.
type service struct {
	t       *testing.T
	dir     string
	options Options
}

func newService(t *testing.T) *service {
	t.Helper()
	return &service{t: t, dir: t.TempDir(), options: Options{Environ: []string{
		"PATH=" + kmstest.Install(t, "acme", "pkcs11"), "ACME_TOKEN=of the service",
		"TUFOCI_PASSPHRASE=secret", "TUFOCI_PASSWORD=secret", "TUFOCI_PKCS11_PIN=secret",
	}}}
}

// key makes a key and returns its URI.
func (s *service) key(name string, kind metadata.KeyType) (uri string, key crypto.Signer) {
	s.t.Helper()
	key = generate(s.t, kind)
	kmstest.WriteKey(s.t, filepath.Join(s.dir, name), key)
	return "acme://" + filepath.Join(s.dir, name), key
}

func (s *service) opener() *Opener { return New(s.t.Context(), s.options) }

// keyTypes are cheap to make, but for RSA.
var keyTypes = []metadata.KeyType{metadata.KeyEd25519, metadata.KeyECDSAP256, metadata.KeyECDSAP384, metadata.KeyRSA3072}

func TestPluginSigns(t *testing.T) {
	t.Parallel()
	s := newService(t)
	large := bytes.Repeat([]byte("metadata "), 20<<10) // more than a pipe or an argument holds
	for _, kind := range keyTypes {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			uri, key := s.key(string(kind), kind)
			signer, err := s.opener().OpenKey("k", uri, nil)
			if err != nil {
				t.Fatal(err)
			}
			want, err := metadata.PublicKey(key.Public())
			if err != nil || signer.Key().Value.PublicKey != want.Value.PublicKey {
				t.Fatalf("another public key: %v", err)
			}
			sig, err := signer.Sign(t.Context(), large)
			if err != nil {
				t.Fatal(err)
			}
			if err := metadata.VerifySignature(want, large, sig); err != nil {
				t.Error(err)
			}
		})
	}
}

// What a plugin does wrong is said, with what it printed, and nobody waits for it or reads without an end.
func TestPluginFails(t *testing.T) {
	t.Parallel()
	s := newService(t)
	uri, key := s.key("k", metadata.KeyEd25519)
	public, err := metadata.PublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for flaw, want := range map[string]string{
		"refuse":  "permission denied (quota is used up)",
		"flood":   "more than 65536 bytes",
		"garbage": "no answer in the plugin protocol (segmentation fault)",
		"silent":  "without a signature",
		"hang":    "no answer in time",
	} {
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			signer, err := s.opener().OpenKey("k", uri+"?"+flaw, public) // does not ask it
			if err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			if flaw == "hang" {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
			}
			_, err = signer.Sign(ctx, []byte("payload"))
			if !errors.Is(err, metadata.ErrKeyMissing) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

// A plugin gets what its service needs, and nothing that is tufoci's own.
func TestPluginEnvironment(t *testing.T) {
	t.Parallel()
	s := newService(t)
	_, err := s.opener().OpenKey("k", "acme:///x?env", nil)
	if err == nil || !strings.Contains(err.Error(), "ACME_TOKEN=of the service") || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	s.options.Environ = nil
	s.options.Beside = kmstest.Install(t, "acme")
	_, err = s.opener().OpenKey("k", "acme:///x?env", nil)
	if err == nil || strings.Contains(err.Error(), "HOME=") || strings.Contains(err.Error(), "PATH=") {
		t.Errorf("an empty environment became that of the process: %v", err)
	}
}

// Programs are found on PATH, then beside; never in a relative directory, which is whatever somebody else put there.
func TestFindPlugin(t *testing.T) {
	t.Parallel()
	path, beside := kmstest.Install(t, "acme"), kmstest.Install(t, "acme", "pkcs11")
	relative, err := filepath.Rel(mustGetwd(t), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "sigstore-kms-text"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, beside, program, want string }{
		{path, beside, "acme", path},
		{path, beside, "pkcs11", beside},
		{"", beside, "acme", beside},
		{relative, "", "acme", ""},
		{".", "", "acme", ""},
		{path, "", "none", ""},
		{path, "", "text", ""}, // not executable
		{"", "", "acme", ""},
	} {
		o := New(t.Context(), Options{Environ: []string{"PATH=" + tt.path}, Beside: tt.beside})
		got, err := o.find(programPrefix + tt.program)
		if tt.want == "" {
			if !errors.Is(err, metadata.ErrKeyMissing) || !strings.Contains(err.Error(), programPrefix+tt.program) {
				t.Errorf("%+v: %q, %v", tt, got, err)
			}
		} else if err != nil || filepath.Dir(got) != tt.want {
			t.Errorf("%+v: %q, %v", tt, got, err)
		}
	}
}

func mustGetwd(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Whether a key is at hand is answered without asking the service, which may be far away and cost money.
func TestHasPluginKey(t *testing.T) {
	t.Parallel()
	s := newService(t)
	o := s.opener()
	if !o.HasKey("acme:///nothing?hang", nil) || o.HasKey("other:///nothing", nil) {
		t.Error("a key counts as at hand if its program is there")
	}
}

func TestCreatePluginKey(t *testing.T) {
	t.Parallel()
	s := newService(t)
	uri := "acme://" + filepath.Join(s.dir, "new")
	if _, err := s.opener().CreateKey("new", uri, metadata.KeyRSA3072); !errors.Is(err, metadata.ErrInvalid) || !strings.Contains(err.Error(), "it makes ECC_NIST_P256, ed25519") {
		t.Errorf("a type that it does not make: %v", err)
	}
	public, err := s.opener().CreateKey("new", uri, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := s.opener().OpenKey("new", uri, nil)
	if err != nil || signer.Key().Value.PublicKey != public.Value.PublicKey {
		t.Errorf("another key: %v", err)
	}
	if _, err := s.opener().CreateKey("new", uri, metadata.KeyEd25519); !errors.Is(err, metadata.ErrKeyMissing) || !strings.Contains(err.Error(), "file exists") {
		t.Errorf("over a key: %v", err)
	}
}
