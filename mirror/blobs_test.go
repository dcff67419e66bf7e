package mirror

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
)

// A stream hands out its last byte only if all of them are right.
func TestStreamed(t *testing.T) {
	t.Parallel()
	const right = "the right content"
	for _, tt := range []struct {
		name, sent string
		ok         bool
	}{
		{"right", right, true},
		{"more behind it", right + "!", true}, // which is not read
		{"swapped", strings.Replace(right, "right", "wrong", 1), false},
		{"short", right[:5], false},
		{"empty", "", false},
	} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r }, "in pieces": iotest.OneByteReader, "with EOF": iotest.DataErrReader} {
			desc := ocispec.Descriptor{Digest: digest.FromString(right), Size: int64(len(right))}
			data, err := io.ReadAll(newStreamed(io.NopCloser(wrap(strings.NewReader(tt.sent))), desc))
			switch {
			case tt.ok && (err != nil || string(data) != right):
				t.Errorf("%s, %s: %q, %v", tt.name, name, data, err)
			case !tt.ok && (!errors.Is(err, ociremote.ErrMalformed) || len(data) >= len(right)):
				t.Errorf("%s, %s: %d bytes, %v", tt.name, name, len(data), err)
			}
		}
	}
}

// flaky fails some fetches in the middle.
type flaky struct {
	ociremote.Repository
	fails, fetched int
}

func (f *flaky) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	f.fetched++
	rc, err := f.Repository.Fetch(ctx, desc)
	if err != nil || f.fetched > f.fails {
		return rc, err
	}
	return io.NopCloser(io.MultiReader(io.LimitReader(rc, 100), iotest.ErrReader(&ociremote.TransportError{Host: "x", Err: io.ErrUnexpectedEOF}))), nil
}

// A large blob is started anew when it breaks off, a few times.
func TestLargeBlobIsStartedAnew(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("x"), maxHeld+1)
	desc := ocispec.Descriptor{Digest: digest.FromBytes(data), Size: int64(len(data))}
	source := ociremote.NewMemory()
	if err := source.Push(t.Context(), desc, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	for fails, ok := range map[int]bool{0: true, 1: true, attempts - 1: true, attempts: false} {
		c := &copying{slots: make(chan struct{}, 1)}
		to := &place{repo: ociremote.NewMemory()}
		from := &flaky{Repository: source, fails: fails}
		sent, err := c.sendBlob(t.Context(), from, to, desc)
		there, _ := to.repo.Exists(t.Context(), desc)
		if there != ok || (err == nil) != ok || ok && sent != desc.Size {
			t.Errorf("%d failures: there %v, %d bytes, %v", fails, there, sent, err)
		}
	}
}

// What a descriptor says is looked at before anything is asked for.
func TestStrangeDescriptors(t *testing.T) {
	t.Parallel()
	for _, desc := range []ocispec.Descriptor{
		{Digest: "sha256:../../../x", Size: maxHeld + 1},
		{Digest: "", Size: maxHeld + 1},
		{Digest: digest.FromString("x"), Size: -1},
		{Digest: digest.SHA512.FromString("x"), Size: maxHeld + 1},
	} {
		c := &copying{slots: make(chan struct{}, 1)}
		from := &flaky{Repository: ociremote.NewMemory()}
		if _, err := c.sendBlob(t.Context(), from, &place{repo: ociremote.NewMemory()}, desc); !errors.Is(err, ociremote.ErrMalformed) || from.fetched > 0 {
			t.Errorf("%+v: %v, asked %d times", desc, err, from.fetched)
		}
	}
	// Bytes that come with a descriptor are taken only if they are its bytes.
	good := ocispec.Descriptor{Digest: digest.FromString("x"), Size: 1, Data: []byte("x")}
	bad := good
	bad.Data = []byte("y")
	if string(carried(good)) != "x" || carried(bad) != nil || string(carried(ocispec.DescriptorEmptyJSON)) != "{}" {
		t.Error("bytes of a descriptor")
	}
}

// What is remembered does not grow without end.
func TestKnownBlobsAreBounded(t *testing.T) {
	t.Parallel()
	var b blobs
	to := &place{host: "x", repository: "y"}
	for n := range maxKnown + 10 {
		b.note(blobAt{to, digest.FromBytes([]byte{byte(n), byte(n >> 8), byte(n >> 16)})})
	}
	if len(b.known) > maxKnown || len(b.on) > maxKnown {
		t.Errorf("%d, %d", len(b.known), len(b.on))
	}
}

// What is not signed is bounded in sum, whatever descriptors say of their sizes.
func TestUnsignedIsBounded(t *testing.T) {
	t.Parallel()
	j := &job{unsigned: 100}
	for _, step := range []struct {
		bytes int64
		ok    bool
	}{{60, true}, {60, false}, {-1, false}, {40, true}, {1, false}} {
		if err := j.spend(step.bytes); (err == nil) != step.ok || err != nil && !avoidable(err) {
			t.Errorf("%d bytes: %v", step.bytes, err)
		}
	}
}
