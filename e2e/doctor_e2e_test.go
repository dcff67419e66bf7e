//go:build e2e

package e2e

import (
	"testing"

	"github.com/tufoci/tufoci/doctor"
	"github.com/tufoci/tufoci/ociremote"
)

// TestDoctorOfDistribution examines the reference registry, old and new.
func TestDoctorOfDistribution(t *testing.T) {
	for program, want := range map[string]map[string]string{
		"registry": {
			"push": "ok", "layout default": "ok", "tag overwrite": "ok", "history tags": "ok", "manifest size": "ok", "blob mount": "ok",
			"etag": "manifests have an ETag, and are not sent again", "referrers": "no referrers API: lists of referrers are kept in a tag",
			"delete tags": "tags can be deleted", "delete manifests": "manifests can be deleted", "variant": "the variant default fits",
		},
		"docker-registry": {
			"layout default": "ok", "tag overwrite": "ok", "referrers": "no referrers API: lists of referrers are kept in a tag",
			"delete manifests": "manifests can be deleted", "variant": "the variant default fits",
		},
	} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			host := startDistribution(t, tool(t, program))
			client, err := ociremote.NewClient(ociremote.Options{PlainHTTP: true})
			if err != nil {
				t.Fatal(err)
			}
			repo, err := client.Repository(t.Context(), ociremote.Reference{Kind: ociremote.KindRegistry, Host: host, Repository: "acme/trust"}, true)
			if err != nil {
				t.Fatal(err)
			}
			r, err := doctor.Run(t.Context(), doctor.Options{Repository: repo})
			if err != nil {
				t.Fatal(err)
			}
			found := map[string]doctor.Check{}
			for _, c := range r.Checks {
				found[c.Name] = c
				t.Logf("%s %s: %s", c.Status, c.Name, c.Found)
			}
			for name, want := range want {
				if c := found[name]; string(c.Status) != want && c.Found != want {
					t.Errorf("%+v, want %s", c, want)
				}
			}
			// A tag that cannot go by itself goes with its manifest.
			if r.Err() != nil || len(r.Left) > 0 {
				t.Errorf("%v, left %v", r.Err(), r.Left)
			}
		})
	}
}
