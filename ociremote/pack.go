package ociremote

import (
	"archive/tar"
	"cmp"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// DefaultMaxManifest is how large the inline layer may make a manifest, in
	// bytes: GitLab.com refuses more than 256 kB.
	DefaultMaxManifest = 200 << 10
	// maxAnnotation is the longest value that every registry takes.
	maxAnnotation = 255
	// maxRepacks bounds how often [Pack] compresses everything anew to find out
	// what still fits.
	maxRepacks = 16
)

// Content is one file to pack.
type Content struct {
	Title string
	// Digest and Size may be left out where Data is given.
	Digest digest.Digest
	Size   int64
	// Data is nil if only the blob exists already.
	Data []byte
}

// PackOptions of [Pack].
type PackOptions struct {
	// Layout; "" is LayoutDefault.
	Layout Layout
	// MaxManifest is the size in bytes up to which the inline layer fills the
	// manifest; 0 is DefaultMaxManifest. The descriptors of the files alone may
	// take more, up to [MaxManifest]; then nothing is inlined.
	MaxManifest int64
	// Annotations of the manifest, each of at most 255 characters.
	Annotations map[string]string
	// Partial marks a bundle that holds only what one image needs.
	Partial bool
	// Subject is the image to attach to.
	Subject *ocispec.Descriptor
}

// Blob is one to push before the manifest.
type Blob struct {
	Descriptor ocispec.Descriptor
	// Data is nil if the blob must exist already.
	Data []byte
}

// Pack makes a bundle of files in any order, and the blobs that have to be
// pushed before its manifest, each once: config, inline layer, files. The result
// depends only on the arguments and, as far as the inline layer goes, on the Go
// release.
//
// The inline layer is filled in the order timestamp, snapshot, targets, newest
// root, older roots, delegated roles, target files. What does not fit is skipped
// and later ones are still tried. A manifest over [MaxManifest] is
// [ErrTooLarge].
func Pack(files []Content, o PackOptions) (*Bundle, []Blob, error) { return bundleForm.pack(files, o) }

// pack makes a manifest of a form.
func (f form) pack(files []Content, o PackOptions) (*Bundle, []Blob, error) {
	files = slices.Clone(files)
	for i := range files {
		if err := checkContent(&files[i]); err != nil {
			return nil, nil, err
		}
	}
	slices.SortFunc(files, func(f, g Content) int { return strings.Compare(f.Title, g.Title) })
	manifest, err := f.newManifest(files, o)
	if err != nil {
		return nil, nil, err
	}
	inline, err := fillInline(manifest, files, o)
	if err != nil {
		return nil, nil, err
	}
	blobs := []Blob{{Descriptor: withoutData(manifest.Config), Data: emptyConfig}}
	if inline != nil {
		d := descriptorOf(MediaTypeInline, inline)
		blobs = append(blobs, Blob{Descriptor: d, Data: inline})
		if o.Layout != LayoutNoData {
			d.Data = inline
		}
		manifest.Layers = slices.Insert(manifest.Layers, 0, d)
	}
	data, err := json.Marshal(manifest)
	if err != nil {
		return nil, nil, err
	}
	if len(data) > MaxManifest {
		return nil, nil, fmt.Errorf("manifest of %d bytes for %d files: %w, the limit is %d", len(data), len(files), ErrTooLarge, MaxManifest)
	}
	// Reading it is the proof that every reader takes it.
	bundle, err := f.parse(data, Bounds{})
	if err != nil {
		return nil, nil, err
	}
	bundle.Layout = cmp.Or(o.Layout, LayoutDefault)
	if inline != nil && bundle.inline == nil {
		if bundle.inline, err = unpackInline(inline, bundle.layers); err != nil {
			return nil, nil, err
		}
	}
	return bundle, appendFiles(blobs, files), nil
}

// checkContent completes and checks one file.
func checkContent(f *Content) error {
	if err := validateTitle(f.Title); err != nil {
		return err
	}
	if f.Data != nil {
		d := descriptorOf("", f.Data)
		if f.Digest != "" && (f.Digest != d.Digest || f.Size != d.Size) {
			return fmt.Errorf("%s: the data has %s and %d bytes, not %s and %d", f.Title, d.Digest, d.Size, f.Digest, f.Size)
		}
		f.Digest, f.Size = d.Digest, d.Size
	}
	if f.Size < 0 || f.Size > maxVersion {
		return fmt.Errorf("%s: size %d out of range", f.Title, f.Size)
	}
	if err := validateDigest(f.Digest); err != nil {
		return fmt.Errorf("%s: %w", f.Title, err)
	}
	return nil
}

// newManifest is the manifest without the inline layer.
func (f form) newManifest(files []Content, o PackOptions) (*ocispec.Manifest, error) {
	m := &ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: f.artifactType,
		Config:       descriptorOf(ocispec.MediaTypeEmptyJSON, emptyConfig),
		Subject:      o.Subject,
		Annotations:  map[string]string{},
		Layers:       []ocispec.Descriptor{},
	}
	switch o.Layout {
	case "", LayoutDefault:
		m.Config.Data = emptyConfig
	case LayoutNoData:
	case LayoutGitLab:
		m.ArtifactType = ""
		m.Config.MediaType = ocispec.MediaTypeImageConfig
		m.Config.Data = emptyConfig
	default:
		return nil, fmt.Errorf("unknown layout %q: want %s, %s or %s", shorten(string(o.Layout)), LayoutDefault, LayoutNoData, LayoutGitLab)
	}
	maps.Copy(m.Annotations, o.Annotations)
	m.Annotations[f.version] = FormatVersion
	delete(m.Annotations, AnnotationPartial)
	if o.Partial {
		m.Annotations[AnnotationPartial] = "true"
	}
	for k, v := range m.Annotations {
		if utf8.RuneCountInString(v) > maxAnnotation || !utf8.ValidString(v) {
			return nil, fmt.Errorf("annotation %s: more than %d characters, or invalid UTF-8", k, maxAnnotation)
		}
	}
	for _, file := range files {
		m.Layers = append(m.Layers, fileLayer(file))
	}
	return m, nil
}

func fileLayer(f Content) ocispec.Descriptor {
	return ocispec.Descriptor{
		MediaType: mediaTypeOf(f.Title), Digest: f.Digest, Size: f.Size,
		Annotations: map[string]string{ocispec.AnnotationTitle: f.Title},
	}
}

// fillInline chooses the files of the inline layer and packs them, nil if there
// are none. Whether one more fits is judged by its size compressed alone, which
// is mostly more than what it adds to the others; when that says no, all are
// compressed together to find what room there really is. In the end the last ones
// are taken out again until all fit.
func fillInline(m *ocispec.Manifest, files []Content, o PackOptions) ([]byte, error) {
	room, err := inlineRoom(m, o)
	if err != nil || room <= 0 {
		return nil, err
	}
	var chosen []Content
	var packed []byte
	var estimate, unpacked int64 = 0, maxTarEnd
	repacks, exact := 0, true
	sizes, err := newSizer()
	if err != nil {
		return nil, err
	}
	for _, f := range fillingOrder(files) {
		alone, ok := sizes.size(f, room)
		if !ok || unpacked+tarSize(f.Size) > maxInline {
			continue
		}
		if estimate+alone > room && !exact && repacks < maxRepacks {
			if packed, err = packSorted(chosen); err != nil {
				return nil, err
			}
			estimate, exact = int64(len(packed)), true
			repacks++
		}
		if estimate+alone > room {
			continue
		}
		chosen, packed = append(chosen, f), nil
		estimate, exact = estimate+alone, false
		unpacked += tarSize(f.Size)
	}
	for len(chosen) > 0 {
		if packed == nil {
			if packed, err = packSorted(chosen); err != nil {
				return nil, err
			}
		}
		if int64(len(packed)) <= room {
			return packed, nil
		}
		chosen, packed = chosen[:len(chosen)-1], nil
	}
	return nil, nil
}

// packSorted packs files in the order of the layers.
func packSorted(files []Content) ([]byte, error) {
	files = slices.Clone(files)
	slices.SortFunc(files, func(f, g Content) int { return strings.Compare(f.Title, g.Title) })
	return packInline(files)
}

// inlineRoom is how many bytes an inline layer may have.
func inlineRoom(m *ocispec.Manifest, o PackOptions) (int64, error) {
	with := *m
	with.Layers = append([]ocispec.Descriptor{{
		MediaType: MediaTypeInline, Digest: digest.FromBytes(nil), Size: MaxManifest, Data: []byte{0},
	}}, m.Layers...)
	data, err := json.Marshal(with)
	if err != nil {
		return 0, err
	}
	room := min(cmp.Or(o.MaxManifest, DefaultMaxManifest), MaxManifest) - int64(len(data))
	return int64(base64.StdEncoding.DecodedLen(int(max(room, 0)) / 4 * 4)), nil
}

// fillingOrder sorts the files that have data by what a client needs first.
func fillingOrder(files []Content) []Content {
	files = slices.DeleteFunc(slices.Clone(files), func(f Content) bool { return f.Data == nil })
	slices.SortStableFunc(files, func(f, g Content) int {
		fr, fv := rank(f.Title)
		gr, gv := rank(g.Title)
		return cmp.Or(cmp.Compare(fr, gr), cmp.Compare(gv, fv), strings.Compare(f.Title, g.Title))
	})
	return files
}

// sizer measures files compressed alone.
type sizer struct {
	n  int64
	fw *flate.Writer
}

func newSizer() (*sizer, error) {
	s := &sizer{}
	var err error
	s.fw, err = flate.NewWriter(s, flate.BestCompression)
	return s, err
}

// gzipOverhead in bytes: header, trailer and the end of the archive.
const gzipOverhead = 40

// size of one file compressed with its header; false if it is over the limit, or
// if USTAR cannot hold its name.
func (s *sizer) size(f Content, limit int64) (int64, bool) {
	// Deflate packs at most 1032 to 1.
	if f.Size/1032 > limit {
		return 0, false
	}
	s.n = gzipOverhead
	s.fw.Reset(s)
	tw := tar.NewWriter(s.fw)
	if err := errors.Join(writeInlined(tw, f), tw.Flush(), s.fw.Close()); err != nil {
		return 0, false
	}
	return s.n, s.n <= limit
}

// Write counts.
func (s *sizer) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	return len(p), nil
}

// appendFiles adds the blobs of the files, each digest once, those with data
// preferred.
func appendFiles(blobs []Blob, files []Content) []Blob {
	index := map[digest.Digest]int{}
	for i, b := range blobs {
		index[b.Descriptor.Digest] = i
	}
	for _, f := range files {
		i, ok := index[f.Digest]
		if !ok {
			index[f.Digest] = len(blobs)
			blobs = append(blobs, Blob{Descriptor: fileLayer(f), Data: f.Data})
			continue
		}
		if blobs[i].Data == nil {
			blobs[i].Data = f.Data
		}
	}
	return blobs
}

func withoutData(d ocispec.Descriptor) ocispec.Descriptor {
	d.Data = nil
	return d
}
