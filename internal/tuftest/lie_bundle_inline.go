package tuftest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
)

// inlineLies are told in the inline layer.
func inlineLies() []Lie {
	return slices.Concat(inlineContentLies(), inlineTarLies(), inlineGzipLies(), inlineTextLies())
}

// setInline makes data the inline layer, with a descriptor that is right about it.
func (d *draft) setInline(data []byte) {
	d.inline()["data"], d.inline()["digest"], d.inline()["size"] = data, Digest(data), len(data)
	d.blobs[Digest(data)] = data
}

// archive is the inline layer's tar with the headers edited, all files in their order.
func (d *draft) archive(edit func(header *tar.Header, data []byte) []byte) []byte {
	d.t.Helper()
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	for _, title := range slices.Sorted(maps.Keys(d.files)) {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: title, Size: int64(len(d.files[title])), Mode: 0o644, Format: tar.FormatUSTAR}
		data := d.files[title]
		if edit != nil {
			data = edit(header, data)
		}
		if err := archive.WriteHeader(header); err != nil {
			d.t.Fatalf("%q: %v", title, err)
		}
		if _, err := archive.Write(data); err != nil {
			d.t.Fatalf("%q: %v", title, err)
		}
	}
	if err := archive.Close(); err != nil {
		d.t.Fatal(err)
	}
	return packed.Bytes()
}

func (d *draft) compressed(header gzip.Header, parts ...[]byte) []byte {
	d.t.Helper()
	var packed bytes.Buffer
	for _, part := range parts {
		w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
		if err != nil {
			d.t.Fatal(err)
		}
		w.Header = header
		if _, err := w.Write(part); err != nil {
			d.t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			d.t.Fatal(err)
		}
	}
	return packed.Bytes()
}

// inlineContentLies are archives that disagree with the layers.
func inlineContentLies() []Lie {
	lie := func(name string, change func(d *draft, files map[string][]byte, titles []string) []string) Lie {
		return bundleLie("inline-"+name, func(d *draft) {
			files := maps.Clone(d.files)
			titles := change(d, files, slices.Sorted(maps.Keys(files)))
			d.setInline(InlineLayer(d.t, files, titles))
		})
	}
	return []Lie{
		lie("file-of-other-content", func(_ *draft, files map[string][]byte, titles []string) []string {
			files[timestampTitle] = bytes.ToUpper(files[timestampTitle])
			return titles
		}),
		lie("file-of-another-size", func(_ *draft, files map[string][]byte, titles []string) []string {
			files[timestampTitle] = append(slices.Clone(files[timestampTitle]), '\n')
			return titles
		}),
		lie("file-of-no-layer", func(_ *draft, files map[string][]byte, titles []string) []string {
			files["metadata/9.root.json"] = []byte("{}")
			return append(titles, "metadata/9.root.json")
		}),
		lie("file-twice", func(_ *draft, _ map[string][]byte, titles []string) []string {
			return []string{titles[0], titles[0]}
		}),
		lie("files-out-of-order", func(_ *draft, _ map[string][]byte, titles []string) []string {
			slices.Reverse(titles)
			return titles
		}),
		lie("layer-of-no-files", func(*draft, map[string][]byte, []string) []string { return nil }),
		lie("layer-of-some-files", func(_ *draft, _ map[string][]byte, titles []string) []string { return titles[len(titles)-1:] }),
	}
}

// inlineTarLies are archives that do more than hold files.
func inlineTarLies() []Lie {
	edited := func(name string, edit func(header *tar.Header, data []byte) []byte) Lie {
		return bundleLie("inline-tar-"+name, func(d *draft) { d.setInline(d.compressed(gzip.Header{}, d.archive(edit))) })
	}
	named := func(name, prefix string) Lie {
		return edited(name, func(h *tar.Header, data []byte) []byte { h.Name = prefix + h.Name; return data })
	}
	typed := func(name string, kind byte) Lie {
		return edited(name, func(h *tar.Header, data []byte) []byte {
			if h.Name != timestampTitle {
				return data
			}
			h.Typeflag, h.Linkname, h.Size = kind, "/etc/passwd", 0
			if kind == tar.TypeDir {
				h.Linkname, h.Name = "", h.Name+"/"
			}
			return nil
		})
	}
	around := func(name string, change func(archive []byte) []byte) Lie {
		return bundleLie("inline-tar-"+name, func(d *draft) {
			d.setInline(d.compressed(gzip.Header{}, change(d.archive(nil))))
		})
	}
	return []Lie{
		named("absolute", "/"), named("upwards", "../"), named("with-a-dot", "./"),
		typed("symlink", tar.TypeSymlink), typed("hard-link", tar.TypeLink), typed("character-device", tar.TypeChar),
		typed("block-device", tar.TypeBlock), typed("fifo", tar.TypeFifo), typed("directory", tar.TypeDir),
		edited("pax", func(h *tar.Header, data []byte) []byte {
			h.Format, h.PAXRecords = tar.FormatPAX, map[string]string{"comment": "x"}
			return data
		}),
		edited("pax-of-half-a-megabyte", func(h *tar.Header, data []byte) []byte {
			h.Format, h.PAXRecords = tar.FormatPAX, map[string]string{"comment": strings.Repeat("x", 1<<19)}
			return data
		}),
		edited("gnu", func(h *tar.Header, data []byte) []byte { h.Format = tar.FormatGNU; return data }),
		edited("gnu-long-name", func(h *tar.Header, data []byte) []byte {
			h.Format, h.Name = tar.FormatGNU, strings.Repeat("x", 100_000)
			return data
		}),
		around("global-header", func(archive []byte) []byte {
			return append(rawHeader("pax_global_header", 'g', 0), archive...)
		}),
		around("sparse", func([]byte) []byte { return rawHeader(timestampTitle, 'S', 1<<40) }),
		around("size-over", func([]byte) []byte { return rawHeader(timestampTitle, '0', 1<<32) }),
		around("with-data-after-it", func(archive []byte) []byte { return append(archive, "more"...) }),
		around("after-a-tar", func(archive []byte) []byte { return append(archive, archive...) }),
		around("cut-off", func(archive []byte) []byte { return archive[:600] }),
		around("without-an-end", func(archive []byte) []byte { return archive[:len(archive)-1024] }),
		around("of-zeros", func([]byte) []byte { return make([]byte, 1<<20) }),
		around("of-garbage", func([]byte) []byte { return bytes.Repeat([]byte("x"), 2048) }),
	}
}

// rawHeader is one block of a tar in the USTAR format, whatever follows it.
func rawHeader(name string, kind byte, size int64) []byte {
	block := make([]byte, 512)
	octal := func(at, length int, value int64) {
		for i := at + length - 2; i >= at; i-- {
			block[i] = byte('0' + value&7)
			value >>= 3
		}
	}
	copy(block, name)
	octal(100, 8, 0o644)
	if size < 1<<33 {
		octal(124, 12, size)
	} else {
		// Base-256, as GNU writes what octal cannot hold.
		block[124] = 0x80
		for i, rest := 135, size; i > 124; i, rest = i-1, rest>>8 {
			block[i] |= byte(rest)
		}
	}
	copy(block[148:156], "        ")
	block[156] = kind
	copy(block[257:], "ustar\x0000")
	var sum int64
	for _, b := range block {
		sum += int64(b)
	}
	octal(148, 7, sum)
	block[154] = 0
	return block
}

// inlineGzipLies are told in the compression.
func inlineGzipLies() []Lie {
	lie := func(name string, change func(d *draft, archive []byte) []byte) Lie {
		return bundleLie("inline-gzip-"+name, func(d *draft) { d.setInline(change(d, d.archive(nil))) })
	}
	return []Lie{
		lie("missing", func(_ *draft, archive []byte) []byte { return archive }),
		lie("empty", func(*draft, []byte) []byte { return []byte{} }),
		lie("second-member", func(d *draft, archive []byte) []byte { return d.compressed(gzip.Header{}, archive, nil) }),
		lie("archive-in-two-members", func(d *draft, archive []byte) []byte {
			return d.compressed(gzip.Header{}, archive[:1024], archive[1024:])
		}),
		lie("with-data-after-it", func(d *draft, archive []byte) []byte { return append(d.compressed(gzip.Header{}, archive), 0) }),
		lie("cut-off", func(d *draft, archive []byte) []byte {
			whole := d.compressed(gzip.Header{}, archive)
			return whole[:len(whole)/2]
		}),
		lie("with-a-wrong-sum", func(d *draft, archive []byte) []byte {
			whole := d.compressed(gzip.Header{}, archive)
			whole[len(whole)-5] ^= 1
			return whole
		}),
		lie("with-a-name-of-a-megabyte", func(d *draft, archive []byte) []byte {
			return d.compressed(gzip.Header{Name: strings.Repeat("x", 1<<20)}, archive)
		}),
		lie("with-a-comment-of-a-megabyte", func(d *draft, archive []byte) []byte {
			return d.compressed(gzip.Header{Comment: strings.Repeat("x", 1<<20)}, archive)
		}),
		lie("with-an-extra-field-of-60000-bytes", func(d *draft, archive []byte) []byte {
			return d.compressed(gzip.Header{Extra: make([]byte, 60_000)}, archive)
		}),
		lie("bomb", func(d *draft, archive []byte) []byte {
			return d.compressed(gzip.Header{}, append(archive, make([]byte, 20<<20)...))
		}),
	}
}

// inlineTextLies are told in the base64 that carries the layer.
func inlineTextLies() []Lie {
	lie := func(name string, change func(text string) string) Lie {
		return bundleLie("inline-base64-"+name, func(d *draft) {
			d.inline()["data"] = change(base64.StdEncoding.EncodeToString(d.inline()["data"].([]byte)))
		})
	}
	return []Lie{
		lie("with-another-letter", func(text string) string { return "!" + text[1:] }),
		lie("with-line-breaks", func(text string) string { return "\n\r\n\n" + text }),
		lie("of-the-alphabet-for-urls", func(text string) string { return "-_" + text[2:] }),
		lie("one-letter-short", func(text string) string { return text[:len(text)-1] }),
		lie("twice", func(text string) string { return text + text }),
		lie("of-other-bytes", func(text string) string { return text[:40] + swapped(text[40]) + text[41:] }),
		lie("empty", func(string) string { return "" }),
		bundleLie("inline-size-of-4-gigabytes", func(d *draft) { d.inline()["size"] = 4 << 30 }),
		bundleLie("inline-size-one-more", func(d *draft) { d.inline()["size"] = d.inline()["size"].(int) + 1 }),
		bundleLie("inline-digest-of-something-else", func(d *draft) { d.inline()["digest"] = Digest([]byte("x")) }),
	}
}

func swapped(letter byte) string {
	if letter == 'A' {
		return "B"
	}
	return "A"
}
