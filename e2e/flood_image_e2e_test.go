//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/material"
)

// largest is the size of a manifest that is read, in bytes.
const largest = 4 << 20

// imageFlood is what a registry sends of an image, and of what refers to it, to a
// client that asks below /v2/shop/api; false: the truth.
type imageFlood struct {
	name   string
	answer func(w *ways) func(out http.ResponseWriter, r *http.Request) bool
}

func imageFloods() []imageFlood {
	return []imageFlood{
		{"an index of the largest size", func(*ways) func(http.ResponseWriter, *http.Request) bool {
			index := `{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[` + manyDescriptors(largest/210, "") + `]}`
			return answering("/manifests/1", ocispec.MediaTypeImageIndex, func(string) []byte { return []byte(index) })
		}},
		{"referrers on pages without end", func(*ways) func(http.ResponseWriter, *http.Request) bool {
			page := []byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[` + manyDescriptors(8000, material.SignatureType) + `]}`)
			return func(out http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/referrers/") {
					return false
				}
				out.Header().Set("Link", `<`+r.URL.Path+`?n=`+fmt.Sprint(len(r.URL.RawQuery)+1)+`>; rel="next"`)
				return send(out, ocispec.MediaTypeImageIndex, page)
			}
		}},
		{"referrers that are empty", func(*ways) func(http.ResponseWriter, *http.Request) bool {
			page := []byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[{}` + strings.Repeat(",{}", largest/3-100) + `]}`)
			return answering("/referrers/", ocispec.MediaTypeImageIndex, func(string) []byte { return page })
		}},
		{"signatures with manifests of the largest size", func(w *ways) func(http.ResponseWriter, *http.Request) bool {
			return manySignatures(w, 60, func(m map[string]any) {
				m["annotations"] = map[string]string{"filler": strings.Repeat("a", largest-2048)}
			}, []byte("{}"))
		}},
		{"signatures with envelopes of the largest size", func(w *ways) func(http.ResponseWriter, *http.Request) bool {
			envelope := `{"payload":"","protected":"","signature":"","header":{"x5c":[` + strings.Repeat(`"",`, (256<<10)/3-100) + `""]}}`
			return manySignatures(w, 60, func(map[string]any) {}, []byte(envelope))
		}},
		{"tags without end", func(*ways) func(http.ResponseWriter, *http.Request) bool {
			var tags []string
			for i := range 200_000 {
				tags = append(tags, fmt.Sprintf("%x", i))
			}
			page, _ := json.Marshal(map[string]any{"name": "shop/api", "tags": tags})
			return func(out http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/tags/list") {
					return false
				}
				out.Header().Set("Link", `<`+r.URL.Path+`?last=`+fmt.Sprint(len(r.URL.RawQuery))+`>; rel="next"`)
				return send(out, "application/json", page)
			}
		}},
	}
}

// manyDescriptors are entries of an index.
func manyDescriptors(n int, artifactType string) string {
	var entries []string
	for i := range n {
		entries = append(entries, fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%064x","size":2,"artifactType":%q}`, ocispec.MediaTypeImageManifest, i, artifactType))
	}
	return strings.Join(entries, ",")
}

func send(out http.ResponseWriter, mediaType string, body []byte) bool {
	out.Header().Set("Content-Type", mediaType)
	_, _ = out.Write(body)
	return true
}

// answering answers requests whose path has this in it.
func answering(part, mediaType string, body func(path string) []byte) func(http.ResponseWriter, *http.Request) bool {
	return func(out http.ResponseWriter, r *http.Request) bool {
		return strings.Contains(r.URL.Path, part) && send(out, mediaType, body(r.URL.Path))
	}
}

// manySignatures lists so many signatures of the image, each with a manifest of its
// own and one envelope for all.
func manySignatures(w *ways, n int, edit func(manifest map[string]any), envelope []byte) func(http.ResponseWriter, *http.Request) bool {
	served := map[string][]byte{tuftest.Digest(envelope): envelope, tuftest.Digest([]byte("{}")): []byte("{}")}
	var list []any
	for i := range n {
		manifest := map[string]any{
			"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest, "artifactType": material.SignatureType,
			"config":  map[string]any{"mediaType": material.SignatureType, "digest": tuftest.Digest([]byte("{}")), "size": 2},
			"layers":  []any{map[string]any{"mediaType": "application/jose+json", "digest": tuftest.Digest(envelope), "size": len(envelope)}},
			"subject": w.index, "number": i,
		}
		edit(manifest)
		data := good(json.Marshal(manifest))
		served[tuftest.Digest(data)] = data
		list = append(list, map[string]any{
			"mediaType": ocispec.MediaTypeImageManifest, "digest": tuftest.Digest(data), "size": len(data), "artifactType": material.SignatureType,
		})
	}
	index := good(json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageIndex, "manifests": list}))
	return func(out http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/referrers/") {
			return send(out, ocispec.MediaTypeImageIndex, index)
		}
		data, ok := served[filepath.Base(r.URL.Path)]
		return ok && send(out, ocispec.MediaTypeImageManifest, data)
	}
}

// TestImageFloods holds all that deals with images to its memory and its deadline,
// whatever their registry sends.
func TestImageFloods(t *testing.T) {
	t.Parallel()
	f := newFloods(t)
	if f == nil {
		return
	}
	operations := []operation{
		{name: "verify", args: []string{"verify", "$HOST/shop/api:1"}},
		{name: "discover", args: []string{"discover", "$HOST/shop/api:1"}},
		{name: "copy", args: []string{"mirror", "copy", "$SOURCE", "oci-layout:$OUT", "--root", "$ROOT", "--image", "$HOST/shop/api:1"}},
	}
	for _, flood := range imageFloods() {
		t.Run(flood.name, func(t *testing.T) {
			t.Parallel()
			w := newWays(t, tuftest.RegistryOptions{})
			w.sign(w.leaf, notationsign.Options{})
			w.person()
			v := &victim{floods: f, source: w.host + "/acme/trust", host: w.host, home: t.TempDir()}
			v.root = filepath.Join(v.home, "root.json")
			if err := os.WriteFile(v.root, w.repo.RootBytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			v.add(t, w.host+"/**", "mapping,signature")
			for _, o := range operations {
				v.must(t, o)
			}
			answer := flood.answer(w)
			w.registry.Intercept(func(out http.ResponseWriter, r *http.Request, next http.Handler) {
				if !strings.HasPrefix(r.URL.Path, "/v2/shop/api/") || !answer(out, r) {
					next.ServeHTTP(out, r)
				}
			})
			for _, o := range operations {
				v.suffer(t, o)
			}
		})
	}
}
