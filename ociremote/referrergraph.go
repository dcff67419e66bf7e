package ociremote

import (
	"context"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxGraphBytes is how much of the manifests of a layout or archive is read, in
// bytes, to learn what refers to what. Each is read once; what is kept of it is its
// digest and, of a referrer, its descriptor: some 300 bytes.
const maxGraphBytes = 512 << 20

// referrerGraph knows which manifests of a layout refer to which. A manifest never
// changes, so what was learned stays true however the index changes.
type referrerGraph struct {
	mu sync.Mutex
	// looked are the manifests that were read, bytes their sum.
	looked map[digest.Digest]bool
	bytes  int64
	// of are the referrers of a subject.
	of map[digest.Digest][]ocispec.Descriptor
	// full: there are more manifests than are looked at.
	full bool
}

// grapher is a layout or archive.
type grapher interface {
	Repository
	referrerGraph() *referrerGraph
	currentIndex() (*layoutIndex, error)
}

func (l *layoutReader) referrerGraph() *referrerGraph       { return &l.graph }
func (l *layoutReader) currentIndex() (*layoutIndex, error) { return l.files.index() }
func (a *Archive) referrerGraph() *referrerGraph            { return &a.reader.graph }
func (a *Archive) currentIndex() (*layoutIndex, error)      { return a.reader.files.index() }

// collect adds the referrers of a subject that the index lists. Those that cannot be
// read are not there.
func (g *referrerGraph) collect(ctx context.Context, repo grapher, subject digest.Digest, c *referrerCollector) error {
	idx, err := repo.currentIndex()
	if err != nil {
		return err
	}
	referrers, full, err := g.referrers(ctx, repo, idx, subject)
	if err != nil {
		return err
	}
	c.truncated = c.truncated || full
	var bytes int64
	for _, d := range referrers {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, listed := idx.lists(d.Digest); !listed || c.seen[d.Digest] {
			continue
		}
		if bytes += d.Size; c.full() || bytes > maxScannedBytes {
			c.truncated = true
			return nil
		}
		if found, ok := readReferrer(ctx, repo, d, subject); ok {
			c.add(found)
		}
	}
	return nil
}

// referrers looks at the manifests that are new since the last time.
func (g *referrerGraph) referrers(ctx context.Context, repo Repository, idx *layoutIndex, subject digest.Digest) ([]ocispec.Descriptor, bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	fresh := idx.takeFresh()
	for i, d := range fresh {
		if err := ctx.Err(); err != nil {
			idx.giveBack(fresh[i:])
			return nil, false, err
		}
		g.look(ctx, repo, d)
	}
	return slices.Clone(g.of[subject]), g.full, nil
}

func (g *referrerGraph) look(ctx context.Context, repo Repository, d ocispec.Descriptor) {
	if g.looked[d.Digest] || d.Size > MaxManifest || !slices.Contains(manifestTypes, d.MediaType) {
		return
	}
	if len(g.looked) >= maxEntries || g.bytes+d.Size > maxGraphBytes {
		g.full = true
		return
	}
	if g.looked == nil {
		g.looked, g.of = map[digest.Digest]bool{}, map[digest.Digest][]ocispec.Descriptor{}
	}
	g.looked[d.Digest] = true
	g.bytes += d.Size
	data, err := FetchBlob(ctx, repo, d, MaxManifest)
	if err != nil {
		return
	}
	if m, err := parseManifest(d.MediaType, data); err == nil && m.Subject != nil {
		g.of[m.Subject.Digest] = append(g.of[m.Subject.Digest], m.Descriptor)
	}
}
