//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/notationsign"
)

// TestNextToImagesInDistribution keeps trust next to images in the reference registry,
// old and new: blobs are mounted, and what is attached is listed in a tag, since it has
// no referrers API.
func TestNextToImagesInDistribution(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"registry", "docker-registry"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			front := count(t, startDistribution(t, tool(t, program)))
			image, err := notationsign.PushImage(t.Context(), repository(t, front.host, "shop/api"), []byte("hello"), notationsign.Platforms[0], "1.0")
			if err != nil {
				t.Fatal(err)
			}
			publisher, consumer := newPublisher(t, front.host), newPerson(t)
			name := front.host + "/shop/api:1.0"
			publisher.must("image", "add", name, "--plain-http")
			publisher.stage(1)
			front.take()
			publisher.must("publish", "-y", "--plain-http", "--beside", "shop/*")
			wantMounted(t, front, 7) // config, inline layer, four roles, file

			// The copy is a repository like any other.
			consumer.trusts(front.host+"/shop/api", publisher.rootFile())
			if got := consumer.watched(front.host); got != 1 {
				t.Errorf("watched.txt v%d", got)
			}

			// What is attached stays one, whatever supersedes it.
			var last string
			for version := 2; version < 5; version++ {
				var attached struct {
					Images []struct {
						Digest, Subject string
						Pruned, Kept    []string
					}
				}
				publisher.decode(&attached, "attach", name, "--plain-http")
				got := attached.Images[0]
				if got.Subject != image.Digest.String() || len(got.Kept) > 0 || last != "" && !slices.Equal(got.Pruned, []string{last}) {
					t.Errorf("attached %+v, before it %s", got, last)
				}
				last = got.Digest
				publisher.stage(version)
				front.take()
				publisher.must("publish", "-y", "--plain-http", "--beside", "shop/*")
				wantMounted(t, front, 5) // inline layer, timestamp, snapshot, targets, file
			}
			var found struct {
				Beside, Attached []struct {
					Name, Digest string
					Verified     bool
					Timestamp    int
				}
			}
			publisher.decode(&found, "discover", name, "--root", publisher.rootFile(), "--plain-http")
			if len(found.Beside) != 1 || !found.Beside[0].Verified || found.Beside[0].Timestamp != 4 {
				t.Errorf("beside: %+v", found.Beside)
			}
			if len(found.Attached) != 1 || !found.Attached[0].Verified || found.Attached[0].Digest != last || found.Attached[0].Timestamp != 3 {
				t.Errorf("attached: %+v", found.Attached)
			}
			if got := do(t, tool(t, "oras"), "discover", "--plain-http", "--format", "json", name); !strings.Contains(got, last) {
				t.Errorf("oras discovers %s", got)
			}
		})
	}
}

// wantMounted checks that blobs came into the copy by mounts alone.
func wantMounted(t testing.TB, front *counter, blobs int) {
	t.Helper()
	seen, _ := front.take()
	mounted := 0
	for _, request := range seen {
		switch {
		case strings.HasPrefix(request, "POST /v2/shop/api/blobs/uploads/ 201"):
			mounted++
		case strings.HasPrefix(request, "PUT /v2/shop/api/blobs/"), strings.HasPrefix(request, "POST /v2/shop/api/blobs/"):
			t.Errorf("a blob was uploaded: %s", request)
		}
	}
	if mounted != blobs {
		t.Errorf("%d blobs were mounted, want %d", mounted, blobs)
	}
}
