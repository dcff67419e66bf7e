package ociremote_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

func TestLegacyLayout(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{Now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), Life: 24 * time.Hour})
	repo.Delegate("targets", "team", []string{"team/*"}, false)
	repo.AddTarget("file.txt", []byte("top"))
	repo.AddTargetTo("team", "team/app.txt", []byte("delegated"))
	repo.Publish()
	reg := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	reg.PushLegacy("acme/tuf", "latest", "acme/targets", repo)
	c := newClient(t, ociremote.Options{})
	metadata := openRepository(t, c, reg.Host()+"/acme/tuf:latest", false)
	targets := openRepository(t, c, reg.Host()+"/acme/targets", false)

	b, err := ociremote.FetchBundle(ctx, metadata, "latest", ociremote.Known{})
	if err != nil || !b.Legacy {
		t.Fatal(err)
	}
	role, err := ociremote.FetchLegacyRole(ctx, metadata, "team")
	if err != nil || len(role.Files) != 1 {
		t.Fatal(err)
	}
	for title, want := range repo.Files() {
		file, ok := b.File(title)
		from := metadata
		if !ok {
			file, ok = role.File(title)
		}
		if !ok { // a target file
			name := title[len("targets/"):]
			lister := "targets"
			if len(want) == len("delegated") {
				lister = "team"
			}
			data, err := ociremote.FetchLegacyTarget(ctx, targets, lister, name, 100)
			if err != nil || string(data) != string(want) {
				t.Errorf("%s: %q, %v", title, data, err)
			}
			if _, err := ociremote.FetchLegacyTarget(ctx, targets, lister, name, 2); !errors.Is(err, ociremote.ErrTooLarge) {
				t.Errorf("%s over its limit: %v", title, err)
			}
			continue
		}
		data, err := ociremote.FetchBlob(ctx, from, file.Descriptor, 1<<20)
		if err != nil || string(data) != string(want) {
			t.Errorf("%s: %v", title, err)
		}
	}
	for _, name := range []string{"none", "a/b", "../x", ""} {
		if _, err := ociremote.FetchLegacyRole(ctx, metadata, name); !errors.Is(err, ociremote.ErrNotFound) {
			t.Errorf("role %q: got %v", name, err)
		}
		for _, lister := range []string{"targets", "team", "none", "a/b"} {
			if _, err := ociremote.FetchLegacyTarget(ctx, targets, lister, name, 100); !errors.Is(err, ociremote.ErrNotFound) {
				t.Errorf("target %q of %s: got %v", name, lister, err)
			}
		}
	}
	// A bundle of today is none of the older layout.
	now, blobs := pack(t, "1", ociremote.PackOptions{})
	put(reg, now, blobs)
	if _, err := ociremote.FetchLegacyRole(ctx, open(t, c, reg.Host()), "tuf"); !errors.Is(err, ociremote.ErrForeign) {
		t.Errorf("got %v, want ErrForeign", err)
	}
	if _, err := ociremote.FetchLegacyTarget(ctx, open(t, c, reg.Host()), "tuf", "x/y", 100); !errors.Is(err, ociremote.ErrForeign) {
		t.Errorf("got %v, want ErrForeign", err)
	}
}
