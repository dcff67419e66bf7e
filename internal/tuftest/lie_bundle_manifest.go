package tuftest

import (
	"bytes"
	"encoding/json"
	"strings"
)

// manifestLies are told about what a manifest is.
func manifestLies() []Lie {
	return append(ambiguousLies(),
		bundleLie("index-where-a-manifest-is-due", func(d *draft) { d.index(indexType, manifestType) }),
		bundleLie("index-of-an-index", func(d *draft) { d.index(indexType, indexType) }),
		bundleLie("docker-list-where-a-manifest-is-due", func(d *draft) {
			d.index("application/vnd.docker.distribution.manifest.list.v2+json", manifestType)
		}),
		bundleLie("index-served-as-a-manifest", func(d *draft) { d.index(indexType, manifestType); d.mediaType = manifestType }),
		bundleLie("manifest-served-as-an-index", func(d *draft) { d.mediaType = indexType }),
		bundleLie("index-and-manifest-in-one", func(d *draft) {
			d.manifest["manifests"] = []any{map[string]any{"mediaType": manifestType, "digest": Digest(nil), "size": 0}}
		}),
		bundleLie("image-where-a-bundle-is-due", func(d *draft) {
			delete(d.manifest, "artifactType")
			delete(d.manifest, "annotations")
			d.manifest["config"].(map[string]any)["mediaType"] = "application/vnd.oci.image.config.v1+json"
		}),
		bundleLie("docker-image-where-a-bundle-is-due", func(d *draft) {
			d.mediaType = "application/vnd.docker.distribution.manifest.v2+json"
			d.manifest["mediaType"] = d.mediaType
		}),
		bundleLie("artifact-of-another-kind", func(d *draft) { d.manifest["artifactType"] = "application/vnd.example" }),
		bundleLie("proposal-where-a-bundle-is-due", func(d *draft) { d.manifest["artifactType"] = "application/vnd.tufoci.proposal.v1" }),
		bundleLie("format-of-a-later-version", func(d *draft) { d.annotation("io.tufoci.version", "2") }),
		bundleLie("artifact-type-of-a-later-version", func(d *draft) { d.manifest["artifactType"] = "application/vnd.tufoci.bundle.v9" }),
		bundleLie("partial-bundle", func(d *draft) { d.annotation("io.tufoci.partial", "true") }),
		bundleLie("versions-in-annotations-that-lie", func(d *draft) {
			d.annotation("io.tufoci.timestamp.version", "999999")
			d.annotation("io.tufoci.root.version", "-1")
			d.annotation("io.tufoci.previous", "../../etc")
		}),
		bundleLie("annotations-of-two-mebibytes", func(d *draft) { d.annotation("x", strings.Repeat("a", 2<<20)) }),
		bundleLie("manifest-above-the-limit", func(d *draft) { d.annotation("x", strings.Repeat("a", 4<<20)) }),
		bundleLie("config-of-something-else", func(d *draft) { d.manifest["config"] = d.inline() }),
		bundleLie("subject-that-is-none", func(d *draft) { d.manifest["subject"] = map[string]any{"digest": "sha256:../x"} }),
		bundleLie("unknown-members", func(d *draft) { d.manifest["urls"] = []any{"http://elsewhere.invalid/"} }),
	)
}

// index puts an index in the place of the bundle, which it names.
func (d *draft) index(mediaType, childType string) {
	child := d.bytes()
	d.blobs[Digest(child)] = child
	d.mediaType = mediaType
	d.manifest = map[string]any{
		"schemaVersion": 2, "mediaType": mediaType,
		"manifests": []any{map[string]any{"mediaType": childType, "digest": Digest(child), "size": len(child)}},
	}
}

func (d *draft) annotation(key, value string) {
	d.manifest["annotations"].(map[string]any)[key] = value
}

// ambiguousLies are manifests that two JSON parsers may read differently, or none.
func ambiguousLies() []Lie {
	raw := func(name string, change func(manifest []byte) []byte) Lie {
		return bundleLie("manifest-"+name, func(d *draft) { d.encoded = change })
	}
	first := func(members string) func([]byte) []byte {
		return func(m []byte) []byte { return append([]byte("{"+members+","), m[1:]...) }
	}
	return []Lie{
		raw("with-a-member-twice", first(`"layers":[]`)),
		raw("with-a-member-twice-in-capitals", first(`"Layers":[]`)),
		raw("with-a-member-twice-by-an-escape", first(`"\u006cayers":[]`)),
		raw("nested-a-million-deep", first(`"x":`+strings.Repeat("[", 1<<20)+strings.Repeat("]", 1<<20))),
		raw("with-a-number-of-a-million-digits", first(`"x":`+strings.Repeat("1", 1<<20))),
		raw("with-data-after-it", func(m []byte) []byte { return append(m, "{}"...) }),
		raw("with-zeros-after-it", func(m []byte) []byte { return append(m, 0, 0) }),
		raw("with-a-byte-order-mark", func(m []byte) []byte { return append([]byte("\xef\xbb\xbf"), m...) }),
		raw("with-invalid-utf-8", func(m []byte) []byte { return bytes.Replace(m, []byte("io.tufoci"), []byte("io.\xfftufoci"), 1) }),
		raw("cut-off", func(m []byte) []byte { return m[:len(m)/2] }),
		raw("empty", func([]byte) []byte { return nil }),
		raw("that-is-a-list", func(m []byte) []byte { return []byte("[" + string(m) + "]") }),
		raw("that-is-a-page", func([]byte) []byte { return []byte("<html>sign in</html>") }),
		raw("indented", func(m []byte) []byte { return append(append([]byte(" \n\t"), m...), '\n') }),
	}
}

// oddManifestLies put one odd value at every position of a manifest in turn: a lie for
// each, whose bundle is bad if one of the positions takes it.
func oddManifestLies() []Lie {
	type position struct {
		name string
		set  func(d *draft, value any)
	}
	positions := []position{
		{"config", func(d *draft, v any) { d.manifest["config"] = v }},
		{"layers", func(d *draft, v any) { d.manifest["layers"] = v }},
		{"inline-layer", func(d *draft, v any) { d.layers()[0] = v }},
		{"last-layer", func(d *draft, v any) { d.layers()[len(d.layers())-1] = v }},
		{"inline-data", func(d *draft, v any) { d.inline()["data"] = v }},
		{"title", func(d *draft, v any) { d.timestamp()["annotations"].(map[string]any)[titleAnnotation] = v }},
		{"format-version", func(d *draft, v any) { d.manifest["annotations"].(map[string]any)["io.tufoci.version"] = v }},
	}
	for _, member := range []string{"schemaVersion", "mediaType", "artifactType", "annotations"} {
		positions = append(positions, position{member, func(d *draft, v any) { d.manifest[member] = v }})
	}
	for _, member := range []string{"mediaType", "digest", "size", "annotations", "data"} {
		positions = append(positions, position{"layer-" + member, func(d *draft, v any) { d.timestamp()[member] = v }})
	}
	var lies []Lie
	for _, at := range positions {
		for _, odd := range OddValues() {
			lies = append(lies, bundleLie("odd-"+strings.ToLower(at.name)+"-"+odd.Name, func(d *draft) { at.set(d, json.RawMessage(odd.Text)) }))
		}
	}
	return lies
}
