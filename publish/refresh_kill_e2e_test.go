//go:build e2e

package publish_test

import (
	"context"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

const shop = "shop/api" // the repository of images with a copy

// upkeep is one run of a daemon: the refresh, then the copy next to images.
func (r *refresher) upkeep(ctx context.Context, g *tuftest.Registry) (unchanged bool, err error) {
	r.t.Helper()
	result, err := r.try(ctx, g)
	if err != nil {
		return false, err
	}
	done := publish.Beside(ctx, result.View, []publish.BesideCopy{{
		Name: "registry/" + shop, Repository: remote(r.t, g, shop), MountFrom: repository,
	}}, publish.BesideOptions{Now: func() time.Time { return r.now }})[0]
	return result.Unchanged && done.Unchanged, done.Err
}

// A daemon dies with whichever request of a run that renews all roles but root and the
// copy next to images. Consumers of either read the old state or the new one, and the
// next run leaves nothing to do.
func TestUpkeepKilledAtAnyRequest(t *testing.T) {
	t.Parallel()
	origin, a := published(t)
	first := a.refresher(0)
	if _, err := first.upkeep(t.Context(), origin); err != nil {
		t.Fatal(err)
	}
	for _, when := range tuftest.Whens {
		t.Run(when.String(), func(t *testing.T) {
			t.Parallel()
			for n, dead := 1, true; dead; n++ {
				g, r := duplicate(t, origin), a.refresher(6*day)
				duplicateTo(t, origin, g, shop)
				r.o.Within = metadata.Window{Percent: 100}
				g.KillAt(n, when)
				_, err := r.upkeep(t.Context(), g)
				if dead = g.Killed(); dead == (err == nil) {
					t.Errorf("request %d: killed is %v, error %v", n, dead, err)
				}
				g.Revive()
				var seen [2]int64
				for i, place := range []string{repository, shop} {
					view, err := refresh(t.Context(), r.pin, trust.Options{
						Source: trust.RepositorySource(remote(t, g, place), channel), Now: func() time.Time { return r.now },
					})
					if err != nil {
						t.Fatalf("request %d: consumer of %s: %v", n, place, err)
					}
					seen[i] = view.Status().Timestamp.Version
				}
				if seen[0] > 2 || seen[1] > seen[0] {
					t.Errorf("request %d: home has v%d, the copy v%d", n, seen[0], seen[1])
				}
				r.o.Within = metadata.Window{}
				if _, err := r.upkeep(t.Context(), g); err != nil {
					t.Errorf("request %d: the next run: %v", n, err)
				}
				if unchanged, err := r.upkeep(t.Context(), g); err != nil || !unchanged {
					t.Errorf("request %d: a third run was needed (error %v)", n, err)
				}
			}
		})
	}
}
