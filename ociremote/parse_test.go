package ociremote

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

type jsonObject = map[string]any

// goodManifest is a bundle as JSON, to be damaged.
func goodManifest(t *testing.T) jsonObject {
	t.Helper()
	b, _ := mustPack(t, someFiles(), PackOptions{})
	return decode(t, b.Manifest)
}

func decode(t *testing.T, manifest []byte) jsonObject {
	t.Helper()
	var m jsonObject
	dec := json.NewDecoder(bytes.NewReader(manifest))
	dec.UseNumber()
	if err := dec.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func layer(m jsonObject, i int) jsonObject { return m["layers"].([]any)[i].(jsonObject) }

func annotations(m jsonObject) jsonObject { return m["annotations"].(jsonObject) }

// retitle gives a layer another title; it is the last one, a target file.
func retitle(m jsonObject, title string) {
	annotations(layer(m, len(m["layers"].([]any))-1))[ocispec.AnnotationTitle] = title
}

// Every rule for readers of a manifest, but for the content of the inline layer.
func TestParseBundleRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(m jsonObject)
		is   error
		want string
	}{
		{"schema version", func(m jsonObject) { m["schemaVersion"] = 1 }, ErrMalformed, "schemaVersion"},
		{"schema version missing", func(m jsonObject) { delete(m, "schemaVersion") }, ErrMalformed, "schemaVersion"},
		{"media type missing", func(m jsonObject) { delete(m, "mediaType") }, ErrMalformed, "not an OCI image manifest"},
		{"media type of another case", func(m jsonObject) { m["MediaType"] = m["mediaType"]; delete(m, "mediaType") }, ErrMalformed, "not an OCI image manifest"},
		{"index", func(m jsonObject) { m["mediaType"] = ocispec.MediaTypeImageIndex }, ErrForeign, "index"},
		{"docker list", func(m jsonObject) { m["mediaType"] = mediaTypeDockerList }, ErrForeign, "index"},
		{"docker image", func(m jsonObject) { m["mediaType"] = mediaTypeDockerManifest }, ErrForeign, "docker"},
		{"index and image in one", func(m jsonObject) { m["manifests"] = []any{} }, ErrMalformed, "both"},
		{"other artifact", func(m jsonObject) { m["artifactType"] = "application/vnd.example" }, ErrForeign, "application/vnd.example"},
		{"image", func(m jsonObject) {
			delete(m, "artifactType")
			delete(m, "annotations")
			m["config"].(jsonObject)["mediaType"] = ocispec.MediaTypeImageConfig
		}, ErrForeign, ocispec.MediaTypeImageConfig},
		{"later artifact type", func(m jsonObject) { m["artifactType"] = "application/vnd.tufoci.bundle.v2" }, ErrNewerFormat, "format 2"},
		{"later version", func(m jsonObject) { annotations(m)[AnnotationVersion] = "2" }, ErrNewerFormat, "format 2 is needed"},
		{"later minor version", func(m jsonObject) { annotations(m)[AnnotationVersion] = "1.1" }, ErrNewerFormat, "format 1.1"},
		{"later version with other layers", func(m jsonObject) {
			annotations(m)[AnnotationVersion] = "3"
			m["layers"], m["config"] = []any{1}, 2
		}, ErrNewerFormat, "format 3"},
		{"no version", func(m jsonObject) { delete(annotations(m), AnnotationVersion) }, ErrMalformed, "missing"},
		{"odd version", func(m jsonObject) { annotations(m)[AnnotationVersion] = "one" }, ErrMalformed, "invalid version"},
		{"version 0", func(m jsonObject) { annotations(m)[AnnotationVersion] = "0" }, ErrMalformed, "invalid version"},
		{"version 01", func(m jsonObject) { annotations(m)[AnnotationVersion] = "01" }, ErrMalformed, "invalid version"},
		{"annotations null", func(m jsonObject) { m["annotations"] = nil }, ErrMalformed, "null"},
		{"annotation null", func(m jsonObject) { annotations(m)["x"] = nil }, ErrMalformed, "null"},
		{"annotation number", func(m jsonObject) { annotations(m)["x"] = 1 }, ErrMalformed, "annotations"},
		{"partial", func(m jsonObject) { annotations(m)[AnnotationPartial] = "yes" }, ErrMalformed, AnnotationPartial},
		{"config missing", func(m jsonObject) { delete(m, "config") }, ErrMalformed, "config"},
		{"config null", func(m jsonObject) { m["config"] = nil }, ErrMalformed, "config"},
		{"config type", func(m jsonObject) { m["config"].(jsonObject)["mediaType"] = ocispec.MediaTypeImageConfig }, ErrMalformed, "config"},
		{"config content", func(m jsonObject) {
			m["config"] = jsonObject{"mediaType": ocispec.MediaTypeEmptyJSON, "digest": digest.FromString("{ }"), "size": 3}
		}, ErrMalformed, "config"},
		{"config data", func(m jsonObject) { m["config"].(jsonObject)["data"] = "W10=" }, ErrMalformed, "digest"},
		{"subject", func(m jsonObject) { m["subject"] = jsonObject{"mediaType": "x"} }, ErrMalformed, "subject"},
		{"subject null", func(m jsonObject) { m["subject"] = nil }, ErrMalformed, "subject"},
		{"layers null", func(m jsonObject) { m["layers"] = nil }, ErrMalformed, "layers"},
		{"no layers", func(m jsonObject) { m["layers"] = []any{} }, ErrMalformed, "no files"},
		{"inline layer only", func(m jsonObject) { m["layers"] = m["layers"].([]any)[:1] }, ErrMalformed, ""},
		{"layer null", func(m jsonObject) { m["layers"].([]any)[1] = nil }, ErrMalformed, "layer 1"},
		{"layer type", func(m jsonObject) { layer(m, 1)["mediaType"] = "application/json" }, ErrMalformed, "media type"},
		{"target typed as metadata", func(m jsonObject) { layer(m, 6)["mediaType"] = MediaTypeMetadata }, ErrMalformed, "media type"},
		{"layer type missing", func(m jsonObject) { delete(layer(m, 1), "mediaType") }, ErrMalformed, "mediaType"},
		{"digest missing", func(m jsonObject) { delete(layer(m, 1), "digest") }, ErrMalformed, "invalid digest"},
		{"sha512", func(m jsonObject) { layer(m, 1)["digest"] = digest.SHA512.FromString("x") }, ErrMalformed, "invalid digest"},
		{"digest in upper case", func(m jsonObject) {
			layer(m, 1)["digest"] = "sha256:" + strings.ToUpper(layer(m, 1)["digest"].(string)[7:])
		}, ErrMalformed, "invalid digest"},
		{"size missing", func(m jsonObject) { delete(layer(m, 1), "size") }, ErrMalformed, "size"},
		{"size negative", func(m jsonObject) { layer(m, 1)["size"] = -1 }, ErrMalformed, "size"},
		{"size fractional", func(m jsonObject) { layer(m, 1)["size"] = 1.5 }, ErrMalformed, "size"},
		{"size too large", func(m jsonObject) { layer(m, 1)["size"] = 1 << 54 }, ErrMalformed, "size"},
		{"size null", func(m jsonObject) { layer(m, 1)["size"] = nil }, ErrMalformed, "size"},
		{"data in a file layer", func(m jsonObject) {
			l := layer(m, 6)
			l["data"] = []byte("a file")
		}, ErrMalformed, "only the inline layer"},
		{"inline layer second", func(m jsonObject) {
			l := m["layers"].([]any)
			l[0], l[1] = l[1], l[0]
		}, ErrMalformed, "not the first"},
		{"inline layer twice", func(m jsonObject) { m["layers"] = slices.Insert(m["layers"].([]any), 1, m["layers"].([]any)[0]) }, ErrMalformed, "not the first"},
		{"inline layer with a title", func(m jsonObject) { layer(m, 0)["annotations"] = jsonObject{ocispec.AnnotationTitle: "targets/x"} }, ErrMalformed, "has a title"},
		{"inline layer too large", func(m jsonObject) { delete(layer(m, 0), "data"); layer(m, 0)["size"] = MaxManifest + 1 }, ErrTooLarge, "inline"},
		{"inline data of another size", func(m jsonObject) { layer(m, 0)["size"] = 5 }, ErrMalformed, "size"},
		{"inline data one byte short", func(m jsonObject) { addToSize(m, 1) }, ErrMalformed, "size"},
		{"inline data of another digest", func(m jsonObject) { layer(m, 0)["digest"] = digest.FromString("x") }, ErrMalformed, "digest"},
		{"inline data null", func(m jsonObject) { layer(m, 0)["data"] = nil }, ErrMalformed, "null"},
		{"inline data no base64", func(m jsonObject) {
			s := layer(m, 0)["data"].(string)
			layer(m, 0)["data"] = "!" + s[1:]
		}, ErrMalformed, "base64"},
		{"inline data with one line break more", func(m jsonObject) { layer(m, 0)["data"] = "\n" + layer(m, 0)["data"].(string) }, ErrMalformed, "size"},
		{"inline data with a line break", func(m jsonObject) {
			s := layer(m, 0)["data"].(string)
			layer(m, 0)["data"] = "\n" + s[1:]
		}, ErrMalformed, ""},
		{"title twice", func(m jsonObject) { retitle(m, "targets/x"); m["layers"] = append(m["layers"].([]any), layer(m, 6)) }, ErrMalformed, "twice"},
		{"title missing", func(m jsonObject) { delete(layer(m, 6), "annotations") }, ErrMalformed, "title"},
		{"title empty", func(m jsonObject) { retitle(m, "") }, ErrMalformed, "title"},
		{"title elsewhere", func(m jsonObject) { retitle(m, "other/x") }, ErrMalformed, "neither below"},
		{"title is a directory", func(m jsonObject) { retitle(m, "targets") }, ErrMalformed, "neither below"},
		{"title with nothing below", func(m jsonObject) { retitle(m, "targets/") }, ErrMalformed, "empty path"},
		{"title absolute", func(m jsonObject) { retitle(m, "/targets/x") }, ErrMalformed, "empty path"},
		{"title upwards", func(m jsonObject) { retitle(m, "targets/../../x") }, ErrMalformed, ".."},
		{"title upwards at the end", func(m jsonObject) { retitle(m, "targets/..") }, ErrMalformed, ".."},
		{"title with a dot", func(m jsonObject) { retitle(m, "targets/./x") }, ErrMalformed, `"."`},
		{"title with an empty part", func(m jsonObject) { retitle(m, "targets//x") }, ErrMalformed, "empty path"},
		{"title with a slash at its end", func(m jsonObject) { retitle(m, "targets/x/") }, ErrMalformed, "empty path"},
		{"title with a backslash", func(m jsonObject) { retitle(m, `targets/..\x`) }, ErrMalformed, "backslash"},
		{"title with a control character", func(m jsonObject) { retitle(m, "targets/a\nb") }, ErrMalformed, "control"},
		{"title with NUL", func(m jsonObject) { retitle(m, "targets/a\x00b") }, ErrMalformed, "control"},
		{"title too long", func(m jsonObject) { retitle(m, "targets/"+strings.Repeat("x", maxTitle)) }, ErrMalformed, "longer"},
		{"metadata in a directory", func(m jsonObject) { annotations(layer(m, 1))[ocispec.AnnotationTitle] = "metadata/a/b.json" }, ErrMalformed, "metadata/NAME.json"},
		{"metadata that is no JSON", func(m jsonObject) { annotations(layer(m, 1))[ocispec.AnnotationTitle] = "metadata/x" }, ErrMalformed, "metadata/NAME.json"},
		{"metadata without a name", func(m jsonObject) { annotations(layer(m, 1))[ocispec.AnnotationTitle] = "metadata/.json" }, ErrMalformed, "metadata/NAME.json"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := goodManifest(t)
			tt.edit(m)
			refuse(t, encode(t, m), tt.is, tt.want)
		})
	}
}

func addToSize(m jsonObject, n int64) {
	size, _ := layer(m, 0)["size"].(json.Number).Int64()
	layer(m, 0)["size"] = size + n
}

func refuse(t *testing.T, manifest []byte, is error, want string) {
	t.Helper()
	b, err := ParseBundle(manifest)
	if !errors.Is(err, is) || !strings.Contains(err.Error(), want) || b != nil {
		t.Errorf("got %v, want %v with %q", err, is, want)
	}
	if errors.Is(err, ErrMalformed) && (errors.Is(err, ErrForeign) || errors.Is(err, ErrNewerFormat)) {
		t.Errorf("%v is two things at once", err)
	}
}

func TestParseBundleRefusesAmbiguousJSON(t *testing.T) {
	t.Parallel()
	good, _ := mustPack(t, someFiles(), PackOptions{})
	text := string(good.Manifest)
	tests := []struct{ name, manifest, want string }{
		{"empty", "", ""},
		{"no object", "[]", ""},
		{"null", "null", ""},
		{"truncated", text[:len(text)-1], ""},
		{"data behind", text + "{}", "data after"},
		{"garbage behind", text + "x", "data after"},
		{"key twice", `{"schemaVersion":2,` + text[1:], "twice"},
		{"key twice, escaped", `{"\u0073chemaVersion":2,` + text[1:], "twice"},
		{"key twice, in capitals", `{"Layers":[],` + text[1:], "twice"},
		{"key twice, in letters that fold", `{"layerſ":[],` + text[1:], "twice"},
		{"key twice below", strings.Replace(text, `"annotations":{`, `"annotations":{"x":"1","x":"2",`, 1), "twice"},
		{"key twice in what is ignored", `{"other":{"a":1,"a":2},` + text[1:], "twice"},
		{"nested too deep", `{"other":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "," + text[1:], "deep"},
		{"invalid UTF-8", strings.Replace(text, "targets/dir", "targets/\xff", 1), "UTF-8"},
		{"too large", text + strings.Repeat(" ", MaxManifest), "too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			refuse(t, []byte(tt.manifest), ErrMalformed, tt.want)
		})
	}
}

func TestParseBundleTakes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		edit   func(m jsonObject)
		layout Layout
	}{
		{"no inline layer", func(m jsonObject) { m["layers"] = m["layers"].([]any)[1:] }, LayoutDefault},
		{"files in another order, not inlined", func(m jsonObject) {
			l := m["layers"].([]any)[1:]
			slices.Reverse(l)
			m["layers"] = l
		}, LayoutDefault},
		{"unknown members", func(m jsonObject) { m["future"] = jsonObject{"a": nil} }, LayoutDefault},
		{"not partial", func(m jsonObject) { annotations(m)[AnnotationPartial] = "false" }, LayoutDefault},
		{"no data", func(m jsonObject) { delete(layer(m, 0), "data"); delete(m["config"].(jsonObject), "data") }, LayoutNoData},
		{"data in the inline layer only", func(m jsonObject) { delete(m["config"].(jsonObject), "data") }, LayoutDefault},
		{"gitlab", func(m jsonObject) {
			delete(m, "artifactType")
			m["config"].(jsonObject)["mediaType"] = ocispec.MediaTypeImageConfig
		}, LayoutGitLab},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := goodManifest(t)
			tt.edit(m)
			b, err := ParseBundle(encode(t, m))
			if err != nil {
				t.Fatal(err)
			}
			if len(b.Files) != len(someFiles()) || b.Layout != tt.layout || b.Partial {
				t.Errorf("%d files, layout %q", len(b.Files), b.Layout)
			}
			if !slices.IsSortedFunc(b.Files, func(f, g File) int { return strings.Compare(f.Title, g.Title) }) {
				t.Error("the files are not sorted")
			}
		})
	}
}

// tarOf is an archive; each edit changes the header of its file.
func tarOf(t *testing.T, files []Content, edit func(*tar.Header)) []byte {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, f := range files {
		hdr := &tar.Header{Typeflag: tar.TypeReg, Name: f.Title, Size: int64(len(f.Data)), Mode: 0o644, Format: tar.FormatUSTAR}
		if edit != nil {
			edit(hdr)
		}
		if err := tw.WriteHeader(hdr); err != nil {
			t.Fatal(err)
		}
		if hdr.Size == 0 {
			continue
		}
		if _, err := tw.Write(f.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	if _, err := zw.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// Every rule for the content of the inline layer.
func TestParseBundleRefusesInlineLayers(t *testing.T) {
	t.Parallel()
	files := someFiles()
	slices.SortFunc(files, func(f, g Content) int { return strings.Compare(f.Title, g.Title) })
	plain := tarOf(t, files, nil)
	other := slices.Clone(files)
	other[2].Data = []byte(strings.ToUpper(string(other[2].Data)))
	longer := slices.Clone(files)
	longer[2].Data = append(slices.Clone(longer[2].Data), ' ')
	unknown := []Content{{Title: "metadata/9.root.json", Data: []byte("x")}}
	folder := append([]Content{{Title: "metadata/"}}, files...)
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"no gzip", plain, "gzip"},
		{"empty", nil, ""},
		{"two gzip members", append(gzipped(t, plain), gzipped(t, nil)...), "after the gzip member"},
		{"archive in two gzip members", append(gzipped(t, plain[:1024]), gzipped(t, plain[1024:])...), ""},
		{"bytes after the gzip member", append(gzipped(t, plain), 0), "after the gzip member"},
		{"gzip cut off", gzipped(t, plain)[:200], ""},
		{"gzip checksum", flipped(gzipped(t, plain), -5), "checksum"},
		{"tar cut off in a file", gzipped(t, plain[:515]), ""},
		{"tar cut off behind a file", gzipped(t, plain[:700]), "cut off"},
		{"tar without its end", gzipped(t, plain[:1024]), "cut off"},
		{"data after the archive", gzipped(t, append(slices.Clone(plain), 'x')), "after the archive"},
		{"another archive after the archive", gzipped(t, append(slices.Clone(plain), plain...)), ""},
		{"unpacks to too much", gzipped(t, append(slices.Clone(plain), make([]byte, 1<<20)...)), "too large"},
		{"other content", gzipped(t, tarOf(t, other, nil)), "digest"},
		{"other size", gzipped(t, tarOf(t, longer, nil)), "bytes"},
		{"file of no layer", gzipped(t, tarOf(t, unknown, nil)), "next one of the files"},
		{"file twice", gzipped(t, tarOf(t, append(files[:1:1], files[0]), nil)), "next one of the files"},
		{"files out of order", gzipped(t, tarOf(t, []Content{files[1], files[0]}, nil)), "next one of the files"},
		{"name with a dot", gzipped(t, tarOf(t, []Content{{Title: "./" + files[0].Title, Data: files[0].Data}}, nil)), "next one of the files"},
		{"directory", gzipped(t, tarOf(t, folder, func(h *tar.Header) {
			if strings.HasSuffix(h.Name, "/") {
				h.Typeflag = tar.TypeDir
			}
		})), "regular file"},
		{"symbolic link", gzipped(t, tarOf(t, files[:1], func(h *tar.Header) { h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, "/etc/passwd", 0 })), "regular file"},
		{"hard link", gzipped(t, tarOf(t, files[:1], func(h *tar.Header) { h.Typeflag, h.Linkname, h.Size = tar.TypeLink, "x", 0 })), "regular file"},
		{"PAX", gzipped(t, tarOf(t, files, func(h *tar.Header) { h.Format, h.PAXRecords = tar.FormatPAX, map[string]string{"comment": "x"} })), "USTAR"},
		{"GNU", gzipped(t, tarOf(t, files, func(h *tar.Header) { h.Format = tar.FormatGNU })), "USTAR"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := goodManifest(t)
			l := layer(m, 0)
			if tt.data == nil {
				tt.data = []byte{}
			}
			l["data"], l["digest"], l["size"] = tt.data, digest.FromBytes(tt.data), len(tt.data)
			refuse(t, encode(t, m), ErrMalformed, tt.want)
		})
	}
	t.Run("the table starts from what is taken", func(t *testing.T) {
		t.Parallel()
		for _, some := range [][]Content{files, files[:1], files[3:], {files[0], files[4]}, nil} {
			data := gzipped(t, tarOf(t, some, nil))
			m := goodManifest(t)
			l := layer(m, 0)
			l["data"], l["digest"], l["size"] = data, digest.FromBytes(data), len(data)
			b, err := ParseBundle(encode(t, m))
			if err != nil || len(b.inline) != len(some) {
				t.Errorf("%d files: %v", len(some), err)
			}
		}
	})
}

func flipped(data []byte, i int) []byte {
	data = slices.Clone(data)
	data[len(data)+i] ^= 1
	return data
}

// A bundle may list large files; the inline layer may not unpack to them.
func TestParseBundleBoundsWhatItUnpacks(t *testing.T) {
	t.Parallel()
	zeros := make([]byte, maxInline+1)
	m := goodManifest(t)
	last := layer(m, 6)
	last["size"], last["digest"] = len(zeros), digest.FromBytes(zeros)
	data := gzipped(t, tarOf(t, []Content{{Title: someFiles()[5].Title, Data: zeros}}, nil))
	l := layer(m, 0)
	l["data"], l["digest"], l["size"] = data, digest.FromBytes(data), len(data)
	refuse(t, encode(t, m), ErrTooLarge, "")
	refuse(t, encode(t, m), ErrMalformed, "")
	// Nor to many that are large together.
	half := File{Descriptor: ocispec.Descriptor{Size: maxInline/2 + 1}}
	if n := unpackedLimit([]File{half, half}); n != maxInline {
		t.Errorf("two halves may unpack to %d bytes", n)
	}
}

func TestParseLegacyBundle(t *testing.T) {
	t.Parallel()
	root := []byte("{}")
	manifest := func(artifactType, name, mediaType string) []byte {
		m := jsonObject{
			"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest,
			"config": jsonObject{"mediaType": ocispec.MediaTypeImageConfig, "digest": digest.FromString("any"), "size": 3},
			"layers": []any{jsonObject{
				"mediaType": mediaType, "digest": digest.FromBytes(root), "size": len(root),
				"annotations": jsonObject{annotationLegacyName: name},
			}},
		}
		if artifactType != "" {
			m["artifactType"] = artifactType
		}
		return encode(t, m)
	}
	b, err := ParseBundle(manifest("", "1.root.json", MediaTypeMetadata))
	if err != nil || !b.Legacy || b.Layout != "" || len(b.Files) != 1 || b.Files[0].Title != "metadata/1.root.json" {
		t.Errorf("got %+v, %v", b, err)
	}
	if b, err = ParseBundle(manifest("", "ab.file", MediaTypeTarget)); err != nil || b.Files[0].Title != "targets/ab.file" {
		t.Errorf("target: %v", err)
	}
	refuse(t, manifest("", "../x.json", MediaTypeMetadata), ErrMalformed, "title")
	refuse(t, manifest("", "x.json", "application/json"), ErrMalformed, "media type")
	refuse(t, manifest("application/x", "1.root.json", MediaTypeMetadata), ErrForeign, "")
}

func FuzzParseBundle(f *testing.F) {
	for _, layout := range []Layout{LayoutDefault, LayoutNoData, LayoutGitLab} {
		b, _, err := Pack(someFiles(), PackOptions{Layout: layout, Partial: layout == LayoutGitLab})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b.Manifest)
		f.Add(bytes.Replace(b.Manifest, []byte("targets/"), []byte("targets/../"), 1))
	}
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[]}`))
	f.Add(fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"x","digest":%q,"size":1},"layers":[{"mediaType":%q,"digest":%q,"size":2,"annotations":{"tuf.io/filename":"1.root.json"}}]}`,
		ocispec.MediaTypeImageManifest, someDigest, MediaTypeMetadata, someDigest))
	f.Fuzz(func(t *testing.T, manifest []byte) {
		b, err := ParseBundle(manifest)
		if err != nil {
			if b != nil {
				t.Error("a bundle beside an error")
			}
			return
		}
		if b.Descriptor.Digest != digest.FromBytes(manifest) || !bytes.Equal(b.Manifest, manifest) || len(b.Files) == 0 {
			t.Error("a bundle that is not the manifest")
		}
		var again []Content
		for _, file := range b.Files {
			if validateTitle(file.Title) != nil || validateDigest(file.Descriptor.Digest) != nil {
				t.Errorf("file %+v", file)
			}
			data, _ := b.Inline(file.Title)
			if data != nil && digest.FromBytes(data) != file.Descriptor.Digest {
				t.Errorf("%s: inline data of another digest", file.Title)
			}
			again = append(again, Content{Title: file.Title, Digest: file.Descriptor.Digest, Size: file.Descriptor.Size, Data: data})
		}
		if packed, _, err := Pack(again, PackOptions{}); err != nil || !packed.SameContent(b) {
			t.Errorf("packed again: %v", err)
		}
	})
}
