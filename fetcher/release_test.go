package fetcher_test

import (
	"testing"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
)

// A view that is kept reads more than its total, one file after the other, if it
// lets go of each; and then it reads anew.
func TestRelease(t *testing.T) {
	t.Parallel()
	files := signed(t, 1).Files()
	files["targets/a"], files["targets/b"] = make([]byte, 5000), make([]byte, 5001)
	manifest := int64(len(tuftest.Pack(t, files, tuftest.PackOptions{}).Manifest))
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	g.Push(repository, "tuf", tuftest.Pack(t, files, tuftest.PackOptions{NoInline: true}))
	v := open(t, g, fetcher.Options{Limits: fetcher.Limits{Total: manifest + 6000}})
	for range 2 {
		for _, title := range []string{"targets/a", "targets/b"} {
			if _, err := v.File(t.Context(), title, plenty); err != nil {
				t.Error(err)
			}
			v.Release(title)
			v.Release(title)
		}
	}
	if n := askedFor(g, files)["targets/a"]; n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
	wantFileOf(t, v, "targets/a", 5000)
	wantError(t, v, "targets/b", plenty, fetcher.ErrLimit) // a is counted once, and still is
}

// So it is with a web server, and with what it does not have.
func TestReleaseHTTP(t *testing.T) {
	t.Parallel()
	server := &web{handler: serve(map[string]string{"/repo/targets/a": "a"})}
	v := server.open(t, fetcher.Options{})
	for range 2 {
		wantFile(t, v, "targets/a", "a")
		wantError(t, v, "targets/b", plenty, fetcher.ErrFileNotFound)
		v.Release("targets/a")
		v.Release("targets/b")
	}
	if n := len(server.log()); n != 4 {
		t.Errorf("%d requests, want 4", n)
	}
}

func wantFileOf(t *testing.T, v *fetcher.View, title string, size int) {
	t.Helper()
	if data, err := v.File(t.Context(), title, plenty); err != nil || len(data) != size {
		t.Errorf("%s: %d bytes, %v", title, len(data), err)
	}
}
