package publish_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

func (g *gallery) discover(image string, pins ...publish.Pin) *publish.Discovery {
	g.t.Helper()
	ref := g.attachment(image).Image
	repo, err := g.openWritable(g.t.Context(), ref)
	if err != nil {
		g.t.Fatal(err)
	}
	found, err := publish.Discover(g.t.Context(), repo, ref, publish.DiscoverOptions{Pins: pins, Now: clock})
	if err != nil {
		g.t.Fatal(err)
	}
	return found
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]tuftest.RegistryOptions{"referrers": {}, "no referrers": {NoReferrers: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGallery(t, o)
			g.repo.RotateKey("root")
			subject := g.sign("one", "shop/api", "image", "1")
			here := remote(t, g.Registry, "shop/api")
			theirs := world(t)
			for _, view := range []*trust.View{g.view(), see(t, theirs.RootBytes(), memory(t, theirs))} {
				if r := publish.Beside(t.Context(), view, []publish.BesideCopy{{Name: "copy", Repository: here}}, publish.BesideOptions{Now: clock})[0]; r.Err != nil {
					t.Fatal(r.Err)
				}
			}
			attached := g.one("shop/api:1")
			forged := tuftest.Pack(t, forge(g.repo.Files()), tuftest.PackOptions{Edit: refer(subject, true)})
			g.push("shop/api", forged)

			found := g.discover("shop/api:1", publish.Pin{Name: "acme", Root: g.repo.RootBytes()}, publish.Pin{Name: "later", Root: g.repo.Roots()[1]})
			if len(found.Beside) != 2 || len(found.Attached) != 2 || len(found.Referrers) != 0 || found.Truncated {
				t.Fatalf("found %+v", found)
			}
			ours, others := found.Beside[0], found.Beside[1]
			if ours.Name != channel || !ours.Verified || !slices.Equal(ours.Pins, []string{"acme", "later"}) || ours.Versions.Root != 2 || ours.Err != nil {
				t.Errorf("ours: %+v", ours)
			}
			if others.Name != lineage(theirs) || others.Verified || len(others.Pins) > 0 || others.Lineage != digest.FromBytes(theirs.RootBytes()) {
				t.Errorf("theirs: %+v", others)
			}
			for _, f := range found.Attached {
				if want := f.Digest == attached.Digest; f.Verified != want || !f.Partial || len(f.Pins) != 2 || (f.Err == nil) != want {
					t.Errorf("attached: %+v", f)
				}
			}
			// Without a pin nothing is verified.
			for _, f := range slices.Concat(g.discover("shop/api:1").Beside, g.discover("shop/api:1").Attached) {
				if f.Verified || f.Pins != nil {
					t.Errorf("without a pin: %+v", f)
				}
			}
		})
	}
}

// TestDiscoverIsBounded: a heap of bundles is looked at in part, and that is said.
func TestDiscoverIsBounded(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	g := newGallery(t, tuftest.RegistryOptions{})
	subject := g.sign("one", "shop/api", "image", "1")
	g.put("shop/api", channel, manifest("no bundle"))
	for n := range 40 {
		g.push("shop/api", tuftest.Pack(t, forge(g.repo.Files()), tuftest.PackOptions{
			Edit: refer(subject, true), Annotations: map[string]string{"n": fmt.Sprint(n)},
		}))
		g.put("shop/api", fmt.Sprintf("tuf.%08x", n), manifest(fmt.Sprint(n)))
	}
	g.Reset()
	found := g.discover("shop/api:1", publish.Pin{Name: "acme", Root: g.repo.RootBytes()})
	if len(found.Attached) != 16 || len(found.Beside) != 17 || !found.Truncated {
		t.Errorf("%d attached, %d beside, more: %v", len(found.Attached), len(found.Beside), found.Truncated)
	}
	if !errors.Is(found.Beside[0].Err, ociremote.ErrForeign) {
		t.Errorf("an image under the channel: %v", found.Beside[0].Err)
	}
	if n := len(g.Requests()); n > 120 {
		t.Errorf("%d requests", n)
	}
	// Attaching is not kept from its work by them, and deletes none.
	g.Reset()
	defer func() {
		if n := len(g.Requests()); n > 60 {
			t.Errorf("%d requests to attach", n)
		}
	}()
	if r := g.one("shop/api:1"); len(r.Pruned)+len(r.Kept) > 0 {
		t.Errorf("attached: %+v", r)
	}
}
