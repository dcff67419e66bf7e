package trust_test

import (
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// A recorded repository of others is followed from its first root that is pinned to
// a target file, in every kind of source.
func TestSuiteStaticRepository(t *testing.T) {
	t.Parallel()
	s := readSigstore(t)
	for _, kind := range suiteKinds(1) {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorldIn(t, kind, tuftest.RepoOptions{})
			w.put(s.files)
			w.now = s.at
			client := w.clientOf(s.root, func(o *trust.Options) { o.Now = func() time.Time { return s.at } })
			view, err := client.Refresh(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"trusted_root.json", "registry.npmjs.org/keys.json"} {
				if data, target, err := view.Get(t.Context(), name); err != nil || int64(len(data)) != target.Length {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}
