package publish_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

func monitor(t testing.TB, g *tuftest.Registry, a *author, o publish.MonitorOptions) *publish.Health {
	t.Helper()
	o.Now = a.clock
	health, err := publish.Monitor(t.Context(), a.root1(), remote(t, g, repository), o)
	if err != nil {
		t.Fatal(err)
	}
	return health
}

// What this workspace published was overwritten: the history of the registry says so,
// and so does the base, also when the history is gone.
func TestMonitorReportsForks(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	start := g.Digest(repository, channel)
	base := func() *metadata.Head {
		head, err := a.ws.Base()
		if err != nil {
			t.Fatal(err)
		}
		return head
	}
	a.stage("", "a", "of a")
	ours := a.publish(g).Digest.String()
	if health := monitor(t, g, a, publish.MonitorOptions{Base: base(), History: 10}); !health.OK() || health.Fork != nil {
		t.Errorf("health before: %+v", health.Fork)
	}
	retag(t, g, channel, start)
	b.stage("team", "team/b", "of b")
	theirs := b.publish(g).Digest.String()

	health := monitor(t, g, a, publish.MonitorOptions{History: 10})
	if forks := health.Forks(); health.OK() || health.Fork != nil || len(forks) != 1 || forks[0].Digest.String() != ours {
		t.Errorf("forks: %+v", forks)
	}
	health = monitor(t, g, a, publish.MonitorOptions{Base: base()})
	if health.OK() || health.Fork == nil || health.Timeline != nil {
		t.Fatalf("health: %+v", health)
	}
	wantFork(t, health.Fork, ours, theirs)
	g.Reset()
	monitor(t, g, b, publish.MonitorOptions{History: 10})
	if got := len(g.Requests()); got != 5 { // head, tags, three bundles
		t.Errorf("%d requests", got)
	}
}

// A registry without a list of tags has a head all the same.
func TestMonitorWithoutTags(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	refuse(g, "/tags/list")
	var said warnings
	if health := monitor(t, g, a, publish.MonitorOptions{History: 10, Warn: said.add}); !health.OK() || health.Timeline != nil {
		t.Errorf("health: %+v", health)
	}
	if !strings.Contains(said.String(), "forks and dead claims are not known") {
		t.Errorf("warnings: %s", &said)
	}
}

func TestMonitorClientsFrom(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	for _, days := range []time.Duration{300, 301} {
		if err := a.ws.SetRole([]string{"root"}, metadata.RoleEdit{Expires: days * 24 * time.Hour}); err != nil {
			t.Fatal(err)
		}
		a.publish(g)
	}
	g.Reset()
	health := monitor(t, g, a, publish.MonitorOptions{ClientsFrom: []int64{1, 2, 3}})
	if len(health.Clients) != 3 || !health.OK() || len(g.Requests()) != 1 {
		t.Errorf("clients %+v, %d requests", health.Clients, len(g.Requests()))
	}
	for _, c := range health.Clients {
		if c.Err != nil || c.Carried || len(c.SHA256) != 64 {
			t.Errorf("client from v%d: %+v", c.Root, c)
		}
	}
	_, err := publish.Monitor(t.Context(), a.root1(), remote(t, g, repository), publish.MonitorOptions{ClientsFrom: []int64{4}, Now: a.clock})
	wantErr(t, err, publish.ErrNoRoot)

	// From the newest root the older ones are only carried, and one of them is forged.
	pin, _ := health.View.RootVersion(3)
	forged := tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes()
	head, _ := g.Manifest(repository, channel)
	for name, test := range map[string]struct {
		change func(*ocispec.Descriptor)
		want   error
	}{
		"as it is": {func(*ocispec.Descriptor) {}, nil},
		"forged": {func(l *ocispec.Descriptor) {
			l.Digest, l.Size = ocispec.DescriptorEmptyJSON.Digest.Algorithm().FromBytes(forged), int64(len(forged))
			g.PutBlob(repository, forged)
		}, trust.ErrThreshold},
	} {
		var m ocispec.Manifest
		if err := json.Unmarshal(head, &m); err != nil {
			t.Fatal(err)
		}
		m.Layers = m.Layers[1:] // the inline layer would lie
		for i := range m.Layers {
			if strings.HasSuffix(m.Layers[i].Annotations[ocispec.AnnotationTitle], "/1.root.json") {
				test.change(&m.Layers[i])
			}
		}
		manifest, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		g.PutManifest(repository, channel, manifest)
		health, err := publish.Monitor(t.Context(), pin, remote(t, g, repository), publish.MonitorOptions{ClientsFrom: []int64{1, 3}, Now: a.clock})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c := health.Clients; !c[0].Carried || c[1].Carried || c[1].Err != nil {
			t.Errorf("%s: clients %+v", name, c)
		}
		switch err := health.Clients[0].Err; {
		case test.want == nil && err != nil, test.want != nil && health.OK():
			t.Errorf("%s: client from v1: %v", name, err)
		case test.want != nil:
			wantErr(t, err, test.want)
		}
	}

	// A root on the way is gone.
	var m ocispec.Manifest
	if err := json.Unmarshal(head, &m); err != nil {
		t.Fatal(err)
	}
	drop(&m, "metadata/2.root.json")
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	g.PutManifest(repository, channel, manifest)
	_, err = publish.Monitor(t.Context(), pin, remote(t, g, repository), publish.MonitorOptions{ClientsFrom: []int64{1}, Now: a.clock})
	wantErr(t, err, trust.ErrMalformed)
	if !strings.Contains(fmt.Sprint(err), "root v2") {
		t.Errorf("error is %v", err)
	}
}
