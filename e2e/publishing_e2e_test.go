//go:build e2e

package e2e

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

const (
	// Once a publisher who never pauses has mostHistory bundles, the oldest go, with
	// their blobs, until keptHistory are left: harder than any rule of retention.
	mostHistory, keptHistory = 12, 6
	// rotationEvery is after how many publishes it makes another root.
	rotationEvery = 8
)

// steadyPublisher publishes to acme/trust without pause. Each time a small file of
// targets and a file of a delegated role, which no inline layer can take, say the
// same number.
type steadyPublisher struct {
	t    *testing.T
	host string
	ws   *metadata.Workspace
	repo ociremote.WritableRepository
	root string // file of root version 1
	// history are the bundles that were not removed, oldest first.
	history []kept
	number  atomic.Int64 // of the newest publish
}

// publishSteadily starts a publisher, who ends with the test.
func publishSteadily(t *testing.T, host string) *steadyPublisher {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	env := func(name string) (string, bool) {
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), name == "KEY"
	}
	dir := filepath.Join(memoryDir(t), "workspace")
	keys := map[string][]string{}
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		keys[role] = []string{"env:KEY"}
	}
	ws, err := metadata.Init(dir, metadata.InitOptions{Repository: host + "/acme/trust", Profile: "dev", Keys: keys, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ws.Keys()
	if err != nil {
		t.Fatal(err)
	}
	if err := ws.AddDelegation(metadata.DelegationOptions{Name: "charts", Paths: []string{"charts/*"}, Keys: []string{signer[0].Name}}); err != nil {
		t.Fatal(err)
	}
	p := &steadyPublisher{t: t, host: host, ws: ws, repo: writable(t, host, "acme/trust")}
	if err := p.next(); err != nil {
		t.Fatal(err)
	}
	root, err := ws.Root1()
	if err != nil {
		t.Fatal(err)
	}
	p.root = filepath.Join(t.TempDir(), "root.json")
	if err := os.WriteFile(p.root, root, 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for t.Context().Err() == nil {
			if err := p.next(); err != nil && t.Context().Err() == nil {
				t.Errorf("publish %d: %v", p.number.Load()+1, err)
				return
			}
		}
	}()
	t.Cleanup(func() {
		<-ended
		t.Logf("%d publishes", p.number.Load())
		if err := ws.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// writable opens a repository of a registry on loopback.
func writable(t testing.TB, host, name string) ociremote.WritableRepository {
	t.Helper()
	client, err := ociremote.NewClient(ociremote.Options{RegistryConfig: filepath.Join(t.TempDir(), "config.json")})
	if err != nil {
		t.Fatal(err)
	}
	ref := ociremote.Reference{Kind: ociremote.KindRegistry, Host: host, Repository: name, Tag: ociremote.DefaultChannel}
	repo, err := client.Repository(t.Context(), ref, true)
	if err != nil {
		t.Fatal(err)
	}
	return repo.(ociremote.WritableRepository)
}

// next publishes once, and removes what is older than the history.
func (p *steadyPublisher) next() error {
	number := p.number.Load() + 1
	var seed [32]byte
	copy(seed[:], strconv.FormatInt(number, 10))
	noise := make([]byte, 160<<10)
	_, _ = rand.NewChaCha8(seed).Read(noise)
	small := fmt.Appendf(nil, "%d\n", number)
	if _, err := p.ws.AddTarget("watched.txt", small, metadata.TargetOptions{}); err != nil {
		return err
	}
	if _, err := p.ws.AddTarget("charts/large.bin", slices.Concat(small, noise), metadata.TargetOptions{Role: "charts"}); err != nil {
		return err
	}
	if number%rotationEvery == 0 {
		life := 300*24*time.Hour + time.Duration(number)*time.Hour
		if err := p.ws.SetRole([]string{"root"}, metadata.RoleEdit{Expires: life}); err != nil {
			return err
		}
	}
	result, err := publish.Publish(p.t.Context(), p.ws, p.repo, publish.Options{})
	if err != nil {
		return err
	}
	p.number.Store(number)
	return p.retain(result.HistoryTag)
}

// kept is a bundle under its history tag.
type kept struct {
	tag string
	*ociremote.Bundle
}

// retain notes the newest bundle and, once there are too many, removes the oldest:
// tags, manifests, and the blobs that no other one has.
func (p *steadyPublisher) retain(tag string) error {
	newest, err := ociremote.FetchBundle(p.t.Context(), p.repo, tag, ociremote.Known{})
	if err != nil {
		return err
	}
	p.history = append(p.history, kept{tag, newest})
	if len(p.history) < mostHistory {
		return nil
	}
	old := p.history[:mostHistory-keptHistory]
	p.history = p.history[mostHistory-keptHistory:]
	for _, o := range old {
		remove := []string{"manifests/" + o.tag, "manifests/" + o.Descriptor.Digest.String()}
		for _, file := range o.Files {
			if !slices.ContainsFunc(p.history, func(k kept) bool { return k.holds(file) }) {
				remove = append(remove, "blobs/"+file.Descriptor.Digest.String())
			}
		}
		for _, what := range remove {
			if err := p.remove(what); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k kept) holds(file ociremote.File) bool {
	return slices.ContainsFunc(k.Files, func(f ociremote.File) bool { return f.Descriptor.Digest == file.Descriptor.Digest })
}

func (p *steadyPublisher) remove(what string) error {
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodDelete, "http://"+p.host+"/v2/acme/trust/"+what, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	// What two old bundles have is gone already.
	if answer.StatusCode != http.StatusAccepted && answer.StatusCode != http.StatusNotFound {
		return fmt.Errorf("deleting %s: %s", what, answer.Status)
	}
	return nil
}

// TestMirroredWhilePublishing copies with foreign programs what a publisher replaces
// all the time and removes soon after. A program may fail, over what has gone; what
// lies in the mirror is consistent each time, for who comes new and for who was there
// before.
func TestMirroredWhilePublishing(t *testing.T) {
	t.Parallel()
	registries := map[string]string{
		"olareg":       tuftest.NewRegistry(t, tuftest.RegistryOptions{}).Host(),
		"distribution": startDistribution(t, tool(t, "registry")),
	}
	opposite := map[string]string{"olareg": registries["distribution"], "distribution": registries["olareg"]}
	for name, source := range registries {
		publisher := publishSteadily(t, source)
		from := source + "/acme/trust"
		for _, copier := range copiers {
			t.Run(copier.name+" one tag/"+name, func(t *testing.T) {
				t.Parallel()
				to := opposite[name] + "/" + copier.name + "/" + name + "/trust"
				// 13 from each of two registries.
				publisher.mirrored(t, to, 13, func() error {
					_, err := attempt(t, tool(t, copier.name), copier.args(from+":tuf", to+":tuf")...)
					return err
				})
			})
		}
		for _, copier := range wholeCopiers {
			t.Run(copier.name+" whole repository/"+name, func(t *testing.T) {
				t.Parallel()
				to := opposite[name] + "/" + copier.name + "/whole/" + name + "/trust"
				publisher.mirrored(t, to, 5, func() error { return copier.copy(t, from, to, t.TempDir()) })
				publisher.historyReads(t, to)
			})
		}
	}
}

// mirrored copies several times, and looks after each.
func (p *steadyPublisher) mirrored(t *testing.T, to string, times int, copyOver func() error) {
	var old *person // who has state from the first copy on
	seen, failed := map[int]bool{}, 0
	for i := 0; i < times || len(seen) < 2 && i < 10*times; i++ {
		before := p.number.Load()
		err := copyOver()
		if err != nil {
			failed++
			lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
			t.Logf("copy %d: %s", i, lines[len(lines)-1])
		}
		fresh := newPerson(t)
		if o := fresh.run("trust", "add", "acme", to, "--root", p.root, "--plain-http"); o.code == 11 && err != nil && old == nil {
			continue // nothing is there yet
		} else if o.code != 0 {
			t.Fatalf("copy %d: trust add: exit %d\n%s", i, o.code, o.stderr)
		}
		got := fresh.consistent("acme", "--plain-http")
		if old == nil {
			old = fresh
		}
		if kept := old.consistent("acme", "--plain-http"); kept != got {
			t.Errorf("copy %d: who comes new sees %d, who was there before %d", i, got, kept)
		}
		if err == nil && int64(got) < before {
			t.Errorf("copy %d has %d, and began at %d", i, got, before)
		}
		seen[got] = true
	}
	t.Logf("%d copies failed, %d states were seen", failed, len(seen))
	if len(seen) < 2 {
		t.Error("fewer than two states arrived: this says nothing")
	}
}

// consistent is the number that both files say.
func (p *person) consistent(from string, flags ...string) int {
	p.t.Helper()
	small := p.must(append([]string{"get", from, "watched.txt"}, flags...)...)
	large := p.must(append([]string{"get", from, "charts/large.bin"}, flags...)...)
	if !strings.HasPrefix(large, small) {
		p.t.Errorf("watched.txt says %q, charts/large.bin %q", small, large[:min(8, len(large))])
	}
	number, err := strconv.Atoi(strings.TrimSpace(small))
	if err != nil {
		p.t.Error(err)
	}
	return number
}

// historyReads gets what each history tag of a mirror holds.
func (p *steadyPublisher) historyReads(t *testing.T, to string) {
	registry, name, _ := strings.Cut(to, "/")
	read := 0
	err := writable(t, registry, name).Tags(t.Context(), "", func(tags []string) error {
		for _, tag := range tags {
			if _, ok := ociremote.ParseHistoryTag(ociremote.DefaultChannel, tag); ok {
				read++
				newPerson(t).consistent(to+":"+tag, "--root", p.root, "--plain-http")
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d history tags", read)
}
