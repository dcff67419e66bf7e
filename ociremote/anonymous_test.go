package ociremote_test

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

// Who asks without credentials shows none, also where some are stored.
func TestAnonymous(t *testing.T) {
	t.Parallel()
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{Basic: true})
	config := filepath.Join(t.TempDir(), "config.json")
	stored := base64.StdEncoding.EncodeToString([]byte("user:password"))
	if err := os.WriteFile(config, []byte(`{"auths":{"`+g.Host()+`":{"auth":"`+stored+`"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, anonymous := range []bool{false, true} {
		client, err := ociremote.NewClient(ociremote.Options{RegistryConfig: config, Anonymous: anonymous, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		repo, err := client.Repository(t.Context(), ociremote.Reference{Host: g.Host(), Repository: "acme/trust", Tag: "tuf"}, false)
		if err != nil {
			t.Fatal(err)
		}
		_, err = repo.Resolve(t.Context(), "tuf")
		refused := errors.As(err, new(*ociremote.AuthError))
		if refused != anonymous || !anonymous && !errors.Is(err, ociremote.ErrNotFound) {
			t.Errorf("anonymous %v: %v", anonymous, err)
		}
	}
}
