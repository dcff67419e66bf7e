package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
)

const repository = "mirror/sigstore"

// wanted are the services of the recorded trusted root.
const wanted = `certificate authority   https://fulcio.sigstore.dev (2)
certificate log         https://ctfe.sigstore.dev/2022 (1)
certificate log         https://ctfe.sigstore.dev/test (1)
timestamping authority  https://timestamp.sigstore.dev/api/v1/timestamp (1)
transparency log        https://log2025-1.rekor.sigstore.dev (1)
transparency log        https://rekor.sigstore.dev (1)
`

func TestMirrorOfSigstore(t *testing.T) {
	dir := tuftest.SharedFixture(t, "sigstore")
	text, err := os.ReadFile(filepath.Join(dir, "reference-time"))
	if err != nil {
		t.Fatal(err)
	}
	reference, err := time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	registry.Push(repository, "tuf", tuftest.Pack(t, readFiles(t, dir), tuftest.PackOptions{}))
	cache := t.TempDir()

	// The recorded metadata is long expired and sigstore-go has no option for the
	// time, so it runs on a clock of its own, which begins at midnight UTC
	// 2000-01-01 and is moved to the time of the recording.
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(reference))
		for _, root := range [][]string{
			{"-root", filepath.Join(dir, "initial_root.json")},
			nil, // the root that sigstore-go carries
		} {
			args := append(root, "-plain-http", "-cache", cache, registry.Host()+"/"+repository)
			runExample(t, args, registry.Host()+"/"+repository+":tuf", wanted)
		}
	})
}

// The same with a repository of our own, on the real clock.
func TestOwnRepository(t *testing.T) {
	t.Parallel()
	dir := tuftest.SharedFixture(t, "sigstore")
	trusted, err := filepath.Glob(filepath.Join(dir, "targets", "*.trusted_root.json"))
	if err != nil || len(trusted) != 1 {
		t.Fatalf("%q, %v", trusted, err)
	}
	data, err := os.ReadFile(trusted[0])
	if err != nil {
		t.Fatal(err)
	}
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{Now: time.Now()})
	repo.AddTarget("trusted_root.json", data)
	repo.RotateKey("root")
	repo.Publish()
	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	registry.Push(repository, "stable", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{}))
	root := filepath.Join(t.TempDir(), "root.json")
	if err := os.WriteFile(root, repo.RootBytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	source := registry.Host() + "/" + repository + ":stable"
	args := []string{"-root", root, "-plain-http", "-cache", t.TempDir(), source}
	runExample(t, args, source, wanted)
	if n := len(registry.Requests()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}

	// With another root nothing is believed.
	other := tuftest.NewRepo(t, tuftest.RepoOptions{Now: time.Now()})
	if err := os.WriteFile(root, other.RootBytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	args = []string{"-root", root, "-plain-http", "-cache", t.TempDir(), source}
	var out bytes.Buffer
	if err := run(t.Context(), args, &out); err == nil || out.Len() != 0 {
		t.Errorf("with another root: %v, %s", err, out.String())
	}
}

func runExample(t *testing.T, args []string, source, services string) {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), args, &out); err != nil {
		t.Error(err)
		return
	}
	want := "Sigstore's trusted root from " + source + " names 7 services:\n" + services
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

// readFiles returns all files of a recorded repository by title.
func readFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, folder := range []string{"metadata", "targets"} {
		err := fs.WalkDir(os.DirFS(dir), folder, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
			files[name] = data
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}
