package tuftest

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// layerLies are told in the descriptors of layers.
func layerLies() []Lie {
	size := func(name string, value any) Lie {
		return bundleLie("layer-of-size-"+name, func(d *draft) { d.noInline(); d.timestamp()["size"] = value })
	}
	digest := func(name string, value string) Lie {
		return bundleLie("layer-with-a-digest-"+name, func(d *draft) { d.noInline(); d.timestamp()["digest"] = value })
	}
	return []Lie{
		size("ten", 10), size("a-terabyte", 1<<40), size("2-to-the-53", 1<<53), size("2-to-the-63-less-one", math.MaxInt64),
		size("in-text", "10"), size("with-an-exponent", 1e300),
		bundleLie("layer-without-a-size", func(d *draft) { delete(d.timestamp(), "size") }),
		bundleLie("layer-without-a-digest", func(d *draft) { delete(d.timestamp(), "digest") }),
		bundleLie("layer-without-a-media-type", func(d *draft) { delete(d.timestamp(), "mediaType") }),
		digest("of-sha512", "sha512:"+strings.Repeat("a", 128)),
		digest("of-md5", "md5:"+strings.Repeat("a", 32)),
		digest("in-capitals", "sha256:"+strings.Repeat("A", 64)),
		digest("too-short", "sha256:abcd"),
		digest("that-is-a-path", "sha256:../../../../etc/passwd"),
		digest("of-nothing-there", "sha256:"+strings.Repeat("a", 64)),
		bundleLie("metadata-layer-typed-as-a-target", func(d *draft) { d.timestamp()["mediaType"] = TargetType }),
		bundleLie("layer-of-an-image", func(d *draft) { d.timestamp()["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip" }),
		bundleLie("layer-with-foreign-urls", func(d *draft) {
			d.noInline()
			d.timestamp()["urls"] = []any{"http://elsewhere.invalid/x", "file:///etc/passwd"}
		}),
		bundleLie("missing-layer-with-foreign-urls", func(d *draft) {
			d.noInline()
			d.blobs[d.timestamp()["digest"].(string)] = nil
			d.timestamp()["urls"] = []any{"http://elsewhere.invalid/x"}
		}),
		bundleLie("data-in-a-layer-of-a-file", func(d *draft) { d.timestamp()["data"] = d.files[timestampTitle] }),
		bundleLie("one-blob-under-1000-titles", func(d *draft) {
			for i := range 1000 {
				d.addFile(fmt.Sprintf("targets/copy/%d", i), []byte("x"))
			}
		}),
		bundleLie("100000-layers", func(d *draft) { d.encoded = func([]byte) []byte { return hundredThousandLayers() } }),
		bundleLie("no-layers", func(d *draft) { d.manifest["layers"] = []any{} }),
		bundleLie("inline-layer-alone", func(d *draft) { d.manifest["layers"] = d.layers()[:1] }),
		bundleLie("inline-layer-at-the-end", func(d *draft) { d.manifest["layers"] = append(d.layers()[1:], d.layers()[0]) }),
		bundleLie("inline-layer-twice", func(d *draft) { d.manifest["layers"] = slices.Insert(d.layers(), 0, d.layers()[0]) }),
		bundleLie("inline-layer-with-a-title", func(d *draft) { d.inline()["annotations"] = map[string]any{titleAnnotation: "targets/x"} }),
		bundleLie("inline-layer-without-data", func(d *draft) { delete(d.inline(), "data") }),
		bundleLie("inline-layer-lost", func(d *draft) { delete(d.inline(), "data"); d.blobs[d.inline()["digest"].(string)] = nil }),
	}
}

// hundredThousandLayers is a manifest of that many, each as short as it may be, and so
// of much more than any limit.
func hundredThousandLayers() []byte {
	layer := fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":1,"annotations":{%q:"targets/%%d"}},`, TargetType, Digest([]byte("x")), titleAnnotation)
	var manifest strings.Builder
	fmt.Fprintf(&manifest, `{"schemaVersion":2,"mediaType":%q,"artifactType":%q,"annotations":{"io.tufoci.version":"1"},"config":{"mediaType":%q,"digest":%q,"size":2},"layers":[`,
		manifestType, BundleType, emptyType, Digest([]byte("{}")))
	for i := range 100_000 {
		fmt.Fprintf(&manifest, layer, i)
	}
	return []byte(strings.TrimSuffix(manifest.String(), ",") + "]}")
}

// titleLies are told in the titles of layers, which tools write as files.
func titleLies() []Lie {
	titled := func(name, title string) Lie {
		return bundleLie("title-"+name, func(d *draft) { d.addFile(title, []byte("x")) })
	}
	return []Lie{
		titled("empty", ""), titled("upwards", "targets/../../x"), titled("upwards-at-the-end", "targets/.."),
		titled("upwards-from-metadata", "metadata/../x.json"), titled("absolute", "/etc/passwd"), titled("of-a-drive", `C:\x`),
		titled("with-a-backslash", `targets/..\..\x`), titled("with-a-dot", "targets/./x"), titled("with-an-empty-part", "targets//x"),
		titled("of-a-directory", "targets/x/"), titled("with-a-line-break", "targets/a\nb"), titled("with-an-escape", "targets/\x1b[2J"),
		titled("with-a-c1-control", "targets/\u009b2J"), titled("with-nul", "targets/a\x00b"), titled("of-5000-bytes", "targets/"+strings.Repeat("x", 5000)),
		titled("in-another-directory", "other/x"), titled("outside-of-all", "x"), titled("of-metadata-in-a-directory", "metadata/a/b.json"),
		titled("of-metadata-that-is-no-json", "metadata/x"), titled("that-turns-text-around", "targets/\u202egnp.exe"),
		bundleLie("two-files-with-one-title", func(d *draft) { d.addFile("targets/x", []byte("1")); d.addFile("targets/x", []byte("2")) }),
		bundleLie("timestamp-twice", func(d *draft) { d.addFile(timestampTitle, []byte("{}")) }),
		bundleLie("one-title-twice-with-one-content", func(d *draft) { d.addFile("targets/x", []byte("1")); d.addFile("targets/x", []byte("1")) }),
		bundleLie("file-without-a-title", func(d *draft) { delete(d.timestamp(), "annotations") }),
		bundleLie("titles-out-of-order", func(d *draft) { d.noInline(); slices.Reverse(d.layers()) }),
		bundleLie("titles-out-of-order-with-an-inline-layer", func(d *draft) { slices.Reverse(d.layers()[1:]) }),
	}
}

// blobLies are told in blobs.
func blobLies() []Lie {
	blob := func(name string, change func(data []byte) []byte) Lie {
		return bundleLie("blob-"+name, func(d *draft) {
			d.noInline()
			digest := d.timestamp()["digest"].(string)
			d.blobs[digest] = change(slices.Clone(d.blobs[digest]))
		})
	}
	return []Lie{
		blob("missing", func([]byte) []byte { return nil }),
		blob("with-other-bytes", func(data []byte) []byte { data[len(data)/2] ^= 1; return data }),
		blob("one-byte-short", func(data []byte) []byte { return data[:len(data)-1] }),
		blob("one-byte-long", func(data []byte) []byte { return append(data, ' ') }),
		blob("empty", func([]byte) []byte { return []byte{} }),
		bundleLie("all-blobs-missing", func(d *draft) {
			d.noInline()
			for digest := range d.blobs {
				d.blobs[digest] = nil
			}
		}),
		{Name: "manifest-with-other-bytes-than-its-digest", Kinds: BundleKinds, Tell: tellOtherManifest},
		{Name: "manifest-missing", Kinds: []Kind{InLayout, InArchive}, Tell: tellNoManifest},
	}
}
