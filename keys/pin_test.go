package keys

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/kmstest"
	"github.com/tufoci/tufoci/metadata"
)

// newTokenKey is a token with one key.
func newTokenKey(t *testing.T, object string) (s *service, uri string) {
	t.Helper()
	s = newService(t)
	s.key(object, metadata.KeyEd25519)
	return s, "pkcs11:token=acme;object=" + object + "?module-path=" + s.dir
}

// tries counts the PINs that the token was given.
func (s *service) tries() int {
	data, _ := os.ReadFile(filepath.Join(s.dir, "tries"))
	return len(data)
}

// asked answers for the PIN and counts the questions.
func (s *service) asked(pin string) *int {
	n := 0
	s.options.PIN = func(token string) ([]byte, error) {
		if n++; token != "acme" {
			s.t.Errorf("asked for the PIN of %q", token)
		}
		return []byte(pin), nil
	}
	return &n
}

// The PIN comes from the environment, else from a file, else from a person, who is asked once.
func TestPIN(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(file, []byte(kmstest.PIN+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		env, source, answer string
		questions           int
	}{
		"environment": {kmstest.PIN, file + ".none", "none", 0},
		"file":        {"", file, "none", 0},
		"person":      {"", "", kmstest.PIN, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, uri := newTokenKey(t, "private")
			if tt.source != "" {
				uri += "&pin-source=file:" + tt.source
			}
			s.options.Env = func(name string) (string, bool) { return tt.env, name == "TUFOCI_PKCS11_PIN" }
			questions := s.asked(tt.answer)
			o := s.opener()
			for range 2 {
				signer, err := o.OpenKey("k", uri, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := signer.Sign(t.Context(), []byte("payload")); err != nil {
					t.Fatal(err)
				}
			}
			if *questions != tt.questions {
				t.Errorf("%d questions, want %d", *questions, tt.questions)
			}
		})
	}
}

// A PIN that was refused is not tried again, by any key of the token: it would lock.
func TestRefusedPINIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	s, uri := newTokenKey(t, "private")
	questions := s.asked("0000")
	o := s.opener()
	for range 3 {
		_, err := o.OpenKey("k", uri, nil)
		if _, ok := errors.AsType[*PINError](err); !ok || !errors.Is(err, metadata.ErrKeyMissing) || !strings.Contains(err.Error(), "refused") {
			t.Fatalf("%v", err)
		}
	}
	if s.tries() != 1 || *questions != 1 {
		t.Errorf("%d tries, %d questions", s.tries(), *questions)
	}
}

// Looking whether a key is at hand gives no PIN and asks nobody, and runs one process for a URI.
func TestHasTokenKeyWithoutPIN(t *testing.T) {
	t.Parallel()
	for _, object := range []string{"open", "private"} {
		s, uri := newTokenKey(t, object)
		questions := s.asked(kmstest.PIN)
		s.options.Env = func(string) (string, bool) { return kmstest.PIN, true }
		o := s.opener()
		if !o.HasKey(uri, nil) {
			t.Errorf("%s: not at hand", object)
		}
		if err := os.RemoveAll(s.options.Environ[0][len("PATH="):]); err != nil { // a further process would fail
			t.Fatal(err)
		}
		if !o.HasKey(uri, nil) || s.tries() != 0 || *questions != 0 {
			t.Errorf("%s: %d tries, %d questions", object, s.tries(), *questions)
		}
	}
	s, uri := newTokenKey(t, "open")
	other, err := metadata.GenerateKey(metadata.KeyEd25519)
	if err != nil {
		t.Fatal(err)
	}
	public, err := metadata.PublicKey(other.Public())
	if err != nil {
		t.Fatal(err)
	}
	if s.opener().HasKey(uri, public) || s.opener().HasKey(strings.Replace(uri, s.dir, s.dir+"x", 1), nil) {
		t.Error("another key, or none, counts as at hand")
	}
}
