package tuftest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The largest that clients read, in bytes: what a flood fills.
const (
	largestManifest  = 4 << 20
	largestRoot      = 512 << 10
	largestTimestamp = 64 << 10
	// largestUnknown is a role of which nothing says how long it is.
	largestUnknown = 1 << 20
)

// Floods are lies that cost memory or time: large, very many, slow. Anybody who can
// write to the source, or stands before it, can tell them. Those of roles below
// timestamp need a repository with BareMeta to be believed as far as to be read.
func Floods() []Lie {
	return slices.Concat(manifestFloods(), fileFloods(), indexFloods())
}

// manifestFloods fill a manifest.
func manifestFloods() []Lie {
	fill := func(name string, edit func(manifest map[string]any, room int)) Lie {
		return Lie{Name: name, Kinds: BundleKinds, Tell: func(t testing.TB, p *Place, repo *Repo) {
			t.Helper()
			putFilled(t, p, repo.Files(), edit)
		}}
	}
	return []Lie{
		fill("layers-as-many-as-fit", func(manifest map[string]any, room int) {
			layers := manifest["layers"].([]any)
			manifest["layers"] = append(layers[:len(layers):len(layers)], manyLayers(room)...)
		}),
		fill("layers-by-the-thousand", func(manifest map[string]any, room int) {
			layers := manifest["layers"].([]any)
			manifest["layers"] = append(layers[:len(layers):len(layers)], manyLayers(room)[:10_000]...)
		}),
		fill("layers-that-are-empty", func(manifest map[string]any, room int) {
			manifest["layers"] = repeated("{}", room)
		}),
		fill("layers-that-are-numbers", func(manifest map[string]any, room int) {
			manifest["layers"] = repeated("0", room)
		}),
		fill("annotations-as-many-as-fit", func(manifest map[string]any, room int) {
			manifest["annotations"] = numbered(`"io.tufoci.version":"1"`, `""`, room)
		}),
		fill("an-annotation-as-long-as-fits", func(manifest map[string]any, room int) {
			manifest["annotations"].(map[string]any)["long"] = strings.Repeat("a", room)
		}),
		fill("a-title-as-long-as-fits", func(manifest map[string]any, room int) {
			layers := manifest["layers"].([]any)
			layer := layers[len(layers)-1].(map[string]any)
			layer["annotations"] = map[string]any{titleAnnotation: "targets/" + strings.Repeat("a", room)}
		}),
		fill("a-layer-of-annotations", func(manifest map[string]any, room int) {
			layers := manifest["layers"].([]any)
			layers[len(layers)-1].(map[string]any)["annotations"] = numbered(`"`+titleAnnotation+`":"targets/a"`, `""`, room)
		}),
		fill("members-as-many-as-fit", func(manifest map[string]any, room int) {
			manifest["more"] = numbered(`"0":0`, `0`, room)
		}),
		fill("arrays-in-arrays", func(manifest map[string]any, room int) {
			const deep = 9000 // as far as it can be encoded
			manifest["more"] = repeated(strings.Repeat("[", deep)+strings.Repeat("]", deep), room)
		}),
		{Name: "an-inline-layer-of-one-large-file", Kinds: BundleKinds, Tell: func(t testing.TB, p *Place, repo *Repo) {
			t.Helper()
			files := repo.Files()
			files["targets/zeros"] = make([]byte, 15<<20)
			putBundle(t, p, Pack(t, files, PackOptions{Inline: []string{"targets/zeros"}}))
		}},
		{Name: "an-inline-layer-of-many-files", Kinds: BundleKinds, Tell: func(t testing.TB, p *Place, repo *Repo) {
			t.Helper()
			files := repo.Files()
			var titles []string
			for i := range 12_000 {
				title := "targets/" + strconv.Itoa(i)
				files[title], titles = []byte{0}, append(titles, title)
			}
			putBundle(t, p, Pack(t, files, PackOptions{Inline: titles}))
		}},
	}
}

// largestIndex is the largest index.json that is read, in bytes.
const largestIndex = 4 << 20

// indexFloods fill the index of a layout.
func indexFloods() []Lie {
	fill := func(name string, entry func(i int) string) Lie {
		return Lie{Name: name, Kinds: []Kind{InLayout, InArchive}, Tell: func(t testing.TB, p *Place, repo *Repo) {
			t.Helper()
			files := layoutFiles(t, Pack(t, repo.Files(), PackOptions{}))
			first, ok := strings.CutSuffix(string(files["index.json"]), "]}")
			if !ok {
				first, _, ok = strings.Cut(string(files["index.json"]), "],")
			}
			if !ok {
				t.Fatalf("index.json: %s", files["index.json"])
			}
			var index strings.Builder
			index.WriteString(first)
			for i := 0; index.Len() < largestIndex-1024; i++ {
				index.WriteString("," + entry(i))
			}
			index.WriteString(`],"schemaVersion":2}`)
			files["index.json"] = []byte(index.String())
			if p.Kind() == InArchive {
				p.PutArchive(files)
				return
			}
			p.write(filepath.Join(p.Path(), "index.json"), files["index.json"])
		}}
	}
	return []Lie{
		fill("an-index-of-manifests", func(i int) string {
			return fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%064x","size":2,"annotations":{"org.opencontainers.image.ref.name":"%x"}}`, manifestType, i, i)
		}),
		fill("an-index-of-annotations", func(i int) string {
			return fmt.Sprintf(`{"annotations":%s}`, numbered(`"0":"a name that is not short"`, `"a name that is not short"`, 8<<10))
		}),
	}
}

// putFilled puts out files in a bundle with a manifest of the largest size. edit
// fills the room that is left.
func putFilled(t testing.TB, p *Place, files map[string][]byte, edit func(manifest map[string]any, room int)) {
	t.Helper()
	room := largestManifest - len(Pack(t, files, PackOptions{}).Manifest) - 1024
	b := Pack(t, files, PackOptions{Edit: func(manifest map[string]any) { edit(manifest, room) }})
	if len(b.Manifest) > largestManifest {
		t.Fatalf("a manifest of %d bytes", len(b.Manifest))
	}
	putBundle(t, p, b)
}

// putBundle puts out a bundle that no registry has to accept.
func putBundle(t testing.TB, p *Place, b *Bundle) {
	t.Helper()
	if p.Kind() != InRegistry {
		p.PutBundle(b)
		return
	}
	bodies := map[string]body{}
	for digest, data := range b.Blobs {
		bodies[digest] = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }
	}
	p.Intercept(answerBundle(p, b.Manifest, bodies))
}

// body writes what a digest, or a path, is answered with.
type body func(w http.ResponseWriter, r *http.Request)

// answerBundle stands before a registry: the tag has this manifest, and blobs these
// bodies.
func answerBundle(p *Place, manifest []byte, blobs map[string]body) func(w http.ResponseWriter, r *http.Request, next http.Handler) {
	digest := Digest(manifest)
	below := "/v2/" + p.Repository()
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		switch r.URL.Path {
		case below + "/manifests/" + p.Tag(), below + "/manifests/" + digest:
			w.Header().Set("Content-Type", manifestType)
			w.Header().Set("Docker-Content-Digest", digest)
			w.Header().Set("Content-Length", strconv.Itoa(len(manifest)))
			_, _ = w.Write(manifest)
			return
		}
		if answer, ok := blobs[path.Base(r.URL.Path)]; ok && path.Dir(r.URL.Path) == below+"/blobs" {
			answer(w, r)
			return
		}
		next.ServeHTTP(w, r)
	}
}

// repeated is an array of as many of one value as fit.
func repeated(value string, room int) json.RawMessage {
	n := room / (len(value) + 1)
	return json.RawMessage("[" + strings.Repeat(value+",", n-1) + value + "]")
}

// numbered is an object of one member, and as many more of one value as fit.
func numbered(first, value string, room int) json.RawMessage {
	var out strings.Builder
	out.WriteString("{" + first)
	for i := 1; ; i++ {
		member := fmt.Sprintf(`,"%x":%s`, i, value)
		if out.Len()+len(member)+1 > room {
			out.WriteString("}")
			return json.RawMessage(out.String())
		}
		out.WriteString(member)
	}
}

// manyLayers are as many as fit, each of another file.
func manyLayers(room int) []any {
	var layers []any
	for i := 0; ; i++ {
		layer := map[string]any{
			"mediaType": TargetType, "digest": Digest(nil), "size": 0,
			"annotations": map[string]any{titleAnnotation: "targets/" + strconv.FormatInt(int64(i), 36)},
		}
		encoded, _ := json.Marshal(layer)
		if room -= len(encoded) + 1; room < 0 {
			return layers
		}
		layers = append(layers, layer)
	}
}

// fileFloods fill, or multiply, the files of a repository.
func fileFloods() []Lie {
	// put puts out a repository with one role that nobody signed.
	put := func(name, role string, data func(repo *Repo, version int64) []byte) Lie {
		return Lie{Name: name, Tell: func(t testing.TB, p *Place, repo *Repo) {
			t.Helper()
			fork := repo.Fork()
			version := fork.role(role).version
			if role == "root" {
				version++
				fork.roots = append(fork.roots, data(repo, version))
			} else {
				fork.data[role] = data(repo, version)
			}
			p.Put(fork.Files(), PackOptions{})
		}}
	}
	unsigned := func(role string, most int, fill func(signed map[string]any, room int)) func(repo *Repo, version int64) []byte {
		return func(repo *Repo, version int64) []byte { return filledRole(repo, role, version, most, fill) }
	}
	return []Lie{
		put("a-root-of-keys", "root", unsigned("root", largestRoot, func(signed map[string]any, room int) {
			signed["keys"] = numbered(`"0":{"keytype":"","scheme":"","keyval":{"public":""}}`, `{"keytype":"","scheme":"","keyval":{"public":""}}`, room)
		})),
		put("a-root-of-values", "root", unsigned("root", largestRoot, func(signed map[string]any, room int) {
			signed["more"] = repeated("{}", min(room, 3*60_000))
		})),
		put("a-root-of-signatures", "root", func(repo *Repo, version int64) []byte {
			return signedOften(repo, "root", version, largestRoot)
		}),
		put("a-timestamp-of-values", "timestamp", unsigned("timestamp", largestTimestamp, func(signed map[string]any, room int) {
			signed["more"] = repeated("{}", room)
		})),
		put("a-timestamp-of-files", "timestamp", unsigned("timestamp", largestTimestamp, func(signed map[string]any, room int) {
			signed["meta"] = numbered(`"snapshot.json":{"version":1}`, `{"version":1}`, room)
		})),
		put("a-snapshot-of-files", "snapshot", unsigned("snapshot", largestUnknown, func(signed map[string]any, room int) {
			signed["meta"] = numbered(`"targets.json":{"version":1}`, `{"version":1}`, room)
		})),
		put("a-snapshot-of-hashes", "snapshot", unsigned("snapshot", largestUnknown, func(signed map[string]any, room int) {
			signed["meta"] = map[string]any{"targets.json": map[string]any{"version": 1, "length": 1, "hashes": numbered(`"sha256":"00"`, `"00"`, room-100)}}
		})),
		put("a-targets-of-entries", "targets", unsigned("targets", largestUnknown, func(signed map[string]any, room int) {
			signed["targets"] = numbered(`"0":{"length":0,"hashes":{"a":"00"}}`, `{"length":0,"hashes":{"a":"00"}}`, room)
		})),
		put("a-targets-of-delegations", "targets", unsigned("targets", largestUnknown, func(signed map[string]any, room int) {
			var roles []any
			for i := range room / 90 {
				roles = append(roles, map[string]any{"name": strconv.FormatInt(int64(i), 36), "keyids": []string{}, "threshold": 1, "terminating": false, "paths": []string{"*"}})
			}
			signed["delegations"] = map[string]any{"keys": map[string]any{}, "roles": roles}
		})),
		put("a-delegated-role-of-entries", "team", unsigned("team", largestUnknown, func(signed map[string]any, room int) {
			signed["targets"] = numbered(`"0":{"length":0,"hashes":{"a":"00"}}`, `{"length":0,"hashes":{"a":"00"}}`, room)
		})),
		put("a-targets-of-values", "targets", unsigned("targets", largestUnknown, func(signed map[string]any, room int) {
			signed["more"] = repeated("{}", room/8)
		})),
		{Name: "files-that-nobody-signed", Kinds: []Kind{InRegistry}, Tell: tellManyFiles},
		{Name: "roles-that-nobody-signed", Kinds: []Kind{InLayout}, Tell: tellManyRoles},
		{Name: "roots-that-wait-for-one", Kinds: []Kind{InRegistry}, Tell: tellManyRoots},
		{Name: "a-manifest-that-trickles", Kinds: []Kind{InRegistry}, Tell: func(t testing.TB, p *Place, repo *Repo) {
			t.Helper()
			manifest := Pack(t, repo.Files(), PackOptions{}).Manifest
			below := "/v2/" + p.Repository() + "/manifests/"
			p.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Path, below) {
					next.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", manifestType)
				trickle(w, r, manifest)
			})
		}},
		{Name: "a-timestamp-that-trickles", Kinds: []Kind{OverHTTP}, Tell: func(t testing.TB, p *Place, repo *Repo) {
			t.Helper()
			p.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if path.Base(r.URL.Path) != "timestamp.json" {
					next.ServeHTTP(w, r)
					return
				}
				trickle(w, r, repo.Data("timestamp"))
			})
		}},
	}
}

// filledRole is an unsigned file of a role, otherwise as published, filled up to most
// bytes.
func filledRole(repo *Repo, role string, version int64, most int, fill func(signed map[string]any, room int)) []byte {
	repo.t.Helper()
	file, err := rawNumbers(repo.Data(role))
	if err != nil {
		repo.t.Fatalf("role %q: %v", role, err)
	}
	signed := file["signed"].(map[string]any)
	signed["version"] = version
	plain, err := json.Marshal(file)
	if err != nil {
		repo.t.Fatal(err)
	}
	fill(signed, most-len(plain)-64)
	data, err := json.Marshal(file)
	if err != nil {
		repo.t.Fatal(err)
	}
	if len(data) > most {
		repo.t.Fatalf("role %q: %d bytes", role, len(data))
	}
	return data
}

// signedOften is a file of a role with as many signatures as fit, none of them good.
func signedOften(repo *Repo, role string, version int64, most int) []byte {
	repo.t.Helper()
	file, err := rawNumbers(repo.Data(role))
	if err != nil {
		repo.t.Fatalf("role %q: %v", role, err)
	}
	file["signed"].(map[string]any)["version"] = version
	plain, err := json.Marshal(file["signed"])
	if err != nil {
		repo.t.Fatal(err)
	}
	var signatures []any
	for room := most - len(plain) - 256; room > 0; room -= 40 {
		signatures = append(signatures, map[string]any{"keyid": strconv.Itoa(len(signatures)), "sig": "00"})
	}
	file["signatures"] = signatures
	data, err := json.Marshal(file)
	if err != nil {
		repo.t.Fatal(err)
	}
	if len(data) > most {
		repo.t.Fatalf("role %q: %d bytes", role, len(data))
	}
	return data
}

// manyRoots is how many roots follow in roots-that-wait-for-one.
const manyRoots = 600

// junkRoots are the digests of roots of the largest size. Each is its number, and
// zeros.
var junkRoots = sync.OnceValue(func() []string {
	digests := make([]string, manyRoots)
	for i := range digests {
		sum := sha256.Sum256(junkRoot(i))
		digests[i] = "sha256:" + hex.EncodeToString(sum[:])
	}
	return digests
})

func junkRoot(i int) []byte {
	data := make([]byte, largestRoot)
	binary.BigEndian.PutUint64(data, uint64(i))
	return data
}

// tellManyRoots lists very many roots, of which the next one trickles and all others
// come at once.
func tellManyRoots(t testing.TB, p *Place, repo *Repo) {
	t.Helper()
	b := Pack(t, repo.Files(), PackOptions{Edit: func(manifest map[string]any) {
		layers := manifest["layers"].([]any)
		for i, digest := range junkRoots() {
			layers = append(layers, map[string]any{
				"mediaType": MetadataType, "digest": digest, "size": largestRoot,
				"annotations": map[string]any{titleAnnotation: fmt.Sprintf("metadata/%d.root.json", len(repo.roots)+1+i)},
			})
		}
		manifest["layers"] = layers
	}})
	bodies := map[string]body{}
	for digest, data := range b.Blobs {
		bodies[digest] = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }
	}
	for i, digest := range junkRoots() {
		bodies[digest] = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(largestRoot))
			if i == 0 {
				trickle(w, r, junkRoot(i))
				return
			}
			_, _ = w.Write(junkRoot(i))
		}
	}
	p.Intercept(answerBundle(p, b.Manifest, bodies))
}

// tellManyFiles lists very many large files, target files and roles, that no role
// lists, under the digests that they have.
func tellManyFiles(t testing.TB, p *Place, repo *Repo) {
	t.Helper()
	const files, size = 40, 8 << 20
	bodies := map[string]body{}
	b := Pack(t, repo.Files(), PackOptions{Edit: func(manifest map[string]any) {
		layers := manifest["layers"].([]any)
		for i := range files {
			data := make([]byte, size)
			binary.BigEndian.PutUint64(data, uint64(i))
			sum := sha256.Sum256(data)
			digest := "sha256:" + hex.EncodeToString(sum[:])
			kind, title := TargetType, fmt.Sprintf("targets/%d", i)
			if i%2 == 0 {
				kind, title = MetadataType, fmt.Sprintf("metadata/1.role%d.json", i)
			}
			layers = append(layers, map[string]any{
				"mediaType": kind, "digest": digest, "size": size, "annotations": map[string]any{titleAnnotation: title},
			})
			bodies[digest] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", strconv.Itoa(size))
				head := make([]byte, 8)
				binary.BigEndian.PutUint64(head, uint64(i))
				_, _ = w.Write(head)
				zeros := make([]byte, 32<<10)
				for left := size - len(head); left > 0; left -= len(zeros) {
					if _, err := w.Write(zeros[:min(left, len(zeros))]); err != nil {
						return
					}
				}
			}
		}
		manifest["layers"] = layers
	}})
	for digest, data := range b.Blobs {
		bodies[digest] = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }
	}
	p.Intercept(answerBundle(p, b.Manifest, bodies))
}

// tellManyRoles puts out roles that nobody delegates to, all different, as long as may be
// read of what nothing is stated of, and full of names.
func tellManyRoles(t testing.TB, p *Place, repo *Repo) {
	t.Helper()
	files := repo.Files()
	for i := range 100 {
		files[fmt.Sprintf("metadata/1.role%d.json", i)] = filledRole(repo, "targets", 1, largestUnknown, func(signed map[string]any, room int) {
			var roles []any
			for n := range room / 200 {
				roles = append(roles, map[string]any{
					"name": fmt.Sprintf("%0100d-%d", n, i), "keyids": []string{}, "threshold": 1, "terminating": false, "paths": []string{"*"},
				})
			}
			signed["delegations"] = map[string]any{"keys": map[string]any{}, "roles": roles}
		})
	}
	p.Put(files, PackOptions{})
}

// trickle writes data fast enough to be no stall, and for as long as anybody waits.
func trickle(w http.ResponseWriter, r *http.Request, data []byte) {
	flusher := http.NewResponseController(w)
	const step = 64
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; i < len(data); i += step {
		if _, err := w.Write(data[i:min(i+step, len(data))]); err != nil || flusher.Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
	<-r.Context().Done()
}
