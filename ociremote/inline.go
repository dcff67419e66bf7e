package ociremote

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
)

const (
	// maxInline is the most that an inline layer may unpack to, in bytes,
	// whatever its bundle says: many times what fits a manifest.
	maxInline = 8 << 20
	tarBlock  = 512
	// maxTarEnd is the zero padding that tar programs write at the end.
	maxTarEnd = 20 * tarBlock
)

// unpackInline reads the inline layer and holds it to the rules of layout v1:
// one gzip member and nothing behind it; a USTAR archive of regular files only,
// each with the name, size and digest of one of the layers, each once and in the
// order of the layers. The first violation refuses it.
func unpackInline(data []byte, layers []File) (map[string][]byte, error) {
	compressed := bytes.NewReader(data)
	zr, err := gzip.NewReader(compressed)
	if err != nil {
		return nil, err
	}
	zr.Multistream(false)
	limit := unpackedLimit(layers) + 1
	limited := &io.LimitedReader{R: zr, N: limit}
	tr := tar.NewReader(limited)
	files := map[string][]byte{}
	var size int64 = 2 * tarBlock // of the archive, with the zeros at its end
	for {
		hdr, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, overLimit(limited, err)
		}
		if hdr.Typeflag != tar.TypeReg || hdr.Format != tar.FormatUSTAR {
			return nil, fmt.Errorf("%q is not a regular file in USTAR format", shorten(hdr.Name))
		}
		// Layers before the one found are not inlined: a name that is unknown,
		// out of order or there a second time is not found in the rest.
		for len(layers) > 0 && layers[0].Title != hdr.Name {
			layers = layers[1:]
		}
		if len(layers) == 0 {
			return nil, fmt.Errorf("%q is not the next one of the files of the bundle", shorten(hdr.Name))
		}
		if files[hdr.Name], err = readInlined(tr, hdr, layers[0]); err != nil {
			return nil, overLimit(limited, err)
		}
		size += tarSize(hdr.Size)
		layers = layers[1:]
	}
	if err := onlyZeros(limited); err != nil {
		return nil, overLimit(limited, err)
	}
	if read := limit - limited.N; read < size || read%tarBlock != 0 {
		return nil, errors.New("the archive is cut off")
	}
	if compressed.Len() > 0 {
		return nil, errors.New("data after the gzip member")
	}
	return files, nil
}

// readInlined reads one file of the archive and compares it with its layer.
func readInlined(r io.Reader, hdr *tar.Header, layer File) ([]byte, error) {
	if hdr.Size != layer.Descriptor.Size {
		return nil, fmt.Errorf("%q has %d bytes, its layer %d", hdr.Name, hdr.Size, layer.Descriptor.Size)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if digest.FromBytes(data) != layer.Descriptor.Digest {
		return nil, fmt.Errorf("%q has not the digest of its layer", hdr.Name)
	}
	return data, nil
}

// unpackedLimit is the size of an archive of all layers.
func unpackedLimit(layers []File) int64 {
	var n int64 = maxTarEnd
	for _, f := range layers {
		if f.Descriptor.Size > maxInline {
			continue
		}
		n += tarSize(f.Descriptor.Size)
	}
	return min(n, maxInline)
}

// tarSize is what a file of this size takes in an archive.
func tarSize(size int64) int64 { return tarBlock + (size+tarBlock-1)/tarBlock*tarBlock }

// overLimit tells a reader that hit its limit from one that hit the end.
func overLimit(r *io.LimitedReader, err error) error {
	if r.N <= 0 {
		return fmt.Errorf("unpacks to more than the files of the bundle: %w", ErrTooLarge)
	}
	return notEOF(err)
}

// onlyZeros reads to the end.
func onlyZeros(r *io.LimitedReader) error {
	rest, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if r.N <= 0 || len(bytes.Trim(rest, "\x00")) > 0 {
		return errors.New("data after the archive")
	}
	return nil
}

// packInline is the inverse of unpackInline. The result depends on the files and
// on the Go release only.
func packInline(files []Content) ([]byte, error) {
	var buf bytes.Buffer
	zw, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	tw := tar.NewWriter(zw)
	for _, f := range files {
		if err := writeInlined(tw, f); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// writeInlined fails for a name that USTAR cannot hold.
func writeInlined(tw *tar.Writer, f Content) error {
	if err := tw.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: f.Title, Size: f.Size, Mode: 0o644,
		ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
	}); err != nil {
		return err
	}
	_, err := tw.Write(f.Data)
	return err
}
