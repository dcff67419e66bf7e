package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry"

	"github.com/tufoci/tufoci/internal/pause"
	"github.com/tufoci/tufoci/ociremote"
)

const (
	// maxHeld is the size, in bytes, up to which a blob is held in memory while it is
	// sent, so that its upload can be repeated. Larger ones stream.
	maxHeld = 8 << 20
	// askFirst is the size from which a blob is asked for before it is sent: a
	// question costs one request, and nearly every new blob is missing.
	askFirst = 1 << 20
	// attempts at a blob that streams, and the pause before the second one, doubled
	// for the next.
	attempts   = 3
	firstPause = 250 * time.Millisecond
	// maxKnown is how many blobs are remembered as sent. Beyond, some are sent again.
	maxKnown = 1 << 15
)

// blobs are those that this run has sent, and those under way.
type blobs struct {
	mu    sync.Mutex
	known map[blobAt]bool
	// on is a repository of a registry that has a blob.
	on  map[blobOn]string
	way map[blobAt]chan struct{}
}

type blobAt struct {
	to   *place
	dgst digest.Digest
}

type blobOn struct {
	host string
	dgst digest.Digest
}

// begin reports whether the caller is to send a blob, and if not, what to wait for;
// nil if it is there.
func (b *blobs) begin(at blobAt) (mine bool, wait chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known[at] {
		return false, nil
	}
	if wait := b.way[at]; wait != nil {
		return false, wait
	}
	if b.way == nil {
		b.way = map[blobAt]chan struct{}{}
	}
	b.way[at] = make(chan struct{})
	return true, nil
}

// end says that a blob is there, or that somebody else may try.
func (b *blobs) end(at blobAt, sent bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.way[at])
	delete(b.way, at)
	if sent {
		b.note(at)
	}
}

func (b *blobs) note(at blobAt) {
	if len(b.known) >= maxKnown || b.known == nil {
		b.known, b.on = map[blobAt]bool{}, map[blobOn]string{}
	}
	b.known[at] = true
	if at.to.host != "" {
		b.on[blobOn{at.to.host, at.dgst}] = at.to.repository
	}
}

// elsewhere is another repository of the same registry that has a blob.
func (b *blobs) elsewhere(at blobAt) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.on[blobOn{at.to.host, at.dgst}]
}

// sendBlob makes a blob be at a place, and returns how many bytes were sent for it.
func (c *copying) sendBlob(ctx context.Context, from ociremote.Repository, to *place, desc ocispec.Descriptor) (int64, error) {
	at := blobAt{to, desc.Digest}
	for {
		mine, wait := c.blobs.begin(at)
		if mine {
			break
		}
		if wait == nil {
			return 0, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	sent, err := c.transfer(ctx, from, to, desc)
	c.blobs.end(at, err == nil)
	if err != nil {
		return 0, fmt.Errorf("blob %s: %w", desc.Digest, err)
	}
	return sent, nil
}

// transfer waits for its turn.
func (c *copying) transfer(ctx context.Context, from ociremote.Repository, to *place, desc ocispec.Descriptor) (int64, error) {
	if !ociremote.IsDigest(desc.Digest.String()) || desc.Size < 0 {
		return 0, &ociremote.MalformedError{What: "manifest", Err: errors.New("a descriptor without a sha256 digest and a size")}
	}
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-c.slots }()
	t := &transfer{from: from, to: to, desc: ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size}, data: carried(desc)}
	wait := firstPause
	for n := 1; ; n++ {
		err := t.try(ctx, c.blobs.elsewhere(blobAt{to, desc.Digest}))
		if err == nil || n == attempts || desc.Size <= maxHeld || !passing(err) {
			return t.sent, err
		}
		if err := pause.For(ctx, wait); err != nil {
			return 0, err
		}
		wait *= 2
	}
}

// carried are the bytes of a blob that need not be asked for: those that come with its
// descriptor, and the empty config.
func carried(desc ocispec.Descriptor) []byte {
	switch {
	case desc.Digest == ocispec.DescriptorEmptyJSON.Digest:
		return ocispec.DescriptorEmptyJSON.Data
	case desc.Data != nil && int64(len(desc.Data)) == desc.Size && digest.FromBytes(desc.Data) == desc.Digest:
		return desc.Data
	}
	return nil
}

// passing reports whether an error may be gone next time.
func passing(err error) bool {
	e, ok := errors.AsType[*ociremote.TransportError](err)
	return ok && (e.Status == 0 || e.Status == http.StatusRequestTimeout || e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError)
}

// transfer is a blob on its way.
type transfer struct {
	from ociremote.Repository
	to   *place
	desc ocispec.Descriptor
	data []byte // nil until it is read
	sent int64
}

// try mounts a blob from another repository, or finds that it is there, or sends it.
func (t *transfer) try(ctx context.Context, other string) error {
	t.sent = 0
	if mounter, ok := t.to.repo.(registry.Mounter); ok && other != "" && other != t.to.repository {
		return accepted(mounter.Mount(ctx, t.desc, other, func() (io.ReadCloser, error) { return t.open(ctx) }))
	}
	if t.desc.Size >= askFirst || t.to.named != nil {
		if there, err := t.to.repo.Exists(ctx, t.desc); err != nil || there {
			return err
		}
	}
	body, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	return accepted(t.to.repo.Push(ctx, t.desc, body))
}

// open returns the verified bytes of a blob.
func (t *transfer) open(ctx context.Context) (io.ReadCloser, error) {
	t.sent = t.desc.Size
	if t.data == nil && t.desc.Size <= maxHeld {
		var err error
		if t.data, err = ociremote.FetchBlob(ctx, t.from, t.desc, maxHeld); err != nil {
			return nil, err
		}
	}
	if t.data != nil {
		return held{bytes.NewReader(t.data)}, nil
	}
	rc, err := t.from.Fetch(ctx, t.desc)
	if err != nil {
		return nil, err
	}
	return newStreamed(rc, t.desc), nil
}

// held are bytes in memory. A reader of them can be sent again.
type held struct{ *bytes.Reader }

func (held) Close() error { return nil }

// streamed passes on what has the right length and digest. The last bytes of anything
// else are kept back, so that nobody takes it for whole.
type streamed struct {
	io.ReadCloser
	hash hash.Hash
	left int64
	want digest.Digest
}

func newStreamed(rc io.ReadCloser, desc ocispec.Descriptor) *streamed {
	return &streamed{ReadCloser: rc, hash: sha256.New(), left: desc.Size, want: desc.Digest}
}

func (s *streamed) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.ReadCloser.Read(p[:min(int64(len(p)), s.left)])
	s.hash.Write(p[:n])
	s.left -= int64(n)
	switch {
	case s.left > 0 && err == io.EOF:
		return n, s.wrong("ends early")
	case s.left > 0:
		return n, err
	case digest.NewDigest(digest.SHA256, s.hash) != s.want:
		return 0, s.wrong("has another digest")
	}
	return n, nil
}

func (s *streamed) wrong(how string) error {
	return &ociremote.MalformedError{What: "blob", Err: fmt.Errorf("%s %s", s.want, how)}
}
