package ociremote_test

import (
	"bytes"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

// Wherever a repository lies, a tag goes alone: other tags of its manifest stay.
func TestUntag(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) ociremote.WritableRepository{
		"memory": func(*testing.T) ociremote.WritableRepository { return ociremote.NewMemory() },
		"layout": func(t *testing.T) ociremote.WritableRepository {
			repo, err := ociremote.CreateLayout(filepath.Join(t.TempDir(), "layout"))
			if err != nil {
				t.Fatal(err)
			}
			return repo
		},
		"registry": func(t *testing.T) ociremote.WritableRepository {
			return untagRegistry(t, tuftest.NewRegistry(t, tuftest.RegistryOptions{Token: true}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := open(t)
			twoTags(t, repo)
			untagger := repo.(content.Untagger)
			if err := untagger.Untag(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			if err := untagger.Untag(t.Context(), "a"); !errors.Is(err, ociremote.ErrNotFound) {
				t.Errorf("again: %v", err)
			}
			var tags []string
			if err := repo.Tags(t.Context(), "", func(page []string) error { tags = append(tags, page...); return nil }); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(tags, []string{"b"}) {
				t.Errorf("tags: %q", tags)
			}
			if _, err := repo.Resolve(t.Context(), "b"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestUntagRefused(t *testing.T) {
	t.Parallel()
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	repo := untagRegistry(t, g).(content.Untagger)
	status := http.StatusForbidden
	g.Intercept(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(status) })
	err := repo.Untag(t.Context(), "a")
	if _, ok := errors.AsType[*ociremote.AuthError](err); !ok {
		t.Errorf("403 is %v", err)
	}
	status = http.StatusMethodNotAllowed
	err = repo.Untag(t.Context(), "a")
	if e, ok := errors.AsType[*ociremote.TransportError](err); !ok || e.Status != status {
		t.Errorf("405 is %v", err)
	}
	g.Reset()
	for _, tag := range []string{"", "a/b", "sha256:" + digest.FromString("x").Encoded()} {
		if err := repo.Untag(t.Context(), tag); !errors.Is(err, ociremote.ErrInvalidReference) {
			t.Errorf("%q: %v", tag, err)
		}
	}
	if n := len(g.Requests()); n != 0 {
		t.Errorf("%d requests for what is no tag", n)
	}
}

func untagRegistry(t *testing.T, g *tuftest.Registry) ociremote.WritableRepository {
	t.Helper()
	client, err := ociremote.NewClient(ociremote.Options{PlainHTTP: true, Retries: -1, RegistryConfig: filepath.Join(t.TempDir(), "config.json")})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := client.Repository(t.Context(), ociremote.Reference{Kind: ociremote.KindRegistry, Host: g.Host(), Repository: "acme/trust", Tag: "tuf"}, true)
	if err != nil {
		t.Fatal(err)
	}
	return repo.(ociremote.WritableRepository)
}

// twoTags stores one manifest under two tags.
func twoTags(t *testing.T, repo ociremote.WritableRepository) {
	t.Helper()
	if err := repo.Push(t.Context(), ocispec.DescriptorEmptyJSON, bytes.NewReader([]byte("{}"))); err != nil {
		t.Fatal(err)
	}
	manifest := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"` +
		ocispec.DescriptorEmptyJSON.Digest.String() + `","size":2},"layers":[]}`)
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(manifest), Size: int64(len(manifest))}
	for _, tag := range []string{"a", "b"} {
		if err := repo.PushReference(t.Context(), desc, bytes.NewReader(manifest), tag); err != nil {
			t.Fatal(err)
		}
	}
}
