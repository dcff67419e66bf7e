package ociremote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/ownfile"
)

const (
	// maxIndex is the largest index.json that is read, in bytes: some 12,000 entries,
	// which take ten times the memory.
	maxIndex = 4 << 20
	// maxLayoutFile is the same for the file oci-layout.
	maxLayoutFile = 4 << 10
	// maxUnnamed is how many manifests without a name are looked at.
	maxUnnamed = 64
)

// layoutFiles are the files of an OCI image layout, in a directory or a tar.
// One that does not exist is fs.ErrNotExist.
type layoutFiles interface {
	open(name string) (io.ReadCloser, int64, error)
	// index is index.json as it stands now.
	index() (*layoutIndex, error)
}

// layoutReader reads an OCI image layout (image specification 1.1, "Image
// Layout"). It takes the names that all common tools write into index.json: the
// bare tag (oras, skopeo, regctl), the full reference (crane --annotate-ref), or
// none (crane), where a bundle that is the only one is meant by any channel.
type layoutReader struct {
	files layoutFiles
	// where it is, for errors.
	where string
	// own: a tag is never that of an image in a repository of its own. Who writes a
	// layout must not take such a one for what it writes.
	own bool
	// graph is what refers to what.
	graph referrerGraph
}

var _ Repository = (*layoutReader)(nil)

// directory is a layout on disk.
type directory struct {
	path string
	// pending is what a writer has not put into index.json yet; nil for a reader.
	pending func(*layoutIndex) error

	mu    sync.Mutex
	known *layoutIndex // as it was read last
	state indexState
}

func (d *directory) open(name string) (io.ReadCloser, int64, error) {
	path := filepath.Join(d.path, filepath.FromSlash(name))
	f, info, err := ownfile.OpenLinked(path)
	if errors.Is(err, ownfile.ErrOdd) {
		return nil, 0, &MalformedError{What: "OCI layout", Err: err}
	}
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// openLayout opens a layout directory for reading.
func openLayout(dir string) (*layoutReader, error) {
	l := &layoutReader{files: &directory{path: dir}, where: dir}
	return l, l.check()
}

// check refuses what is no layout.
func (l *layoutReader) check() error {
	data, err := readLayoutFile(l.files, l.where, ocispec.ImageLayoutFile, maxLayoutFile)
	if err != nil {
		return err
	}
	var layout ocispec.ImageLayout
	if err := json.Unmarshal(data, &layout); err != nil || !strings.HasPrefix(layout.Version, "1.") {
		return &MalformedError{What: "OCI layout", Err: fmt.Errorf("%s: %s has no version 1", l.where, ocispec.ImageLayoutFile)}
	}
	_, err = l.files.index()
	return err
}

// readLayoutFile reads a small file.
func readLayoutFile(files layoutFiles, where, name string, limit int64) ([]byte, error) {
	rc, size, err := files.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFound(fmt.Sprintf("%s: no OCI layout: %s", where, name))
	}
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	if size > limit {
		return nil, &MalformedError{What: "OCI layout", Err: fmt.Errorf("%s: %s: %w, the limit is %d bytes", where, name, ErrTooLarge, limit)}
	}
	return io.ReadAll(io.LimitReader(rc, limit))
}

// readIndex reads index.json anew.
func readIndex(files layoutFiles, where string) (*layoutIndex, error) {
	data, err := readLayoutFile(files, where, ocispec.ImageIndexFile, maxIndex)
	if err != nil {
		return nil, err
	}
	return parseLayoutIndex(data, where)
}

func parseLayoutIndex(data []byte, where string) (*layoutIndex, error) {
	idx, err := parseIndex(data)
	if err != nil {
		return nil, &MalformedError{What: "OCI layout", Err: fmt.Errorf("%s: %s: %w", where, ocispec.ImageIndexFile, err)}
	}
	return idx, nil
}

// indexState tells whether index.json is still the file that was read.
type indexState struct {
	info fs.FileInfo
	read time.Time // by the clock of the machine, which file times are of
	sum  digest.Digest
}

// settled is how long before it was read a file must have been written, so that its
// time tells it from one that replaces it: file systems count in coarse steps.
const settled = time.Second

// is reports whether a file is certainly the one that was read.
func (s indexState) is(info fs.FileInfo) bool {
	return s.info != nil && os.SameFile(s.info, info) && s.info.Size() == info.Size() && s.info.ModTime().Equal(info.ModTime()) &&
		s.read.Sub(info.ModTime()) > settled
}

// index implements layoutFiles. The file is parsed again only when it has changed.
func (d *directory) index() (*layoutIndex, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	// Asked for first: a file that changes after that differs from this.
	info, statErr := os.Stat(filepath.Join(d.path, ocispec.ImageIndexFile))
	if statErr == nil && d.known != nil && d.state.is(info) {
		return d.known, nil
	}
	now := time.Now()
	data, err := readLayoutFile(d, d.path, ocispec.ImageIndexFile, maxIndex)
	if err != nil {
		return nil, err
	}
	sum := digest.FromBytes(data)
	if d.known == nil || d.state.sum != sum {
		idx, err := parseLayoutIndex(data, d.path)
		if err != nil {
			return nil, err
		}
		if d.pending != nil {
			if err := d.pending(idx); err != nil {
				return nil, err
			}
		}
		d.known = idx
	}
	d.state = indexState{info, now, sum}
	return d.known, nil
}

// blobFile is the name of a blob in a layout. The digest is validated.
func blobFile(dgst digest.Digest) string {
	return ocispec.ImageBlobsDir + "/" + dgst.Algorithm().String() + "/" + dgst.Encoded()
}

// Resolve finds a manifest by tag or digest.
func (l *layoutReader) Resolve(_ context.Context, name string) (ocispec.Descriptor, error) {
	idx, err := l.files.index()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if IsDigest(name) {
		return l.resolveDigest(idx, digest.Digest(name))
	}
	found, err := idx.find(name, l.own)
	if err == nil && len(found) == 0 && channelName.MatchString(name) {
		found, err = l.unnamedBundles(idx)
	}
	switch {
	case err != nil:
		return ocispec.Descriptor{}, &MalformedError{What: "OCI layout", Err: fmt.Errorf("%s: %w", l.where, err)}
	case len(found) == 0:
		return ocispec.Descriptor{}, notFound(l.where + ":" + name)
	case len(found) > 1:
		return ocispec.Descriptor{}, &MalformedError{What: "OCI layout", Err: fmt.Errorf("%s: %d manifests could be %q; name one by its digest", l.where, len(found), name)}
	}
	return found[0], nil
}

// resolveDigest describes a manifest that need not be in the index.
func (l *layoutReader) resolveDigest(idx *layoutIndex, dgst digest.Digest) (ocispec.Descriptor, error) {
	if desc, ok := idx.lists(dgst); ok {
		return desc, nil
	}
	rc, size, err := l.openBlob(dgst)
	if errors.Is(err, ErrBlobNotFound) {
		return ocispec.Descriptor{}, notFound(l.where + "@" + dgst.String())
	}
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer rc.Close()
	desc := ocispec.Descriptor{MediaType: "application/octet-stream", Digest: dgst, Size: size}
	if size > MaxManifest {
		return desc, nil
	}
	data, err := readVerified(rc, desc)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	var m struct{ MediaType string }
	if json.Unmarshal(data, &m) == nil && slices.Contains(manifestTypes, m.MediaType) {
		desc.MediaType = m.MediaType
	}
	return desc, nil
}

// unnamedBundles are the whole bundles of a layout in which nothing has a name.
func (l *layoutReader) unnamedBundles(idx *layoutIndex) ([]ocispec.Descriptor, error) {
	entries := idx.list()
	if len(entries) > maxUnnamed || slices.ContainsFunc(entries, func(e layoutEntry) bool { return e.name() != "" }) {
		return nil, nil
	}
	var found []ocispec.Descriptor
	for _, e := range entries {
		if e.desc.MediaType != ocispec.MediaTypeImageManifest || e.desc.Size > MaxManifest {
			continue
		}
		rc, _, err := l.openBlob(e.desc.Digest)
		if err != nil {
			continue
		}
		data, err := readVerified(rc, e.desc)
		rc.Close()
		if err != nil {
			continue
		}
		b, err := ParseBundle(data)
		if errors.Is(err, ErrForeign) || (err == nil && b.Partial) {
			continue
		}
		// A bundle that is malformed or too new is the one that is meant, too.
		found = append(found, plain(e.desc))
	}
	return found, nil
}

// openBlob opens a blob.
func (l *layoutReader) openBlob(dgst digest.Digest) (io.ReadCloser, int64, error) {
	if err := validateDigest(dgst); err != nil {
		return nil, 0, &MalformedError{What: "blob", Err: err}
	}
	rc, size, err := l.files.open(blobFile(dgst))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, blobNotFound(dgst)
	}
	return rc, size, err
}

// Fetch opens a blob.
func (l *layoutReader) Fetch(_ context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	rc, _, err := l.openBlob(desc.Digest)
	return rc, err
}

// FetchReference opens a manifest by tag or digest. A manifest that the index
// names and that is gone is an ErrBlobNotFound.
func (l *layoutReader) FetchReference(ctx context.Context, name string) (ocispec.Descriptor, io.ReadCloser, error) {
	desc, err := l.Resolve(ctx, name)
	if err != nil {
		return desc, nil, err
	}
	rc, err := l.Fetch(ctx, desc)
	return desc, rc, err
}

// Exists reports whether a blob is there.
func (l *layoutReader) Exists(_ context.Context, desc ocispec.Descriptor) (bool, error) {
	rc, size, err := l.openBlob(desc.Digest)
	if errors.Is(err, ErrBlobNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return size == desc.Size, rc.Close()
}

// Tags lists the tags after last.
func (l *layoutReader) Tags(_ context.Context, last string, fn func([]string) error) error {
	idx, err := l.files.index()
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return tagsAfter(idx.tags(), last, fn)
}

// plain is a descriptor without what index.json adds.
func plain(d ocispec.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}
