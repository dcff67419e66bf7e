package cli

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/tufoci/tufoci/ociremote"
)

// cmdNextTo is "nextto REPOSITORY [TAG]": the bundle of acme/trust is put beside the
// images of a repository or, with a tag, attached to that image.
func (s *story) cmdNextTo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 && len(args) != 2 {
		ts.Fatalf("usage: nextto REPOSITORY [TAG]")
	}
	const home = "acme/trust"
	data, ok := s.plain.Manifest(home, "tuf")
	if !ok {
		ts.Fatalf("nothing is published")
	}
	var m ocispec.Manifest
	ts.Check(json.Unmarshal(data, &m))
	for _, d := range append(m.Layers, m.Config) {
		if blob, ok := s.plain.Blob(home, d.Digest.String()); ok {
			s.plain.PutBlob(args[0], blob)
		}
	}
	name := "tuf"
	if len(args) == 2 {
		image, ok := s.plain.Manifest(args[0], args[1])
		if !ok {
			ts.Fatalf("%s has no tag %s", args[0], args[1])
		}
		m.Subject = &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(image), Size: int64(len(image))}
		m.Annotations[ociremote.AnnotationPartial] = "true"
		attached, err := json.Marshal(m)
		ts.Check(err)
		data, name = attached, digest.FromBytes(attached).String()
	}
	s.plain.PutManifest(args[0], name, data)
}

// cmdOutage is "outage [REPOSITORY]": a repository cannot be reached; without one, the
// outage is over.
func (s *story) cmdOutage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: outage [REPOSITORY]")
	}
	if len(args) == 0 {
		s.plain.Intercept(nil)
		return
	}
	s.plain.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.URL.Path, args[0]+"/") {
			// What it asks for is longer than anybody waits.
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// cmdPull is "pull REPOSITORY TAG DIR": an image with what refers to it is copied into
// an OCI layout, as oras cp -r does it.
func (s *story) cmdPull(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 3, "pull REPOSITORY TAG DIR")
	repo, err := remote.NewRepository(s.plain.Host() + "/" + args[0])
	ts.Check(err)
	repo.Client = s.plain.Client() // not the default one: ending any test server closes its connections
	repo.PlainHTTP = true
	layout, err := oci.New(ts.MkAbs(args[2]))
	ts.Check(err)
	_, err = oras.ExtendedCopy(s.t.Context(), repo, args[1], layout, args[1], oras.DefaultExtendedCopyOptions)
	ts.Check(err)
}
