package cli

import (
	"net/http"
	"slices"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

// What a command line says of credentials and headers is for home, and for no other
// registry.
func TestClientsKeepSecretsAtHome(t *testing.T) {
	t.Parallel()
	home := tuftest.NewRegistry(t, tuftest.RegistryOptions{Basic: true})
	elsewhere := tuftest.NewRegistry(t, tuftest.RegistryOptions{Basic: true})
	flags := &registryFlags{username: "user", password: "password", headers: []string{"X-Secret: 1"}, config: t.TempDir() + "/config.json"}
	a := newApp(World{})
	c, err := a.clientsFor(t.Context(), flags, home.Host())
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := c.own.Anonymous()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []*tuftest.Registry{home, elsewhere} {
		client, err := c.at(g.Host())
		if err != nil {
			t.Fatal(err)
		}
		for _, asks := range []*ociremote.Client{client, stranger} {
			g.Reset()
			readable(t.Context(), asks, ociremote.Reference{Host: g.Host(), Repository: "acme/trust", Tag: "tuf"})
			told := slices.ContainsFunc(g.Requests(), func(r tuftest.Request) bool {
				return r.Header.Get("Authorization") != "" || r.Header.Get("X-Secret") != ""
			})
			if want := g == home && asks == c.own; told != want {
				t.Errorf("home %v, anonymous %v: secrets sent %v, want %v", g == home, asks == stranger, told, want)
			}
			if len(g.Requests()) == 0 || g.Requests()[0].Method != http.MethodHead {
				t.Errorf("requests are %+v", g.Requests())
			}
		}
	}
}
