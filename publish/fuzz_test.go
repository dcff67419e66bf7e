package publish

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
)

const fuzzedDigest = "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"

// A list of images names each once, by its digest, and is read again as the same.
func FuzzReadImageList(f *testing.F) {
	for _, s := range []string{"r.io/a@" + fuzzedDigest + "\n# x\n\nr.io/b:1@" + fuzzedDigest + "\r\n", "r.io/a:1\n", strings.Repeat("x", maxListLine+1), "r.io/a@" + fuzzedDigest + "\nr.io/a@" + fuzzedDigest} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		images, err := ReadImageList(strings.NewReader(string(data)))
		if err != nil {
			if images != nil || !errors.Is(err, ociremote.ErrInvalidReference) {
				t.Fatalf("%v, %v", images, err)
			}
			return
		}
		var out strings.Builder
		seen := map[string]bool{}
		for _, image := range images {
			if seen[image.String()] || !ociremote.IsDigest(image.Digest.String()) {
				t.Fatalf("%+v", image)
			}
			seen[image.String()] = true
			out.WriteString(image.String() + "\n")
		}
		again, err := ReadImageList(strings.NewReader(out.String()))
		if err != nil || len(again) != len(images) || len(images) > maxListImages {
			t.Fatalf("%d images, then %d, %v", len(images), len(again), err)
		}
		for i := range images {
			if again[i] != images[i] {
				t.Fatalf("%v, then %v", images[i], again[i])
			}
		}
	})
}

// Annotations are what somebody has said: numbers and a time, or nothing.
func FuzzHistoryAnnotations(f *testing.F) {
	f.Add("3", "2026-12-01T00:00:00Z", fuzzedDigest)
	f.Add("-3", "yesterday", "sha512:00")
	f.Add("99999999999999999999", "", "")
	f.Fuzz(func(t *testing.T, version, expires, previous string) {
		b := &ociremote.Bundle{Annotations: map[string]string{
			ociremote.AnnotationTimestampVersion: version, ociremote.AnnotationRootVersion: version,
			ociremote.AnnotationTimestampExpires: expires, ociremote.AnnotationPrevious: previous, ocispec.AnnotationCreated: expires,
		}}
		versions, at := said(b)
		if versions.Timestamp != versionOf(b) || versions.Root != versions.Timestamp || versions.Snapshot != 0 {
			t.Fatalf("%+v", versions)
		}
		if _, err := time.Parse(time.RFC3339, expires); (err == nil) != !at.IsZero() && !strings.HasPrefix(expires, "0001-01-01") && at.Unix() != (time.Time{}).Unix() {
			t.Fatalf("%q is %v, %v", expires, at, err)
		}
		r := &publication{base: &published{digest: digest.Digest(fuzzedDigest)}}
		if previous == fuzzedDigest || previous == "" || digest.Digest(previous).Validate() != nil {
			// Nothing is asked of a registry for these.
			got, err := r.descends(t.Context(), b)
			if want := previous == fuzzedDigest; err != nil || (got == isAncestor) != want {
				t.Fatalf("%q: %v, %v", previous, got, err)
			}
		}
	})
}
