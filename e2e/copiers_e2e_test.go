//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// copiers are the programs that copy a tag from one registry to another, over
// plain http.
var copiers = []struct {
	name string
	args func(from, to string) []string
}{
	{"oras", func(from, to string) []string {
		return []string{"cp", "--no-tty", "--from-plain-http", "--to-plain-http", from, to}
	}},
	{"crane", func(from, to string) []string { return []string{"copy", "--insecure", from, to} }},
	{"regctl", func(from, to string) []string {
		return []string{
			"--host", "reg=" + host(from) + ",tls=disabled", "--host", "reg=" + host(to) + ",tls=disabled",
			"image", "copy", from, to,
		}
	}},
	{"skopeo", func(from, to string) []string {
		return []string{
			"--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false",
			"docker://" + from, "docker://" + to,
		}
	}},
}

// wholeCopiers are the programs that copy all tags of a repository, and what refers to
// images where they can; between is a directory of their own. Of to skopeo takes the
// last component from from.
var wholeCopiers = []struct {
	name string
	copy func(t testing.TB, from, to, between string) error
}{
	{"crane", func(t testing.TB, from, to, _ string) error {
		_, err := attempt(t, tool(t, "crane"), "copy", "--insecure", "-a", from, to)
		return err
	}},
	{"skopeo", func(t testing.TB, from, to, _ string) error {
		_, err := attempt(t, tool(t, "skopeo"), "--insecure-policy", "sync", "--all", "--src-tls-verify=false", "--dest-tls-verify=false",
			"--src", "docker", "--dest", "docker", from, to[:strings.LastIndex(to, "/")])
		return err
	}},
	{"regsync", func(t testing.TB, from, to, between string) error {
		file := filepath.Join(between, "regsync.yml")
		config := fmt.Sprintf("version: 1\ncreds:\n- {registry: %q, tls: disabled}\n- {registry: %q, tls: disabled}\n"+
			"sync:\n- {source: %q, target: %q, type: repository, referrers: true}\n", host(from), host(to), from, to)
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			return err
		}
		_, err := attempt(t, tool(t, "regsync"), "once", "-c", file)
		return err
	}},
	{"oras", func(t testing.TB, from, to, between string) error {
		file := filepath.Join(between, "backup.tar")
		if _, err := attempt(t, tool(t, "oras"), "backup", "--no-tty", "--plain-http", "--include-referrers", "--output", file, from); err != nil {
			return err
		}
		_, err := attempt(t, tool(t, "oras"), "restore", "--no-tty", "--plain-http", "--input", file, to)
		return err
	}},
}

func host(reference string) string {
	host, _, _ := strings.Cut(reference, "/")
	return host
}

// TestForeignCopiers copies a published tag with each program, between each
// kind of registry; the consumer goes on from the copy.
func TestForeignCopiers(t *testing.T) {
	t.Parallel()
	registries := map[string]string{
		"olareg":           tuftest.NewRegistry(t, tuftest.RegistryOptions{}).Host(),
		"distribution":     startDistribution(t, tool(t, "registry")),
		"distribution 2.8": startDistribution(t, tool(t, "docker-registry")),
	}
	for sourceName, source := range registries {
		made := publishEverything(t, source)
		for _, copier := range copiers {
			for mirrorName, mirror := range registries {
				t.Run(copier.name+"/"+sourceName+" to "+mirrorName, func(t *testing.T) {
					t.Parallel()
					from, to := source+"/acme/trust:tuf", mirror+"/"+copier.name+"/"+strings.ReplaceAll(strings.ReplaceAll(sourceName, " ", "-"), ".", "-")+":tuf"
					do(t, tool(t, copier.name), copier.args(from, to)...)
					made.trusted(t, to, "--plain-http")
				})
			}
		}
	}
}

// TestForeignFiles reads the layouts and archives that other programs write.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	source := tuftest.NewRegistry(t, tuftest.RegistryOptions{}).Host()
	made := publishEverything(t, source)
	from := source + "/acme/trust:tuf"
	for _, tt := range []struct {
		name, program, form string
		args                func(path string) []string
	}{
		{"oras layout", "oras", "oci-layout:", func(path string) []string {
			return []string{"cp", "--no-tty", "--from-plain-http", "--to-oci-layout", from, path + ":tuf"}
		}},
		{"oras archive", "oras", "oci-archive:", func(path string) []string {
			return []string{"backup", "--plain-http", "--no-tty", "-o", path, from}
		}},
		{"regctl layout", "regctl", "oci-layout:", func(path string) []string {
			return []string{"--host", "reg=" + source + ",tls=disabled", "image", "copy", from, "ocidir://" + path + ":tuf"}
		}},
		{"regctl archive", "regctl", "oci-archive:", func(path string) []string {
			return []string{"--host", "reg=" + source + ",tls=disabled", "image", "export", from, path}
		}},
		{"crane layout", "crane", "oci-layout:", func(path string) []string {
			return []string{"pull", "--insecure", "--format=oci", from, path}
		}},
		{"crane layout with reference", "crane", "oci-layout:", func(path string) []string {
			return []string{"pull", "--insecure", "--format=oci", "--annotate-ref", from, path}
		}},
		{"skopeo layout", "skopeo", "oci-layout:", func(path string) []string {
			return []string{"--insecure-policy", "copy", "--src-tls-verify=false", "docker://" + from, "oci:" + path + ":tuf"}
		}},
		{"skopeo archive", "skopeo", "oci-archive:", func(path string) []string {
			return []string{"--insecure-policy", "copy", "--src-tls-verify=false", "docker://" + from, "oci-archive:" + path + ":tuf"}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "trust")
			if tt.form == "oci-archive:" {
				path += ".tar"
			}
			do(t, tool(t, tt.program), tt.args(path)...)
			made.trusted(t, tt.form+path)
		})
	}
}

// TestWrittenForOthers lets other programs read the archives and layouts that
// tufoci writes.
func TestWrittenForOthers(t *testing.T) {
	t.Parallel()
	source := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	made := publishEverything(t, source.Host())
	manifest, _ := source.Manifest("acme/trust", "tuf")
	dir := t.TempDir()
	archive, layout := filepath.Join(dir, "trust.tar"), filepath.Join(dir, "layout")
	for _, to := range []string{"oci-archive:" + archive, "oci-layout:" + layout} {
		newPerson(t).must("mirror", "copy", source.Host()+"/acme/trust", to, "--root", made.publisher.rootFile(), "--from-plain-http")
	}
	for _, tt := range []struct {
		name, program string
		args          func(to string) []string
	}{
		{"skopeo-archive", "skopeo", func(to string) []string {
			return []string{"--insecure-policy", "copy", "--dest-tls-verify=false", "oci-archive:" + archive + ":tuf", "docker://" + to}
		}},
		{"skopeo-layout", "skopeo", func(to string) []string {
			return []string{"--insecure-policy", "copy", "--dest-tls-verify=false", "oci:" + layout + ":tuf", "docker://" + to}
		}},
		{"oras-layout", "oras", func(to string) []string {
			return []string{"cp", "--no-tty", "--from-oci-layout", "--to-plain-http", layout + ":tuf", to}
		}},
		{"oras-archive", "oras", func(to string) []string {
			return []string{"cp", "--no-tty", "--from-oci-layout", "--to-plain-http", archive + ":tuf", to}
		}},
		{"regctl-layout", "regctl", func(to string) []string {
			return []string{"--host", "reg=" + source.Host() + ",tls=disabled", "image", "copy", "ocidir://" + layout + ":tuf", to}
		}},
		{"regctl-archive", "regctl", func(to string) []string {
			return []string{"--host", "reg=" + source.Host() + ",tls=disabled", "image", "import", to, archive}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			do(t, tool(t, tt.program), tt.args(source.Host()+"/"+tt.name+":tuf")...)
			if got, _ := source.Manifest(tt.name, "tuf"); string(got) != string(manifest) {
				t.Errorf("the manifest changed: %d and %d bytes", len(manifest), len(got))
			}
		})
	}
}
