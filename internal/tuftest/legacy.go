package tuftest

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"
)

// legacyAnnotation names a file in the older layout.
const legacyAnnotation = "tuf.io/filename"

// PushLegacy stores what is published in the older layout of docker/attest: top-level
// metadata under the tag of one manifest, a manifest under each role's own name
// for delegated roles, and target files in another repository ("" leaves them
// out), each under its file name, for delegated roles in an index of the role's
// name.
func (g *Registry) PushLegacy(repository, tag, targets string, r *Repo) {
	g.t.Helper()
	files := r.Files()
	top := map[string][]byte{}
	for _, title := range slices.Sorted(maps.Keys(files)) {
		name, ok := strings.CutPrefix(title, "metadata/")
		if !ok {
			continue
		}
		if role := r.delegatedTitle(title); role != "" {
			g.putLegacy(repository, role, map[string][]byte{name: files[title]}, MetadataType)
			continue
		}
		top[name] = files[title]
	}
	g.putLegacy(repository, tag, top, MetadataType)
	if targets == "" {
		return
	}
	for _, role := range r.Roles() {
		g.pushLegacyTargets(targets, role, r.targetFiles(role))
	}
}

// delegatedTitle is the delegated role whose file has this title, or "".
func (r *Repo) delegatedTitle(title string) string {
	for name := range r.roles {
		if !slices.Contains(topLevel, name) && r.Title(name) == title {
			return name
		}
	}
	return ""
}

// targetFiles are the files that one role lists, by title.
func (r *Repo) targetFiles(roleName string) map[string][]byte {
	r.t.Helper()
	files := map[string][]byte{}
	for name, entry := range r.role(roleName).targets {
		if title, data, ok := r.file(name, entry); ok {
			files[title] = data
		}
	}
	return files
}

// pushLegacyTargets stores the target files of one role.
func (g *Registry) pushLegacyTargets(repository, role string, files map[string][]byte) {
	g.t.Helper()
	var entries []any
	for _, title := range slices.Sorted(maps.Keys(files)) {
		file := strings.TrimPrefix(title, "targets/")
		layer := map[string][]byte{path.Base(file): files[title]}
		if role == "targets" {
			g.putLegacy(repository, file, layer, TargetType)
			continue
		}
		manifest := g.putLegacy(repository, "", layer, TargetType)
		entries = append(entries, map[string]any{
			"mediaType": manifestType, "digest": Digest(manifest), "size": len(manifest),
			"annotations": map[string]any{legacyAnnotation: file},
		})
	}
	if len(entries) == 0 {
		return
	}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": entries})
	if err != nil {
		g.t.Fatal(err)
	}
	g.put(repository, role, indexType, index)
}

// putLegacy stores a manifest of the older layout under a tag, or under its
// digest when tag is "".
func (g *Registry) putLegacy(repository, tag string, files map[string][]byte, mediaType string) []byte {
	g.t.Helper()
	bundle := &Bundle{Blobs: map[string][]byte{}}
	layers := make([]any, 0, len(files))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		layer := bundle.add(mediaType, files[name])
		layer["annotations"] = map[string]any{legacyAnnotation: name}
		layers = append(layers, layer)
	}
	config := bundle.add(emptyType, []byte("{}"))
	config["data"] = []byte("{}")
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": layers})
	if err != nil {
		g.t.Fatal(err)
	}
	for _, data := range bundle.Blobs {
		g.PutBlob(repository, data)
	}
	if tag == "" {
		tag = Digest(manifest)
	}
	g.put(repository, tag, manifestType, manifest)
	return manifest
}
