package ociremote

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	mediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	mediaTypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"

	// annotationLegacyName names a file in the layout of docker/attest.
	annotationLegacyName = "tuf.io/filename"
)

// laterVersion matches the annotation of any format version.
var laterVersion = regexp.MustCompile(`^([1-9][0-9]{0,8})(\.[1-9][0-9]{0,8})?$`)

// form tells the manifests of one purpose from all others.
type form struct {
	name         string
	artifactType string
	// later matches the artifact type of any format version.
	later *regexp.Regexp
	// version is the annotation with the format version: of what has no artifact type,
	// it is the mark.
	version string
	// legacy: the older layout counts too.
	legacy bool
}

var bundleForm = form{
	name: "bundle", artifactType: MediaTypeBundle, version: AnnotationVersion, legacy: true,
	later: regexp.MustCompile(`^application/vnd\.tufoci\.bundle\.v([1-9][0-9]{0,8}(?:\.[0-9]{1,9})?)$`),
}

// ParseBundle reads a manifest. It is strict: keys twice, bytes after the
// manifest, titles outside of metadata/ and targets/ or twice, digests other
// than sha256, and an inline layer that differs in anything from the files that
// it repeats are a [MalformedError]. A manifest that is no bundle is
// [ErrForeign], one of a later format [ErrNewerFormat]. More than [MaxManifest]
// bytes, or than [MaxFiles] files, are [ErrTooLarge].
func ParseBundle(manifest []byte) (*Bundle, error) { return Bounds{}.ParseBundle(manifest) }

// parse reads a manifest of a form.
func (f form) parse(manifest []byte, within Bounds) (*Bundle, error) {
	b, err := f.parseStrictly(manifest, within)
	switch {
	case err == nil:
		return b, nil
	case errors.Is(err, ErrForeign), errors.Is(err, ErrNewerFormat):
		return nil, err
	default:
		return nil, &MalformedError{What: f.name, Err: err}
	}
}

func (f form) parseStrictly(manifest []byte, within Bounds) (*Bundle, error) {
	if err := within.checkSize(int64(len(manifest))); err != nil {
		return nil, err
	}
	if err := checkManifest(manifest); err != nil {
		return nil, err
	}
	top, err := parseObject(manifest)
	if err != nil {
		return nil, err
	}
	b := &Bundle{Manifest: manifest, Descriptor: descriptorOf(ocispec.MediaTypeImageManifest, manifest)}
	// What is it? Said before anything that a later format may do otherwise.
	layers, config, err := b.identify(top, f, within)
	if err != nil {
		return nil, err
	}
	if err := b.readHead(top, config); err != nil {
		return nil, err
	}
	// Which files does it have?
	for i, l := range layers {
		if err := b.addLayer(i, l); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i, err)
		}
	}
	if len(b.layers) == 0 {
		return nil, errors.New("no files")
	}
	b.Files = slices.Clone(b.layers)
	slices.SortFunc(b.Files, func(f, g File) int { return strings.Compare(f.Title, g.Title) })
	for i := 1; i < len(b.Files); i++ {
		if b.Files[i].Title == b.Files[i-1].Title {
			return nil, fmt.Errorf("title %q twice", shorten(b.Files[i].Title))
		}
	}
	// Does the inline layer tell the truth about them?
	if b.inlineLayer == nil || b.inlineLayer.Data == nil {
		return b, nil
	}
	b.inline, err = unpackInline(b.inlineLayer.Data, b.layers)
	if err != nil {
		return nil, fmt.Errorf("inline layer: %w", err)
	}
	return b, nil
}

// identify tells manifests of a form from everything else, sets Layout,
// Legacy and Annotations, and returns the layers and the config.
func (b *Bundle) identify(top object, f form, within Bounds) ([]ocispec.Descriptor, ocispec.Descriptor, error) {
	fail := func(err error) ([]ocispec.Descriptor, ocispec.Descriptor, error) {
		return nil, ocispec.Descriptor{}, err
	}
	var mediaType, artifactType string
	var schema int
	if err := errors.Join(top.read("schemaVersion", &schema), top.read("mediaType", &mediaType), top.read("artifactType", &artifactType)); err != nil {
		return fail(err)
	}
	if err := foreignType(mediaType); err != nil {
		return fail(err)
	}
	if _, index := top["manifests"]; index {
		// Image specification 1.1, "mediaType"; CVE-2021-41190.
		return fail(errors.New("both an index and an image"))
	}
	if schema != 2 || mediaType != ocispec.MediaTypeImageManifest {
		return fail(fmt.Errorf("schemaVersion %d, mediaType %q: not an OCI image manifest", schema, shorten(mediaType)))
	}
	var err error
	if b.Annotations, err = top.strings("annotations"); err != nil {
		return fail(err)
	}
	if m := f.later.FindStringSubmatch(artifactType); m != nil && m[1] != FormatVersion {
		return fail(newerFormat(m[1]))
	}
	version, hasVersion := b.Annotations[f.version]
	ours := artifactType == f.artifactType || (artifactType == "" && hasVersion)
	if ours {
		if err := checkVersion(f.version, version); err != nil {
			return fail(err)
		}
	}
	config, err := readDescriptor(top["config"])
	if err != nil {
		return fail(fmt.Errorf("config: %w", err))
	}
	var raws []json.RawMessage
	if err := top.read("layers", &raws); err != nil {
		return fail(err)
	}
	if err := within.checkFiles(int64(len(raws))); err != nil {
		return fail(err)
	}
	layers := make([]ocispec.Descriptor, len(raws))
	for i, raw := range raws {
		if layers[i], err = readDescriptor(raw); err != nil {
			return fail(fmt.Errorf("layer %d: %w", i, err))
		}
	}
	switch {
	case artifactType == f.artifactType:
		b.Layout = LayoutNoData
		if config.Data != nil {
			b.Layout = LayoutDefault
		}
	case ours:
		b.Layout = LayoutGitLab
	case f.legacy && artifactType == "" && slices.ContainsFunc(layers, isLegacy):
		b.Legacy = true
	default:
		return fail(fmt.Errorf("%w: a manifest of type %q", ErrForeign, shorten(cmp.Or(artifactType, config.MediaType))))
	}
	return layers, config, nil
}

// readHead checks what stands beside the layers.
func (b *Bundle) readHead(top object, config ocispec.Descriptor) error {
	if raw, ok := top["subject"]; ok {
		subject, err := readDescriptor(raw)
		if err != nil {
			return fmt.Errorf("subject: %w", err)
		}
		b.Subject = &subject
	}
	if b.Legacy {
		return nil
	}
	switch v, ok := b.Annotations[AnnotationPartial]; {
	case v == "true":
		b.Partial = true
	case ok && v != "false":
		return fmt.Errorf("annotation %s: %q is neither true nor false", AnnotationPartial, shorten(v))
	}
	want := ocispec.MediaTypeEmptyJSON
	if b.Layout == LayoutGitLab {
		want = ocispec.MediaTypeImageConfig
	}
	empty := descriptorOf(want, emptyConfig)
	if config.MediaType != want || config.Digest != empty.Digest || config.Size != empty.Size {
		return fmt.Errorf("config: want {} of type %s", want)
	}
	return nil
}

// addLayer checks one layer of the manifest and records its file.
func (b *Bundle) addLayer(i int, d ocispec.Descriptor) error {
	if d.MediaType == MediaTypeInline && !b.Legacy {
		_, titled := d.Annotations[ocispec.AnnotationTitle]
		switch {
		case i != 0:
			return errors.New("the inline layer is not the first one")
		case titled:
			return errors.New("the inline layer has a title")
		case d.Size > MaxManifest:
			return fmt.Errorf("inline layer of %d bytes: %w", d.Size, ErrTooLarge)
		}
		if d.Data != nil {
			b.noteData()
		}
		b.inlineLayer = &d
		return nil
	}
	title := d.Annotations[ocispec.AnnotationTitle]
	if b.Legacy {
		title = legacyTitle(d)
	}
	if err := validateTitle(title); err != nil {
		return err
	}
	if d.MediaType != mediaTypeOf(title) {
		return fmt.Errorf("%s has media type %q, want %s", title, shorten(d.MediaType), mediaTypeOf(title))
	}
	if d.Data != nil {
		return fmt.Errorf("%s: only the inline layer carries data", title)
	}
	d.Annotations = nil
	b.layers = append(b.layers, File{Title: title, Descriptor: d})
	return nil
}

// noteData: a bundle that carries data is not the variant without it.
func (b *Bundle) noteData() {
	if b.Layout == LayoutNoData {
		b.Layout = LayoutDefault
	}
}

// readDescriptor reads what this package uses of a descriptor. Data is checked
// against size and digest.
func readDescriptor(raw json.RawMessage) (ocispec.Descriptor, error) {
	var d ocispec.Descriptor
	o, err := parseObject(raw)
	if err != nil {
		return d, err
	}
	d.Size = -1
	var data *string
	if err := errors.Join(
		o.read("mediaType", &d.MediaType), o.read("digest", &d.Digest), o.read("size", &d.Size),
		o.read("artifactType", &d.ArtifactType), o.read("data", &data),
	); err != nil {
		return d, err
	}
	if d.Annotations, err = o.strings("annotations"); err != nil {
		return d, err
	}
	if d.MediaType == "" {
		return d, errors.New("no mediaType")
	}
	if err := validateDigest(d.Digest); err != nil {
		return d, err
	}
	if d.Size < 0 || d.Size > maxVersion {
		return d, errors.New("size is missing or out of range")
	}
	if data == nil {
		return d, nil
	}
	// Length first: a wrong one is not decoded.
	if int64(len(*data)) != int64(base64.StdEncoding.EncodedLen(int(min(d.Size, MaxManifest)))) {
		return d, errors.New("data has not the size of the descriptor")
	}
	d.Data, err = base64.StdEncoding.Strict().DecodeString(*data)
	if err != nil {
		return d, fmt.Errorf("data: %w", err)
	}
	if int64(len(d.Data)) != d.Size {
		return d, errors.New("data has not the size of the descriptor")
	}
	if digest.FromBytes(d.Data) != d.Digest {
		return d, errors.New("data has not the digest of the descriptor")
	}
	return d, nil
}

// foreignType refuses the manifests that are known to be something else.
func foreignType(mediaType string) error {
	switch mediaType {
	case ocispec.MediaTypeImageIndex, mediaTypeDockerList:
		return fmt.Errorf("%w: an index of several manifests", ErrForeign)
	case mediaTypeDockerManifest:
		return fmt.Errorf("%w: a docker image", ErrForeign)
	}
	return nil
}

// checkVersion accepts this format version only.
func checkVersion(annotation, version string) error {
	switch {
	case version == FormatVersion:
		return nil
	case laterVersion.MatchString(version):
		return newerFormat(version)
	case version == "":
		return fmt.Errorf("annotation %s is missing", annotation)
	default:
		return fmt.Errorf("annotation %s: invalid version %q", annotation, shorten(version))
	}
}

func newerFormat(version string) error {
	return fmt.Errorf("%w: it has format %s, this tufoci reads format %s; a later tufoci that reads format %s is needed",
		ErrNewerFormat, version, FormatVersion, version)
}

func isLegacy(d ocispec.Descriptor) bool {
	_, ok := d.Annotations[annotationLegacyName]
	return ok
}

// legacyTitle is the title that a layer of the older layout has here.
func legacyTitle(d ocispec.Descriptor) string {
	if d.MediaType == MediaTypeTarget {
		return targetsPrefix + d.Annotations[annotationLegacyName]
	}
	return metadataPrefix + d.Annotations[annotationLegacyName]
}
