package verify

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
)

// Blobs and manifests count together, and no more than the limit is read.
func TestMeter(t *testing.T) {
	t.Parallel()
	repo := ociremote.NewMemory()
	data := []byte(`{"schemaVersion":2}`)
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if err := repo.Push(t.Context(), d, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	fetch := map[bool]func(m *meter) (io.ReadCloser, error){
		true: func(m *meter) (io.ReadCloser, error) { return m.Fetch(t.Context(), d) },
		false: func(m *meter) (io.ReadCloser, error) {
			_, rc, err := m.FetchReference(t.Context(), d.Digest.String())
			return rc, err
		},
	}
	for _, blobs := range [][2]bool{{true, true}, {true, false}, {false, true}, {false, false}} {
		m := newMeter(repo, 2*d.Size-1)
		for i, blob := range blobs {
			rc, err := fetch[blob](m)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadAll(rc)
			if (err == nil) != (i == 0) || err != nil && !errors.Is(err, ociremote.ErrTooLarge) {
				t.Errorf("%v, read %d: %v", blobs, i, err)
			}
			rc.Close()
		}
	}
}
