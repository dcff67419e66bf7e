package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/period"
	"github.com/tufoci/tufoci/internal/tuftest"
)

// imageManifest is an image without layers; text makes it differ from others.
func imageManifest(text string) []byte {
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":2},"layers":[],"annotations":{"text":%q}}`,
		ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, tuftest.Digest([]byte("{}")), text)
}

// cmdImage is "image REPOSITORY TAG [TEXT]": an image that has nothing to do with
// us. A tag that is there moves.
func (s *story) cmdImage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 && len(args) != 3 {
		ts.Fatalf("usage: image REPOSITORY TAG [TEXT]")
	}
	s.plain.PutBlob(args[0], []byte("{}"))
	s.plain.PutManifest(args[0], args[1], imageManifest(append(args, "")[2]))
}

// cmdNotary is "notary VARIABLE DIR REPOSITORY LIFE TAG=TEXT...": docker has signed tags
// with Docker Content Trust, each for the image with a text, and keeps that in DIR. The
// variable is set to the id of its root key.
func (s *story) cmdNotary(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 5 {
		ts.Fatalf("usage: notary VARIABLE DIR REPOSITORY LIFE TAG=TEXT...")
	}
	gun := s.plain.Host() + "/" + args[2]
	life, err := period.Parse(args[3])
	ts.Check(err)
	n := tuftest.NewNotary(s.t, gun, time.Now())
	n.Expires["timestamp"] = time.Now().Add(life)
	n.Keys["targets/alice"] = tuftest.NewNotaryKey(s.t, "", time.Now())
	for _, arg := range args[4:] {
		tag, text, _ := strings.Cut(arg, "=")
		n.Sign("targets/releases", tag, imageManifest(text))
		n.Sign("targets/alice", tag, imageManifest(text))
	}
	for name, data := range n.Files() {
		file := filepath.Join(ts.MkAbs(args[1]), filepath.FromSlash(gun), "metadata", filepath.FromSlash(name))
		ts.Check(os.MkdirAll(filepath.Dir(file), 0o755))
		ts.Check(os.WriteFile(file, data, 0o600))
	}
	ts.Setenv(args[0], n.Keys["root"].CanonicalID)
}

// cmdIndex is "index REPOSITORY TAG TEXT...": an index with an image for each
// text, the last one of no platform, as build tools add attestations.
func (s *story) cmdIndex(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: index REPOSITORY TAG TEXT...")
	}
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex}
	index.SchemaVersion = 2
	s.plain.PutBlob(args[0], []byte("{}"))
	for n, text := range args[2:] {
		data := imageManifest(text)
		s.plain.PutManifest(args[0], tuftest.Digest(data), data)
		platform := &ocispec.Platform{OS: "linux", Architecture: text}
		if n == len(args[2:])-1 {
			platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
		}
		index.Manifests = append(index.Manifests, ocispec.Descriptor{
			MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(data), Size: int64(len(data)), Platform: platform,
		})
	}
	data, err := json.Marshal(index)
	ts.Check(err)
	s.plain.PutIndex(args[0], args[1], data)
}

// cmdArtifact is "artifact REPOSITORY TAG": a chart.
func (s *story) cmdArtifact(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "artifact REPOSITORY TAG")
	s.plain.PutBlob(args[0], []byte("{}"))
	s.plain.PutManifest(args[0], args[1], fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":2},"layers":[]}`,
		ocispec.MediaTypeImageManifest, "application/vnd.cncf.helm.config.v1+json", tuftest.Digest([]byte("{}"))))
}

// cmdDigest is "digest VARIABLE REPOSITORY TAG" or "digest VARIABLE TEXT": the
// digest under a tag, or that of the image with a text.
func (s *story) cmdDigest(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case neg || len(args) != 2 && len(args) != 3:
		ts.Fatalf("usage: digest VARIABLE REPOSITORY TAG, or digest VARIABLE TEXT")
	case len(args) == 2:
		ts.Setenv(args[0], tuftest.Digest(imageManifest(args[1])))
	default:
		ts.Setenv(args[0], s.plain.Digest(args[1], args[2]))
	}
}

// cmdList is "list FILE LINE...": a file of lines, with variables filled in.
func cmdList(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: list FILE LINE...")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(args[1:], "\n")+"\n"), 0o600))
}

// cmdAppend is "append FILE LINE...": lines at the end of a file.
func cmdAppend(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: append FILE LINE...")
	}
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	data = append(data, strings.Join(args[1:], "\n")+"\n"...)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}

// cmdNotation is "notation NAME REPOSITORY TAG": an image is signed with Notation
// under the authority NAME, which is made for it and lies in NAME.pem. A script
// can use an authority more than once.
func (s *story) cmdNotation(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 3, "notation NAME REPOSITORY TAG")
	if s.signers[args[0]] == nil {
		authority, err := notationsign.NewRoot(notationsign.CertificateOptions{Name: args[0]})
		ts.Check(err)
		leaf, err := authority.Leaf(notationsign.CertificateOptions{Name: "ci under " + args[0]})
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pem"), authority.PEM(), 0o600))
		s.signers[args[0]] = leaf
	}
	repo, err := remote.NewRepository(s.plain.Host() + "/" + args[1])
	ts.Check(err)
	repo.Client = s.plain.Client() // not the default one: ending any test server closes its connections
	repo.PlainHTTP = true
	image, err := repo.Resolve(s.t.Context(), args[2])
	ts.Check(err)
	_, err = notationsign.Sign(s.t.Context(), repo, image, s.signers[args[0]], notationsign.Options{})
	ts.Check(err)
}

// cmdDamage is "damage FILE OLD NEW": somebody changes bytes of a file, as many as
// there were.
func cmdDamage(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 3, "damage FILE OLD NEW")
	data := ts.ReadFile(args[0])
	if len(args[1]) != len(args[2]) || !strings.Contains(data, args[1]) {
		ts.Fatalf("%s cannot be damaged so", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(data, args[1], args[2])), 0o600))
}
