//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// sigstore is Sigstore's public repository as it was served once.
type sigstore struct {
	dir  string
	root string // the pin: root 5, the oldest that go-tuf can parse
	asOf string // everything has expired since
	now  time.Time
	// files by title, as a classic repository has them.
	files map[string][]byte
	// targets by name, of both roles.
	targets map[string][]byte
}

func loadSigstore(t testing.TB) *sigstore {
	t.Helper()
	dir := tuftest.SharedFixture(t, "sigstore")
	asOf, err := os.ReadFile(filepath.Join(dir, "reference-time"))
	if err != nil {
		t.Fatal(err)
	}
	s := &sigstore{
		dir: dir, root: filepath.Join(dir, "initial_root.json"), asOf: strings.TrimSpace(string(asOf)),
		files: tuftest.ReadFiles(t, dir), targets: map[string][]byte{},
	}
	if s.now, err = time.Parse(time.RFC3339, s.asOf); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"metadata/14.targets.json", "metadata/8.registry.npmjs.org.json"} {
		var file struct {
			Signed struct {
				Targets map[string]struct {
					Hashes map[string]string `json:"hashes"`
				} `json:"targets"`
			} `json:"signed"`
		}
		if err := json.Unmarshal(s.files[role], &file); err != nil {
			t.Fatalf("%s: %v", role, err)
		}
		for name, entry := range file.Signed.Targets {
			path, base := filepath.Split(name)
			data, ok := s.files["targets/"+path+entry.Hashes["sha256"]+"."+base]
			if !ok {
				t.Fatalf("the fixture lacks target %s", name)
			}
			s.targets[name] = data
		}
	}
	if len(s.targets) != 12 {
		t.Fatalf("%d targets in the fixture, want 12", len(s.targets))
	}
	return s
}

// mirror copies the fixture into dst by the command line.
func (s *sigstore) mirror(t testing.TB, dst string, flags ...string) {
	t.Helper()
	args := []string{"mirror", "copy", "file://" + s.dir, dst, "--root", s.root, "--as-of", s.asOf}
	newPerson(t).must(append(args, flags...)...)
}

// check reads everything back from a source, as a consumer pinned to the
// initial root: with the clock of --as-of and without a store, and with a
// store whose clock is the reference time.
func (s *sigstore) check(t testing.TB, source string, wanted []string, flags ...string) {
	t.Helper()
	reader := newPerson(t)
	pinned := append([]string{"--root", s.root, "--as-of", s.asOf}, flags...)
	s.checkTargets(t, reader, sigstoreSample, source, pinned...)

	consumer := newPerson(t).at(s.now)
	consumer.must(append([]string{"trust", "add", "sigstore", source, "--root", s.root}, flags...)...)
	var updated struct {
		Trusts []struct {
			Roles []struct {
				Role    string `json:"role"`
				Version int64  `json:"version"`
			} `json:"roles"`
		} `json:"trusts"`
	}
	consumer.decode(&updated, append([]string{"trust", "update", "sigstore"}, flags...)...)
	want := map[string]int64{"root": 15, "timestamp": 762, "snapshot": 165, "targets": 14}
	for _, role := range updated.Trusts[0].Roles {
		if role.Version != want[role.Role] {
			t.Errorf("%s v%d, want v%d", role.Role, role.Version, want[role.Role])
		}
	}
	s.checkTargets(t, consumer, wanted, "sigstore", flags...)
}

// sigstoreSample are targets of two roles.
var sigstoreSample = []string{"trusted_root.json", "registry.npmjs.org/keys.json"}

// names are all targets.
func (s *sigstore) names() []string { return slices.Collect(maps.Keys(s.targets)) }

// checkTargets lists all targets and gets those that are wanted.
func (s *sigstore) checkTargets(t testing.TB, p *person, wanted []string, source string, flags ...string) {
	t.Helper()
	var listed struct {
		Targets []struct {
			Path string `json:"path"`
			Role string `json:"role"`
		} `json:"targets"`
	}
	p.decode(&listed, append([]string{"ls", source}, flags...)...)
	roles, names := map[string]bool{}, map[string]bool{}
	for _, target := range listed.Targets {
		roles[target.Role], names[target.Path] = true, true
	}
	if len(roles) != 2 || len(names) != len(s.targets) {
		t.Errorf("ls %s: %d targets of roles %v", source, len(names), slices.Sorted(maps.Keys(roles)))
	}
	for _, name := range wanted {
		want := s.targets[name]
		if got := p.must(append([]string{"get", source, name}, flags...)...); got != string(want) {
			t.Errorf("get %s %s: %d bytes differ from the %d published", source, name, len(got), len(want))
		}
	}
}

// TestSigstore carries Sigstore's repository through a registry,
// an OCI layout and an OCI archive, and back into a registry.
func TestSigstore(t *testing.T) {
	t.Parallel()
	s := loadSigstore(t)
	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	home := registry.Host() + "/sigstore/trust"
	s.mirror(t, home, "--to-plain-http")
	s.check(t, home, s.names(), "--plain-http")
	pushed := func(repository string) []byte {
		t.Helper()
		manifest, _ := registry.Manifest(repository, "tuf")
		s.checkManifest(t, manifest, func(digest string) ([]byte, error) {
			data, ok := registry.Blob(repository, digest)
			if !ok {
				return nil, os.ErrNotExist
			}
			return data, nil
		})
		return manifest
	}
	manifest := pushed("sigstore/trust")

	dir := t.TempDir()
	operator := newPerson(t)
	hop := func(from, to string, flags ...string) {
		t.Helper()
		args := []string{"mirror", "copy", from, to, "--root", s.root, "--as-of", s.asOf}
		operator.must(append(args, flags...)...)
	}
	archive, layout := "oci-archive:"+filepath.Join(dir, "trust.tar"), "oci-layout:"+filepath.Join(dir, "layout")
	hop(home, archive, "--from-plain-http")
	hop(archive, layout)
	hop(layout, registry.Host()+"/sigstore/again", "--to-plain-http")
	s.check(t, archive, sigstoreSample)
	s.check(t, layout, sigstoreSample)
	if again := pushed("sigstore/again"); !bytes.Equal(again, manifest) {
		t.Errorf("the manifest changed on its way: %d and %d bytes", len(manifest), len(again))
	}
	s.checkManifest(t, archived(t, filepath.Join(dir, "trust.tar"), tuftest.Digest(manifest)), func(digest string) ([]byte, error) {
		return archived(t, filepath.Join(dir, "trust.tar"), digest), nil
	})

	direct := "oci-archive:" + filepath.Join(dir, "direct.tar")
	s.mirror(t, direct)
	s.check(t, direct, sigstoreSample)
	hop(direct, registry.Host()+"/sigstore/direct", "--to-plain-http")
	pushed("sigstore/direct")
}

// checkManifest holds a bundle to the fixture: size, and every file byte for
// byte.
func (s *sigstore) checkManifest(t testing.TB, manifest []byte, blob func(digest string) ([]byte, error)) {
	t.Helper()
	if len(manifest) == 0 || len(manifest) >= 40<<10 {
		t.Errorf("the manifest has %d bytes, the bound is 40 KiB", len(manifest))
	}
	files, err := unpack(manifest, blob)
	if err != nil {
		t.Fatal(err)
	}
	s.checkFiles(t, files)
}

// checkFiles holds files by title to the fixture.
func (s *sigstore) checkFiles(t testing.TB, files map[string][]byte) {
	t.Helper()
	for title, want := range s.files {
		if got, ok := files[title]; !ok {
			t.Errorf("%s is missing", title)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes differ from the %d published", title, len(got), len(want))
		}
	}
	for title := range files {
		if _, ok := s.files[title]; !ok {
			t.Errorf("%s was never published", title)
		}
	}
}

// unpack reads the file layers of a bundle by their titles, from the layout's
// specification alone.
func unpack(manifest []byte, blob func(digest string) ([]byte, error)) (map[string][]byte, error) {
	var parsed struct {
		Layers []struct {
			Digest      string            `json:"digest"`
			Annotations map[string]string `json:"annotations"`
		} `json:"layers"`
	}
	if err := json.Unmarshal(manifest, &parsed); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, layer := range parsed.Layers {
		title := layer.Annotations["org.opencontainers.image.title"]
		if title == "" {
			continue
		}
		data, err := blob(layer.Digest)
		if err != nil {
			return nil, err
		}
		files[title] = data
	}
	return files, nil
}

// archived reads one blob of an OCI archive.
func archived(t testing.TB, file, digest string) []byte {
	t.Helper()
	opened, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	want := "blobs/" + strings.Replace(digest, ":", "/", 1)
	archive := tar.NewReader(opened)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			t.Fatalf("%s has no %s", file, want)
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimPrefix(header.Name, "./") == want {
			data, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
	}
}
