package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

// shelf is a registry with images.
type shelf struct {
	*tuftest.Registry
	t testing.TB
}

func newShelf(t testing.TB) *shelf {
	t.Helper()
	return &shelf{tuftest.NewRegistry(t, tuftest.RegistryOptions{}), t}
}

// manifest is that of an image; name makes it differ from others.
func manifest(name string) []byte {
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":2},"layers":[],"annotations":{"name":%q}}`,
		ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, tuftest.Digest([]byte("{}")), name)
}

// put stores a manifest under a tag, "" for none, and returns its digest.
func (s *shelf) put(repository, tag string, data []byte) string {
	s.t.Helper()
	s.PutBlob(repository, []byte("{}"))
	d := tuftest.Digest(data)
	if tag == "" {
		tag = d
	}
	if strings.Contains(string(data), `"manifests"`) {
		s.PutIndex(repository, tag, data)
	} else {
		s.PutManifest(repository, tag, data)
	}
	return d
}

// index is an image index of manifests; arch are their architectures.
func index(t testing.TB, manifests [][]byte, arch ...string) []byte {
	t.Helper()
	out := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	out.SchemaVersion = 2
	for i, m := range manifests {
		os := "linux"
		if arch[i] == "unknown" {
			os = "unknown"
		}
		mediaType := ocispec.MediaTypeImageManifest
		if strings.Contains(string(m), `"manifests"`) {
			mediaType = ocispec.MediaTypeImageIndex
		}
		out.Manifests = append(out.Manifests, ocispec.Descriptor{
			MediaType: mediaType, Digest: digest.FromBytes(m), Size: int64(len(m)), Platform: &ocispec.Platform{OS: os, Architecture: arch[i]},
		})
	}
	data, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (s *shelf) open(_ context.Context, ref ociremote.ImageReference) (ociremote.Repository, error) {
	return remote(s.t, s.Registry, ref.Repository), nil
}

// request parses an image of this registry, without its host.
func (s *shelf) request(name string) publish.ImageRequest {
	s.t.Helper()
	ref, err := ociremote.ParseImage(s.Host() + "/" + name)
	if err != nil {
		s.t.Fatal(err)
	}
	request, err := publish.NewImageRequest(ref, s.Host())
	if err != nil {
		s.t.Fatal(err)
	}
	return request
}

func (s *shelf) fetch(o publish.FetchOptions, names ...string) ([]*publish.Image, error) {
	s.t.Helper()
	var requests []publish.ImageRequest
	for _, name := range names {
		requests = append(requests, s.request(name))
	}
	return publish.FetchImages(s.t.Context(), s.open, requests, o)
}

func TestFetchImages(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	a, b, attestation := manifest("a"), manifest("b"), manifest("attestation")
	for _, m := range [][]byte{a, b, attestation} {
		s.put("shop/api", "", m)
	}
	all := index(t, [][]byte{a, b, attestation}, "amd64", "arm64", "unknown")
	s.put("shop/api", "1", all)
	s.put("web", "1", b)

	images, err := s.fetch(publish.FetchOptions{AllPlatforms: true}, "shop/api:1", "web:1", "web@"+tuftest.Digest(b))
	if err != nil {
		t.Fatal(err)
	}
	var got []metadata.ImageEntry
	for _, i := range images {
		got = append(got, i.Entries(false)...)
	}
	entry := func(repository, tag string, data []byte, mediaType string) metadata.ImageEntry {
		return metadata.ImageEntry{
			Repository: repository, Tag: tag, SHA256: digest.FromBytes(data).Encoded(), Length: int64(len(data)), MediaType: mediaType,
		}
	}
	want := []metadata.ImageEntry{
		entry("shop/api", "1", all, ocispec.MediaTypeImageIndex),
		entry("shop/api", "", a, ocispec.MediaTypeImageManifest),
		entry("shop/api", "", b, ocispec.MediaTypeImageManifest),
		entry("web", "1", b, ocispec.MediaTypeImageManifest),
		entry("web", "", b, ocispec.MediaTypeImageManifest),
	}
	want[1].Index, want[2].Index = want[0].SHA256, want[0].SHA256
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	// Without its platforms an index costs one request.
	s.Reset()
	images, err = s.fetch(publish.FetchOptions{}, "shop/api:1")
	if err != nil || len(images[0].Platforms) > 0 || len(s.Requests()) != 1 {
		t.Errorf("%+v, %v, %d requests", images, err, len(s.Requests()))
	}
}

// A tag beside a digest is what is to be signed, not what is read: it may have moved since.
func TestFetchByDigest(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	built := s.put("web", "1", manifest("built"))
	s.put("web", "1", manifest("moved"))
	images, err := s.fetch(publish.FetchOptions{}, "web:1@"+built)
	if err != nil {
		t.Fatal(err)
	}
	if e := images[0].Entries(false)[0]; e.Tag != "1" || "sha256:"+e.SHA256 != built {
		t.Errorf("%+v", e)
	}
}

func TestFetchImagesRefuses(t *testing.T) {
	t.Parallel()
	a := manifest("a")
	both := strings.Replace(string(a), `"layers":[]`, `"layers":[],"manifests":[]`, 1)
	for name, c := range map[string]struct {
		make func(s *shelf) string
		want error
	}{
		"no such tag":     {func(*shelf) string { return "web:1" }, publish.ErrNoImage},
		"no such digest":  {func(*shelf) string { return "web@" + tuftest.Digest(a) }, publish.ErrNoImage},
		"index and image": {func(s *shelf) string { s.serve("web", "1", []byte(both), ""); return "web:1" }, ociremote.ErrMalformed},
		"other bytes": {func(s *shelf) string {
			s.serve("web", tuftest.Digest(a), manifest("b"), "")
			return "web@" + tuftest.Digest(a)
		}, ociremote.ErrMalformed},
		"other bytes, lying": {func(s *shelf) string { d := tuftest.Digest(a); s.serve("web", d, manifest("b"), d); return "web@" + d }, ociremote.ErrMalformed},
		"index in an index": {func(s *shelf) string {
			inner := index(t, nil)
			s.put("web", "", inner)
			s.put("web", "1", index(t, [][]byte{inner}, "amd64"))
			return "web:1"
		}, ociremote.ErrMalformed},
		"platform is gone": {func(s *shelf) string {
			s.put("web", "", a)
			d := s.put("web", "1", index(t, [][]byte{a}, "amd64"))
			s.DeleteTag("web", tuftest.Digest(a))
			return "web@" + d
		}, publish.ErrNoImage},
		"platform of another size": {func(s *shelf) string {
			s.put("web", "", a)
			lies := strings.Replace(string(index(t, [][]byte{a}, "amd64")), fmt.Sprintf(`"size":%d`, len(a)), `"size":7`, 1)
			s.serve("web", "1", []byte(lies), "")
			return "web:1"
		}, ociremote.ErrMalformed},
		"too many platforms": {func(s *shelf) string {
			many, arch := make([][]byte, 257), make([]string, 257)
			for i := range many {
				many[i] = fmt.Append(nil, i)
			}
			s.serve("web", "1", index(t, many, arch...), "")
			return "web:1"
		}, ociremote.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			s.put("good", "1", a)
			images, err := s.fetch(publish.FetchOptions{AllPlatforms: true}, "good:1", c.make(s))
			if !errors.Is(err, c.want) || images != nil {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// serve answers for one manifest with these bytes, which the registry would not take; digest is what its header says.
func (s *shelf) serve(repository, reference string, data []byte, digest string) {
	s.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path != "/v2/"+repository+"/manifests/"+reference {
			next.ServeHTTP(w, r)
			return
		}
		mediaType := ocispec.MediaTypeImageManifest
		if strings.Contains(string(data), ocispec.MediaTypeImageIndex) {
			mediaType = ocispec.MediaTypeImageIndex
		}
		w.Header().Set("Content-Type", mediaType)
		if digest != "" {
			w.Header().Set("Docker-Content-Digest", digest)
		}
		_, _ = w.Write(data)
	})
}

// Names in metadata are those of one host: an image of another host has the same name, and other bytes.
func TestImageHost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ image, host string }{
		{"registry.acme.io/shop/api:1", "registry.acme.com"},
		{"registry.acme.io/shop/api:1", "registry.acme.io:5000"},
		{"registry.acme.io/shop/api:1", ""},
		{"oci-layout:dir:1", ""},
	} {
		ref, err := ociremote.ParseImage(c.image)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := publish.NewImageRequest(ref, c.host); !errors.Is(err, publish.ErrImageHost) {
			t.Errorf("%s on %q: %v", c.image, c.host, err)
		}
	}
}

func TestReadImageList(t *testing.T) {
	t.Parallel()
	d := tuftest.Digest([]byte("x"))
	for name, c := range map[string]struct {
		list string
		want []string
	}{
		"ko":              {"reg.io/a@" + d + "\nreg.io/b:1@" + d + "\n", []string{"reg.io/a@" + d, "reg.io/b:1@" + d}},
		"comments":        {"# built today\n\n  reg.io/a@" + d + "  \r\n", []string{"reg.io/a@" + d}},
		"twice":           {"reg.io/a@" + d + "\nreg.io/a@" + d, []string{"reg.io/a@" + d}},
		"empty":           {"# nothing\n", nil},
		"tag only":        {"reg.io/a:1\n", nil},
		"no host":         {"a@" + d + "\n", nil},
		"rubbish":         {"reg.io/a@" + d + "\n\x00\n", nil},
		"a long line":     {"reg.io/a@" + d + "\n# " + strings.Repeat("x", 10<<10) + "\n", nil},
		"too many images": {manyImages(10_001), nil},
	} {
		refs, err := publish.ReadImageList(strings.NewReader(c.list))
		if c.want == nil {
			if !errors.Is(err, ociremote.ErrInvalidReference) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var got []string
		for _, r := range refs {
			got = append(got, r.String())
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func manyImages(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, "reg.io/a@%s\n", tuftest.Digest(fmt.Append(nil, i)))
	}
	return out.String()
}
