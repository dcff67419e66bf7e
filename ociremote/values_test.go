package ociremote

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A parsed value takes many times the memory of its bytes, so that values are counted
// before anything is kept of them: in bundles, in indexes of images, and in lists of
// referrers.
func TestValuesAreBounded(t *testing.T) {
	t.Parallel()
	many := "{}" + strings.Repeat(",{}", maxValues)
	// So long that the size alone would allow as many.
	filler := strings.Repeat(" ", 2*maxValues*bytesPerValue)
	head := `{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageManifest + `","layers":[` + many + "]}" + filler
	index := `{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[` + many + "]}" + filler
	for name, read := range map[string]func() error{
		"bundle":    func() error { _, err := ParseBundle([]byte(head)); return err },
		"image":     func() error { _, err := parseManifest(ocispec.MediaTypeImageIndex, []byte(index)); return err },
		"referrers": func() error { return (&referrerCollector{}).addIndex([]byte(index)) },
	} {
		if err := read(); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := parseIndex([]byte(`{"manifests":[` + many + "]}")); !errors.Is(err, ErrTooLarge) {
		t.Errorf("index.json: %v", err)
	}
}

// Names that no file of a layout has are not remembered.
func TestLongNamesOfAnArchive(t *testing.T) {
	t.Parallel()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for i := range 3 {
		name := fmt.Sprintf("%d%s", i, strings.Repeat("a", maxEntryName-i))
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := scanArchive(t.Context(), bytes.NewReader(archive.Bytes()), maxEntries)
	if err != nil || len(entries) != 2 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

// An inline layer unpacks to so much, also where the files that it repeats are larger
// together.
func TestInlineLayersAreBounded(t *testing.T) {
	t.Parallel()
	data := make([]byte, maxInline/2+tarBlock)
	var contents []Content
	var layers []File
	for _, title := range []string{"targets/a", "targets/b"} {
		d := descriptorOf(MediaTypeTarget, data)
		contents = append(contents, Content{Title: title, Digest: d.Digest, Size: d.Size, Data: data})
		layers = append(layers, File{Title: title, Descriptor: d})
	}
	packed, err := packInline(contents)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unpackInline(packed, layers); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
}
