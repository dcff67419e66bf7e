package tuftest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Bundles are the lies that are told in manifests, inline layers and archives. They
// take no key: what is signed in them is what the repository has published.
func Bundles() []Lie {
	return slices.Concat(manifestLies(), oddManifestLies(), layerLies(), titleLies(), blobLies(), inlineLies(), archiveLies(), layoutLies())
}

// draft is a bundle on its way to become a lie.
type draft struct {
	t testing.TB
	// files by title, all of which the manifest lists to begin with.
	files map[string][]byte
	// manifest as it will be encoded, and what of that is sent.
	manifest map[string]any
	encoded  func(manifest []byte) []byte
	// mediaType is what the place says that the manifest is.
	mediaType string
	// blobs by digest; nil is one that is missing.
	blobs map[string][]byte
}

// bundleLie is a lie in a bundle, wherever bundles are held.
func bundleLie(name string, edit func(d *draft)) Lie {
	return Lie{Name: name, Kinds: BundleKinds, Tell: func(t testing.TB, p *Place, repo *Repo) {
		t.Helper()
		d := newDraft(t, repo)
		edit(d)
		d.putOut(p)
	}}
}

func newDraft(t testing.TB, repo *Repo) *draft {
	t.Helper()
	d := &draft{t: t, files: repo.Files(), mediaType: manifestType}
	b := Pack(t, d.files, PackOptions{Edit: func(manifest map[string]any) { d.manifest = manifest }})
	d.blobs = maps.Clone(b.Blobs)
	return d
}

// bytes of the manifest.
func (d *draft) bytes() []byte {
	d.t.Helper()
	encoded, err := json.Marshal(d.manifest)
	if err != nil {
		d.t.Fatal(err)
	}
	if d.encoded != nil {
		return d.encoded(encoded)
	}
	return encoded
}

func (d *draft) layers() []any { return d.manifest["layers"].([]any) }

// inline is the inline layer, the first one.
func (d *draft) inline() map[string]any { return d.layers()[0].(map[string]any) }

// file is the layer with a title.
func (d *draft) file(title string) map[string]any {
	d.t.Helper()
	for _, layer := range d.layers() {
		if annotations, ok := layer.(map[string]any)["annotations"].(map[string]any); ok && annotations[titleAnnotation] == title {
			return layer.(map[string]any)
		}
	}
	d.t.Fatalf("no layer %q", title)
	return nil
}

// timestamp is a layer that every client needs.
func (d *draft) timestamp() map[string]any { return d.file(timestampTitle) }

const timestampTitle = "metadata/timestamp.json"

// noInline takes the inline layer out, so that blobs are read.
func (d *draft) noInline() { d.manifest["layers"] = d.layers()[1:] }

// addFile adds a layer for bytes under a title.
func (d *draft) addFile(title string, data []byte) {
	kind := TargetType
	if strings.HasPrefix(title, "metadata/") {
		kind = MetadataType
	}
	d.blobs[Digest(data)] = data
	d.manifest["layers"] = append(d.layers(), map[string]any{
		"mediaType": kind, "digest": Digest(data), "size": len(data), "annotations": map[string]any{titleAnnotation: title},
	})
}

// putOut makes the place serve the draft. No registry would take most of them: there
// the answers are forged.
func (d *draft) putOut(p *Place) {
	d.t.Helper()
	manifest := d.bytes()
	if p.kind == InRegistry {
		p.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) { d.answer(w, r, manifest, next) })
		return
	}
	files := layoutFiles(d.t, &Bundle{Manifest: manifest, Digest: Digest(manifest)})
	files["index.json"] = layoutIndex(d.t, layoutEntry(d.mediaType, Digest(manifest), len(manifest)))
	for digest, data := range d.blobs {
		if data != nil {
			files[layoutBlob(d.t, digest)] = data
		}
	}
	d.t.Helper()
	p.putLayout(files)
}

// answer is that of a registry which has what the draft says.
func (d *draft) answer(w http.ResponseWriter, r *http.Request, manifest []byte, next http.Handler) {
	_, name, ok := strings.Cut(r.URL.Path, "/manifests/")
	if ok && (name == placeTag || name == Digest(manifest)) {
		w.Header().Set("Content-Type", d.mediaType)
		w.Header().Set("Docker-Content-Digest", Digest(manifest))
		w.Header().Set("Content-Length", strconv.Itoa(len(manifest)))
		_, _ = w.Write(manifest)
		return
	}
	if _, digest, ok := strings.Cut(r.URL.Path, "/blobs/"); ok {
		if data, ours := d.blobs[digest]; ours && data != nil {
			_, _ = w.Write(data)
			return
		} else if ours {
			http.NotFound(w, r)
			return
		}
	}
	next.ServeHTTP(w, r)
}

// putLayout writes the files of a layout to a place on disk.
func (p *Place) putLayout(files map[string][]byte) {
	p.t.Helper()
	if p.kind == InArchive {
		p.PutArchive(files)
		return
	}
	p.clear()
	WriteFiles(p.t, p.path, files)
}

// layoutEntry is an entry of index.json under the tag of a place.
func layoutEntry(mediaType, digest string, size int) map[string]any {
	return map[string]any{
		"mediaType": mediaType, "digest": digest, "size": size,
		"annotations": map[string]any{"org.opencontainers.image.ref.name": placeTag},
	}
}

func layoutIndex(t testing.TB, entries ...any) []byte {
	t.Helper()
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": entries})
	if err != nil {
		t.Fatal(err)
	}
	return index
}
