package ociremote

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	oneChild  = `{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + someDigest + `","size":7,"platform":{"os":"linux","architecture":"arm64"}}`
	oneConfig = `"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + someDigest + `","size":2},"layers":[]`
)

// keep puts a manifest into a repository and returns its descriptor.
func keep(t *testing.T, repo WritableRepository, mediaType, text, name string) ocispec.Descriptor {
	t.Helper()
	desc := descriptorOf(mediaType, []byte(text))
	if name == "" {
		name = desc.Digest.String()
	}
	if err := repo.PushReference(t.Context(), desc, strings.NewReader(text), name); err != nil {
		t.Fatal(err)
	}
	return desc
}

func TestFetchManifest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, served, text string
		index              bool
		children           int
	}{
		{"image", ocispec.MediaTypeImageManifest, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",` + oneConfig + `}`, false, 0},
		{"image without its type", ocispec.MediaTypeImageManifest, `{"schemaVersion":2,` + oneConfig + `}`, false, 0},
		{"docker image", mediaTypeDockerManifest, `{"schemaVersion":2,"mediaType":"` + mediaTypeDockerManifest + `",` + oneConfig + `}`, false, 0},
		{"index", ocispec.MediaTypeImageIndex, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` + oneChild + `]}`, true, 1},
		{"docker list", mediaTypeDockerList, `{"schemaVersion":2,"mediaType":"` + mediaTypeDockerList + `","manifests":[` + oneChild + `]}`, true, 1},
		{"empty index", ocispec.MediaTypeImageIndex, `{"schemaVersion":2,"manifests":null}`, true, 0},
		{"a type that is not known", "application/octet-stream", `{"schemaVersion":2,"manifests":[` + oneChild + `]}`, true, 1},
		{"an image of a type that is not known", "application/octet-stream", `{"schemaVersion":2,` + oneConfig + `}`, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			repo := NewMemory()
			desc := keep(t, repo, tt.served, tt.text, "t")
			for _, name := range []string{"t", desc.Digest.String()} {
				m, err := FetchManifest(t.Context(), repo, name)
				if err != nil {
					t.Fatal(err)
				}
				if m.Descriptor.Digest != desc.Digest || m.Descriptor.Size != desc.Size || string(m.Data) != tt.text || m.IsIndex() != tt.index || len(m.Children) != tt.children {
					t.Errorf("%+v", m)
				}
				if tt.served != "application/octet-stream" && m.Descriptor.MediaType != tt.served {
					t.Errorf("media type %s", m.Descriptor.MediaType)
				}
				if tt.children > 0 && (m.Children[0].Digest != someDigest || m.Children[0].Platform.Architecture != "arm64") {
					t.Errorf("children %+v", m.Children)
				}
			}
		})
	}
	subject := `,"subject":` + oneChild + `}`
	repo := NewMemory()
	keep(t, repo, ocispec.MediaTypeImageManifest, `{"schemaVersion":2,`+oneConfig+subject, "t")
	if m, err := FetchManifest(t.Context(), repo, "t"); err != nil || m.Subject == nil || m.Subject.Digest != someDigest {
		t.Errorf("subject: %+v, %v", m, err)
	}
	if _, err := FetchManifest(t.Context(), repo, "no"); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such tag: %v", err)
	}
}

func TestFetchManifestRefuses(t *testing.T) {
	t.Parallel()
	image, index := ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex
	for name, tt := range map[string]struct{ served, text string }{
		"no JSON":                       {image, `<html>`},
		"nothing":                       {image, ``},
		"null":                          {image, `null`},
		"a list":                        {image, `[]`},
		"bytes behind it":               {image, `{"schemaVersion":2,` + oneConfig + `}{}`},
		"a member twice":                {image, `{"schemaVersion":2,` + oneConfig + `,"layers":[]}`},
		"a member twice, in capitals":   {index, `{"schemaVersion":2,"manifests":[],"Manifests":[` + oneChild + `]}`},
		"no schema version":             {image, `{` + oneConfig + `}`},
		"schema version 1":              {image, `{"schemaVersion":1,` + oneConfig + `}`},
		"an index as an image":          {image, `{"schemaVersion":2,"manifests":[]}`},
		"an image as an index":          {index, `{"schemaVersion":2,` + oneConfig + `}`},
		"index and image":               {index, `{"schemaVersion":2,"manifests":[],` + oneConfig + `}`},
		"image and index":               {image, `{"schemaVersion":2,"manifests":[],` + oneConfig + `}`},
		"an index with layers":          {index, `{"schemaVersion":2,"manifests":[],"layers":[]}`},
		"another type inside":           {image, `{"schemaVersion":2,"mediaType":"` + mediaTypeDockerManifest + `",` + oneConfig + `}`},
		"the type of an index":          {image, `{"schemaVersion":2,"mediaType":"` + index + `",` + oneConfig + `}`},
		"no manifest's type":            {image, `{"schemaVersion":2,"mediaType":"text/html",` + oneConfig + `}`},
		"a page that could be an image": {"application/octet-stream", `{"schemaVersion":2,"mediaType":"text/html",` + oneConfig + `}`},
		"neither":                       {"application/octet-stream", `{"schemaVersion":2}`},
		"a bad child":                   {index, `{"schemaVersion":2,"manifests":[` + oneChild + `,{}]}`},
		"a null child":                  {index, `{"schemaVersion":2,"manifests":[null]}`},
		"children that are no list":     {index, `{"schemaVersion":2,"manifests":{}}`},
		"a child of sha512":             {index, `{"schemaVersion":2,"manifests":[` + strings.ReplaceAll(oneChild, "sha256:", "sha512:") + `]}`},
		"a bad subject":                 {image, `{"schemaVersion":2,` + oneConfig + `,"subject":{}}`},
		"a null subject":                {image, `{"schemaVersion":2,` + oneConfig + `,"subject":null}`},
		"more than the limit":           {image, `{"schemaVersion":2,` + oneConfig + strings.Repeat(" ", MaxManifest) + `}`},
	} {
		repo := NewMemory()
		keep(t, repo, tt.served, tt.text, "t")
		m, err := FetchManifest(t.Context(), repo, "t")
		if !errors.Is(err, ErrMalformed) || m != nil {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	// A repository that lies about a digest.
	repo := NewMemory().(*memory)
	desc := keep(t, repo, image, `{"schemaVersion":2,`+oneConfig+`}`, "t")
	repo.blobs[desc.Digest] = memoryBlob{image, bytes.ToUpper(repo.blobs[desc.Digest].data)}
	for _, name := range []string{"t", desc.Digest.String()} {
		if _, err := FetchManifest(t.Context(), repo, name); !errors.Is(err, ErrMalformed) {
			t.Errorf("other bytes under %s: %v", name, err)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add(ocispec.MediaTypeImageIndex, []byte(`{"schemaVersion":2,"manifests":[`+oneChild+`]}`))
	f.Add("", []byte(`{"schemaVersion":2,`+oneConfig+`,"subject":`+oneChild+`}`))
	f.Fuzz(func(t *testing.T, served string, data []byte) {
		m, err := parseManifest(served, data)
		if err != nil {
			if m != nil {
				t.Fatalf("%+v with %v", m, err)
			}
			return
		}
		if m.Descriptor.Digest != digest.FromBytes(data) || len(m.Children) > 0 && !m.IsIndex() {
			t.Fatalf("%+v", m)
		}
		if again, err := parseManifest(m.Descriptor.MediaType, data); err != nil || again.Descriptor.MediaType != m.Descriptor.MediaType {
			t.Fatalf("%s, then %+v, %v", m.Descriptor.MediaType, again, err)
		}
	})
}
