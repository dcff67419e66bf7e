package mirror_test

import (
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// places are registries with and without the referrers API.
var places = map[string]tuftest.RegistryOptions{"referrers API": {}, "referrers tag": {NoReferrers: true}}

func TestCopy(t *testing.T) {
	t.Parallel()
	for name, o := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, o)
			api := w.image("shop/api", "1.0", "api 1.0")
			web := w.image("shop/web", "2.0", "web 2.0")
			w.publish()
			r := w.copy(w.options(tagged("shop/api", "1.0"), tagged("shop/web", "2.0")))
			if w.destination.Digest("inside/shop/api", "1.0") != api.Digest.String() || w.destination.Digest("inside/shop/web", "2.0") != web.Digest.String() {
				t.Error("the tags are not there")
			}
			if w.destination.Digest("inside/trust", "tuf") != w.source.Digest("acme/trust", "tuf") {
				t.Error("the metadata is not there")
			}
			c := w.client()
			for i, image := range r.Images {
				if image.Err != nil || image.Signatures != 1 || image.Unchanged || image.Bytes == 0 {
					t.Errorf("image %d: %+v", i, image)
				}
			}
			if got := referrers(t, c, w.destination.Host()+"/inside/shop/api", api); len(got) != 1 {
				t.Errorf("%d referrers", len(got))
			}
			w.destination.Reset()
			r = w.copy(w.options(tagged("shop/api", "1.0"), tagged("shop/web", "2.0")))
			for i, image := range r.Images {
				if image.Err != nil || image.Signatures != 1 || !image.Unchanged || image.Bytes != 0 {
					t.Errorf("again: image %d: %+v", i, image)
				}
			}
			for _, q := range w.destination.Requests() {
				if q.Method != "GET" && q.Method != "HEAD" {
					t.Errorf("again: %s %s", q.Method, q.Path)
				}
			}
		})
	}
}
