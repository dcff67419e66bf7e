package mirror_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/mirror"
)

var (
	digests = regexp.MustCompile(`sha256[:-][0-9a-f]{64}`)
	uploads = regexp.MustCompile(`uploads/.+`)
)

// asked are the requests for a repository, sorted, each with how often it came.
func asked(g *tuftest.Registry, repository string) []string {
	counts := map[string]int{}
	for _, r := range g.Requests() {
		path, ok := strings.CutPrefix(r.Path, "/v2/"+repository+"/")
		if !ok {
			continue
		}
		counts[r.Method+" "+uploads.ReplaceAllString(digests.ReplaceAllString(path, "DIGEST"), "uploads/ID")]++
	}
	var all []string
	for what, n := range counts {
		all = append(all, fmt.Sprintf("%d %s", n, what))
	}
	slices.Sort(all)
	return all
}

// Each thing is asked for once: what is read to verify an image is not read again to
// copy it.
func TestRequestsOfOneImage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                string
		o                   tuftest.RegistryOptions
		source, destination []string
		again               []string // of the destination, when it is there
	}{
		{
			"referrers API",
			tuftest.RegistryOptions{},
			[]string{"1 GET manifests/1.0", "1 GET manifests/DIGEST", "1 GET referrers/DIGEST", "3 GET blobs/DIGEST"},
			// The image, its signature, its tag; config, layer, envelope, {}.
			[]string{"1 HEAD manifests/1.0", "1 PUT manifests/1.0", "2 PUT manifests/DIGEST", "4 POST blobs/uploads/", "4 PUT blobs/uploads/ID"},
			[]string{"1 GET referrers/DIGEST", "1 HEAD manifests/1.0"},
		},
		{
			"referrers tag",
			tuftest.RegistryOptions{NoReferrers: true},
			// The list under the tag, and once that there is no API.
			[]string{"1 GET manifests/1.0", "1 GET referrers/DIGEST", "2 GET manifests/DIGEST", "3 GET blobs/DIGEST"},
			[]string{
				"1 GET manifests/DIGEST", "1 HEAD manifests/1.0", "1 PUT manifests/1.0",
				"3 PUT manifests/DIGEST", "4 POST blobs/uploads/", "4 PUT blobs/uploads/ID",
			},
			[]string{"1 GET manifests/DIGEST", "1 GET referrers/DIGEST", "1 HEAD manifests/1.0"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.o)
			w.image("shop/api", "1.0", "one")
			w.publish()
			o := w.options(tagged("shop/api", "1.0"))
			w.copy(o)
			if got := asked(w.source, "shop/api"); !slices.Equal(got, tt.source) {
				t.Errorf("of the source: %q", got)
			}
			if got := asked(w.destination, "inside/shop/api"); !slices.Equal(got, tt.destination) {
				t.Errorf("of the destination: %q", got)
			}
			w.destination.Reset()
			w.copy(w.options(tagged("shop/api", "1.0")))
			if got := asked(w.destination, "inside/shop/api"); !slices.Equal(got, tt.again) {
				t.Errorf("of the destination, again: %q", got)
			}
		})
	}
}

// What one repository of the destination has is not sent to another one.
func TestBlobsAreMounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RegistryOptions{})
	w.image("shop/api", "1.0", "the same layer")
	w.image("shop/web", "1.0", "the same layer")
	w.publish()
	o := w.options(tagged("shop/api", "1.0"), tagged("shop/web", "1.0"))
	o.Concurrency = 1
	r := w.copy(o)
	if r.Images[1].Bytes >= r.Images[0].Bytes {
		t.Errorf("%d and then %d bytes", r.Images[0].Bytes, r.Images[1].Bytes)
	}
	mounts := 0
	for _, q := range w.destination.Requests() {
		if strings.Contains(q.Query, "mount=") && q.Status == 201 {
			mounts++
		}
	}
	if mounts != 3 { // layer, config and {}
		t.Errorf("%d mounts", mounts)
	}
}

// A blob that several images have is sent once, though they are copied at once.
func TestSharedBlobIsSentOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RegistryOptions{})
	var images []mirror.Image
	for i := range 8 {
		w.image("shop/api", fmt.Sprint(i), "the same layer")
		images = append(images, tagged("shop/api", fmt.Sprint(i)))
	}
	w.publish()
	o := w.options(images...)
	o.Concurrency = 8
	w.copy(o)
	sent := 0
	for _, q := range w.destination.Requests() {
		if q.Method == "PUT" && strings.HasPrefix(q.Path, "/v2/inside/shop/api/blobs/") {
			sent++
		}
	}
	if sent != 3+8 { // layer, config, {}; envelopes
		t.Errorf("%d blobs", sent)
	}
}
