package publish_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

// newKeyFile writes a private key into the workspace and returns its URI.
func (a *author) newKeyFile(name string) string {
	a.t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	data := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(filepath.Join(a.ws.Dir(), name), data, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return "file:" + name
}

// driveUp publishes what is there under a timestamp version of one's own, past all that a publish would heed.
func (a *author) driveUp(g *tuftest.Registry, version int64) {
	a.t.Helper()
	head, err := a.ws.Base()
	if err != nil {
		a.t.Fatal(err)
	}
	for _, f := range bundle(a.t, remote(a.t, g, repository), channel).Files {
		if strings.HasPrefix(f.Title, "targets/") {
			head.Files = append(head.Files, metadata.File{Name: f.Title, SHA256: f.Descriptor.Digest.Encoded(), Length: f.Descriptor.Size})
		}
	}
	release, err := metadata.Refresh(a.t.Context(), head, metadata.RefreshOptions{
		Keys: a.refresher(0).o.Keys, Now: a.now, Force: true, TimestampVersion: version, Leave: []string{"targets"},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	contents := make([]ociremote.Content, len(release.Files))
	for i, f := range release.Files {
		contents[i] = ociremote.Content{Title: f.Name, Digest: digest.NewDigestFromEncoded(digest.SHA256, f.SHA256), Size: f.Length, Data: f.Data}
	}
	b, blobs, err := ociremote.Pack(contents, ociremote.PackOptions{Annotations: map[string]string{ociremote.AnnotationPrevious: head.Digest}})
	if err != nil {
		a.t.Fatal(err)
	}
	repo := remote(a.t, g, repository)
	for _, blob := range blobs {
		if blob.Data == nil {
			continue
		}
		if err := repo.Push(a.t.Context(), blob.Descriptor, bytes.NewReader(blob.Data)); err != nil {
			a.t.Fatal(err)
		}
	}
	storeManifest(a.t, repo, channel, b.Manifest)
}

// A stolen online key drove the versions up in the registry itself. After its rotation one publish brings clients back that
// saw that: under the version after it, or, where there is none, from the last good bundle.
func TestRotationEndsFastForward(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		version, want int64
		restore       bool
	}{
		"a high version":   {1 << 40, 1<<40 + 1, false},
		"the last version": {1<<53 - 1, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, a := published(t)
			good, _ := g.Manifest(repository, channel)
			a.driveUp(g, c.version)
			victim := trust.Options{
				Source: trust.RepositorySource(remote(t, g, repository), channel), StateDir: t.TempDir(), Now: a.clock,
			}
			if view, err := refresh(t.Context(), a.root1(), victim); err != nil || view.Status().Timestamp.Version != c.version {
				t.Fatal(err)
			}
			if _, err := a.ws.RotateOnline(a.newKeyFile("online2.pem"), false); err != nil {
				t.Fatal(err)
			}
			if c.restore {
				_, err := a.try(t.Context(), g, publish.Options{})
				wantErr(t, err, metadata.ErrLastVersion)
				g.PutManifest(repository, channel, good)
			}
			if r := a.publish(g); r.Versions.Timestamp != c.want || r.Versions.Root != 2 {
				t.Errorf("published %+v", r.Versions)
			}
			view, err := refresh(t.Context(), a.root1(), victim)
			if err != nil || view.Status().Timestamp.Version != c.want {
				t.Fatalf("%+v, %v", view, err)
			}
			wantTarget(t, view, "hello.txt", "hello")
			wantSeen(t, g, a, trust.Seen{Timestamp: c.version, Root: 1}, nil)
			if c.restore {
				wantSeen(t, g, a, trust.Seen{Timestamp: c.version}, trust.ErrRollback)
				wantSeen(t, g, a, trust.Seen{Timestamp: c.version, Root: 2}, trust.ErrRollback)
			}
		})
	}
}

// wantSeen checks how whoever looks after a repository and has seen something takes its
// head.
func wantSeen(t testing.TB, g *tuftest.Registry, a *author, seen trust.Seen, want error) {
	t.Helper()
	repo, before := remote(t, g, repository), []trust.Seen{seen}
	_, refresh := publish.Refresh(t.Context(), a.root1(), repo, publish.RefreshOptions{Keys: a.refresher(0).o.Keys, Seen: before, DryRun: true, Now: a.clock})
	_, monitor := publish.Monitor(t.Context(), a.root1(), repo, publish.MonitorOptions{Seen: before, Now: a.clock})
	_, history := publish.History(t.Context(), a.root1(), repo, publish.HistoryOptions{Seen: before, Now: a.clock})
	_, prune := publish.Prune(t.Context(), a.root1(), repo, publish.PruneOptions{Seen: before, DryRun: true, Now: a.clock})
	for name, err := range map[string]error{"refresh": refresh, "monitor": monitor, "history": history, "prune": prune} {
		if !errors.Is(err, want) || (want == nil && err != nil) {
			t.Errorf("%s of what is lower than %+v: %v, want %v", name, seen, err, want)
		}
	}
}
